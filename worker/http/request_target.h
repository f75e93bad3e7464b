// The request line's meaning (RFC 9112 section 3, RFC 9110 section 9): which form its target has,
// for which authority it is, and what the method allows. Used by the parser. Pure; allocates
// nothing.
#pragma once

#include <optional>

#include "worker/http/message_head.h"
#include "worker/http/refusal.h"

namespace ringmaster {

// From method and target: form, authority, path_and_query and what is known about the method.
std::optional<Refusal> interpret_request_line(RequestHead& head) noexcept;

}  // namespace ringmaster
