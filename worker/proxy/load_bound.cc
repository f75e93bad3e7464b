#include "worker/proxy/load_bound.h"

namespace ringmaster {

LoadBound::LoadBound(WorkerContext& context)
    : context_(context),
      factor_(context.config.hash.balance_factor),
      bounds_(context.segment.upstream_count(), kUnbounded) {}

void LoadBound::set_weight(std::uint32_t upstream, double weight) noexcept {
  bounds_[upstream] = weight == 0 ? kUnbounded : weight;
  total_weight_ += weight;
}

void LoadBound::end_shares() noexcept {
  if (total_weight_ == 0) return;  // nobody is in use, nobody is bounded
  for (double& bound : bounds_) bound *= factor_ / total_weight_;
}

bool LoadBound::has_room(std::uint32_t upstream) noexcept {
  const auto load = static_cast<double>(context_.segment.in_flight(upstream));
  const double bound = bounds_[upstream];
  if (uv_now(context_.loop) != looked_at_ms_) look_at_others();
  // "Less than" rounds a place that is only partly there up to a whole one: the very first request
  // finds room, and the places of all together are never fewer than the requests.
  if (load < bound * total()) return true;
  look_at_others();
  return load < bound * total();
}

void LoadBound::look_at_others() noexcept {
  looked_at_ms_ = uv_now(context_.loop);
  const std::uint64_t all = context_.segment.requests_in_flight();
  const std::uint64_t own = context_.metrics.worker.requests_in_flight.get();
  others_ = all - own;
}

// The one that asks included.
double LoadBound::total() const noexcept {
  return static_cast<double>(others_ + context_.metrics.worker.requests_in_flight.get() + 1);
}

}  // namespace ringmaster
