// Slow start (health.slow_start): a backend that is back gets a growing share of its keys, each of
// which comes back once. When it began stands in shared memory, so that the next image of the
// master goes on with it. Owner: the BackendWatch.
#pragma once

#include <uv.h>

#include <cstdint>

#include "shared/base/uv_handle.h"
#include "shared/config.h"
#include "shared/memory/upstream_state.h"

namespace ringmaster {

class SlowStart {
 public:
  class Owner {
   public:
    // The share has grown, for the last time if it is off now.
    virtual void on_share_grown() = 0;

   protected:
    ~Owner() = default;
  };

  // `whole`: how long it takes; 0: it never begins. `shared` and `owner` outlive it.
  SlowStart(uv_loop_t* loop, Duration whole, UpstreamState& shared, Owner& owner) noexcept;
  SlowStart(const SlowStart&) = delete;
  SlowStart& operator=(const SlowStart&) = delete;

  void begin();
  // With what an earlier image of the master began, if it is not over.
  void go_on();
  void end() noexcept;
  bool is_on() const noexcept { return timer_ != nullptr; }
  // Precondition: is_on().
  KeyShare share() const noexcept;

 private:
  void on_step();
  std::uint64_t passed_ms() const noexcept;
  std::uint64_t step_ms() const noexcept;

  // Borrowed.
  uv_loop_t* const loop_;
  UpstreamState& shared_;
  Owner& owner_;
  // Owned.
  const std::uint64_t whole_ms_;
  OwnedHandle<uv_timer_t> timer_;  // only while it is on
};

}  // namespace ringmaster
