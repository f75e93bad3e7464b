#include "worker/housekeeping.h"

#include <malloc.h>

#include <algorithm>
#include <chrono>

namespace ringmaster {
namespace {

// A quiet moment shows within a step or two; in steady traffic only what a whole round did not need
// is surplus.
constexpr std::chrono::milliseconds kStep{20};
constexpr unsigned kStepsPerRound = 50;
constexpr std::size_t kWorthTrimming = 256 * 1024;
constexpr unsigned kStepsBetweenTrims = 5;  // malloc_trim() looks at everything there is

}  // namespace

Housekeeping::Housekeeping(WorkerContext& context, Proxy& proxy, ClientConnections& clients)
    : lists_{&context.buffers.memory(),          &context.bulk_buffers.memory(),
             &context.outbox.pending().memory(), &proxy.exchanges.memory(),
             &proxy.upstreams.memory(),          &clients.memory()},
      upstreams_(proxy.upstreams),
      timer_(open_handle<uv_timer_t>(this, uv_timer_init, context.loop)) {}

bool Housekeeping::has_surplus_memory() const noexcept {
  const auto has = [](const FreeList* list) { return list->has_surplus(); };
  return std::any_of(lists_.begin(), lists_.end(), has);
}

bool Housekeeping::has_surplus() const noexcept {
  return upstreams_.has_surplus() || has_surplus_memory();
}

void Housekeeping::start() {
  stepping_ = true;
  trimmed_at_ = steps_ - kStepsBetweenTrims;  // long ago
  start_timer<&Housekeeping::step>(timer_, kStep, kStep);
}

void Housekeeping::step() {
  const bool ends_round = ++steps_ % kStepsPerRound == 0;
  std::size_t freed = 0;
  for (FreeList* list : lists_) freed += list->release_surplus(ends_round);
  freed_bytes_ += freed;
  // The most of a burst comes at once; connections that are closed by and by bring the rest.
  const bool is_due = steps_ - trimmed_at_ >= kStepsBetweenTrims || !has_surplus_memory();
  if (freed_bytes_ >= kWorthTrimming && is_due) {
    ::malloc_trim(0);
    freed_bytes_ = 0;
    trimmed_at_ = steps_;
  }
  upstreams_.close_surplus(ends_round);
  if (has_surplus() || freed != 0) return;
  stepping_ = false;
  uv_timer_stop(timer_.get());
}

}  // namespace ringmaster
