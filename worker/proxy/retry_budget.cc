#include "worker/proxy/retry_budget.h"

#include <algorithm>
#include <atomic>

namespace ringmaster {

RetryPermit RetryBudget::ask() noexcept {
  RetryPermit permit(context_.metrics.worker.retries_in_flight);
  // First take it, then count, as for a place at a backend (Balancer::take_place): of two workers
  // that take the last one at once at least one sees the other's.
  std::atomic_thread_fence(std::memory_order_seq_cst);
  const double share = context_.config.upstream.retry_budget *
                       static_cast<double>(context_.segment.requests_in_flight());
  const auto allowed = std::max(kLeast, static_cast<std::uint64_t>(share));
  if (context_.segment.retries_in_flight() > allowed) permit.release();
  return permit;
}

}  // namespace ringmaster
