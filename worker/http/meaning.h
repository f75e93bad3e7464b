// What a head says, once its syntax is known to be right: target, Host, framing, Connection, Expect
// (RFC 9112 sections 3 and 6, RFC 9110 sections 7 and 10.1.1). Anything ambiguous is refused: two
// readers of the same message must not come to different ends of it. Used by the parsers. Pure;
// allocates nothing.
#pragma once

#include <optional>
#include <string_view>

#include "shared/reject_reason.h"
#include "worker/http/message_head.h"

namespace ringmaster {

// From method and target: form, authority, path_and_query and what is known about the method.
std::optional<RejectReason> interpret_request_line(RequestHead& head) noexcept;

// From the fields: all the rest. `via_name`: see ParseLimits.
std::optional<RejectReason> interpret_request_fields(RequestHead& head,
                                                     std::string_view via_name) noexcept;

// The same for a response; false if it is not to be trusted.
bool interpret_response_fields(ResponseHead& head, bool to_head) noexcept;

}  // namespace ringmaster
