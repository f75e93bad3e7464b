// Bounded loads (hash.balance_factor): a backend has room for one more request while it has less in
// flight than factor x its fair share of everything in flight, this request included; keys walk
// past one that has not. Counts are those of all workers together. A fair share goes by weight, and
// by the share of its keys that a backend gets while it starts slowly.
#pragma once

#include <cstdint>
#include <limits>
#include <vector>

#include "worker/io/worker_context.h"

namespace ringmaster {

class LoadBound {
 public:
  explicit LoadBound(WorkerContext& context);

  bool is_on() const noexcept { return factor_ != 0; }
  // The backends in use and their weights: from here on the fair shares are of these.
  void begin_shares() noexcept { total_weight_ = 0; }
  void set_weight(std::uint32_t upstream, double weight) noexcept;  // 0: not in use, not bounded
  void end_shares() noexcept;

  // Room for one more? Yes may rest on a total that is a millisecond old, no never does. Without a
  // lock: workers that ask in the same nanoseconds may each fill the last place.
  bool has_room(std::uint32_t upstream) noexcept;

 private:
  static constexpr double kUnbounded = std::numeric_limits<double>::infinity();

  void look_at_others() noexcept;
  double total() const noexcept;

  // Borrowed: the worker's.
  WorkerContext& context_;
  // Constant after construction.
  const double factor_;
  // Owned.
  std::vector<double> bounds_;  // by upstream: of everything in flight, what it may have at most
  double total_weight_ = 0;
  std::uint64_t others_ = 0;        // in flight through the other workers,
  std::uint64_t looked_at_ms_ = 0;  // at this time of the loop
};

}  // namespace ringmaster
