// Who is asking, and may they: the client's address as far as proxies in front of us are trusted,
// and its token bucket in shared memory.
#pragma once

#include <cstdint>

#include "shared/base/socket_address.h"
#include "shared/memory/flight_recorder.h"
#include "shared/memory/token_bucket.h"
#include "worker/http/message_head.h"
#include "worker/io/worker_context.h"

namespace ringmaster {

class Admission {
 public:
  explicit Admission(WorkerContext& context) noexcept;

  bool is_trusted(const IpAddress& peer) const noexcept;
  // The last address in X-Forwarded-For that no trusted proxy added itself; the peer's if it is not
  // trusted.
  IpAddress client_of(const RequestHead& head, const IpAddress& peer) const noexcept;

  struct Verdict {
    LimitDecision decision;
    std::uint32_t retry_after_s;  // of kRefused: until there is a token, rounded up
  };
  Verdict ask_limiter(const IpAddress& client, std::uint64_t now_ns) noexcept;

 private:
  bool is_exempt(const IpAddress& client) const noexcept;

  // Borrowed: the worker's.
  WorkerContext& context_;
  // Constant after construction, but for what the table's memory holds.
  TokenBucketTable buckets_;
  const BucketRate rate_;
};

}  // namespace ringmaster
