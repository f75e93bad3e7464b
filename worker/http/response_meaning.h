// What a response's fields say, once their syntax is known to be right: where its body ends, and
// what Connection and Upgrade ask for (RFC 9112 sections 6.3 and 9.3, RFC 9110 section 7.8). One
// whose end two readers could find in different places is not to be trusted. Used by the
// response parser. Pure; allocates nothing.
#pragma once

#include "shared/answer_fault.h"
#include "worker/http/message_head.h"

namespace ringmaster {

// Fills in what `head` leaves to the fields; returns why the response is not to be trusted, or
// kNone. `to_head`: it answers a HEAD request, and has no body whatever it says.
AnswerFault interpret_response_fields(ResponseHead& head, bool to_head) noexcept;

}  // namespace ringmaster
