// Why a request's head is refused: what to answer, and of a bad request (400) which rule it breaks.
#pragma once

#include "shared/message_fault.h"
#include "shared/reject_reason.h"

namespace ringmaster {

struct Refusal {
  RejectReason reason;
  MessageFault fault = MessageFault::kNone;

  // Implicit: either says it all.
  constexpr Refusal(RejectReason why) noexcept : reason(why) {}  // NOLINT
  constexpr Refusal(MessageFault what) noexcept                  // NOLINT
      : reason(RejectReason::kBadRequest), fault(what) {}
};

}  // namespace ringmaster
