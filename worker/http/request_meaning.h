// What a request's fields say, once their syntax is known to be right: whom it is for (Host),
// where its body ends (and that TRACE has none), what Connection, Upgrade and Expect ask for, how
// far OPTIONS and TRACE may still go (Max-Forwards), and whether it has been here before (Via).
// RFC 9112 sections 3.2, 6 and 9.3; RFC 9110 sections 7.6, 7.8, 9.3.8 and 10.1.1. Anything
// ambiguous is refused: two readers of the same request must not come to different ends of it. Used
// by the request parser. Pure; allocates nothing.
#pragma once

#include <optional>
#include <string_view>

#include "worker/http/message_head.h"
#include "worker/http/refusal.h"

namespace ringmaster {

// Fills in what `head` leaves to the fields, or says why the request is refused. `via_name`: see
// ParseLimits.
std::optional<Refusal> interpret_request_fields(RequestHead& head,
                                                std::string_view via_name) noexcept;

}  // namespace ringmaster
