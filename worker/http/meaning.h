// What a head's fields say, once their syntax is known to be right: Host, framing, Connection,
// Expect (RFC 9112 sections 3.2 and 6, RFC 9110 sections 7 and 10.1.1). Anything ambiguous is
// refused: two readers of the same message must not come to different ends of it. Used by the
// parsers. Pure; allocates nothing.
#pragma once

#include <optional>
#include <string_view>

#include "worker/http/message_head.h"
#include "worker/http/refusal.h"

namespace ringmaster {

// From a request's fields. `via_name`: see ParseLimits.
std::optional<Refusal> interpret_request_fields(RequestHead& head,
                                                std::string_view via_name) noexcept;

// The same for a response; false if it is not to be trusted.
bool interpret_response_fields(ResponseHead& head, bool to_head) noexcept;

}  // namespace ringmaster
