// One coarse wheel for all time-outs of a worker: arming and re-arming cost a few stores and no
// system call, unlike a uv_timer_t a connection. Times are kept to within kTickMs, late and never
// early.
#pragma once

#include <uv.h>

#include <array>
#include <cstdint>

#include "shared/base/uv_handle.h"

namespace ringmaster {

class TimerWheel;

// A time-out of its owner, who is told once. Disarms itself at destruction.
class Timer {
 public:
  class Owner {
   public:
    virtual void on_timeout() = 0;

   protected:
    ~Owner() = default;
  };

  Timer(TimerWheel& wheel, Owner& owner) noexcept : wheel_(wheel), owner_(owner) {}
  Timer(const Timer&) = delete;
  Timer& operator=(const Timer&) = delete;
  ~Timer() { disarm(); }

  // Fires `after_ms` from the loop's present time on; replaces an earlier arming.
  void arm(std::uint64_t after_ms) noexcept;
  void disarm() noexcept;

 private:
  friend class TimerWheel;
  // Borrowed: both outlive the timer.
  TimerWheel& wheel_;
  Owner& owner_;
  // Links of the slot's list; linked_ lags behind when a deadline only moved away.
  Timer* previous_ = nullptr;
  Timer* next_ = nullptr;
  std::uint64_t deadline_ms_ = 0;  // 0: disarmed
  std::uint64_t slot_tick_ = 0;    // the tick whose slot it is linked in; 0: not linked
};

class TimerWheel {
 public:
  static constexpr std::uint64_t kTickMs = 32;

  explicit TimerWheel(uv_loop_t* loop);

 private:
  friend class Timer;
  static constexpr std::size_t kSlots = 512;

  void link(Timer& timer) noexcept;
  void unlink(Timer& timer) noexcept;
  void advance() noexcept;
  void run_slot(std::uint64_t tick, std::uint64_t now_ms) noexcept;

  uv_loop_t* loop_;  // borrowed: the worker's
  OwnedHandle<uv_timer_t> clock_;
  std::array<Timer*, kSlots> slots_{};
  Timer* resume_ =
      nullptr;  // next to look at while a slot runs; moved on when that one is unlinked
  std::uint64_t last_tick_ = 0;
  std::size_t linked_ = 0;
};

}  // namespace ringmaster
