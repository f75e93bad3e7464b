#include "worker/proxy/in_flight.h"

namespace ringmaster {

InFlightCounts::InFlightCounts(WorkerContext& context)
    : sum_(context.metrics.worker.requests_in_flight) {
  counts_.reserve(context.segment.upstream_count());
  for (std::uint32_t i = 0; i < context.segment.upstream_count(); ++i) {
    counts_.push_back({&context.metrics.upstreams[i].in_flight, nullptr});
  }
}

void InFlightCounts::set_in_use(std::uint32_t upstream, bool in_use) noexcept {
  Count& count = counts_[upstream];
  if (in_use == (count.sum != nullptr)) return;
  count.sum = in_use ? &sum_ : nullptr;
  if (in_use) {
    sum_.add(count.here->get());
  } else {
    sum_.subtract(count.here->get());
  }
}

}  // namespace ringmaster
