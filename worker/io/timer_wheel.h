// One coarse wheel for all timeouts of a worker: arming, moving and disarming cost a store or two
// and no system call, unlike a uv_timer_t a connection. Times are kept to within kTickMs, late and
// never early. The loop is woken only for ticks that somebody may be waiting for.
#pragma once

#include <uv.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "shared/base/uv_handle.h"

namespace ringmaster {

class TimerWheel;

// A timeout of its owner, who is told once. Disarms itself at destruction. Once linked in the
// wheel it stays there while its deadline moves away or is taken back, and is put right when its
// slot comes up: a connection that is busy touches the wheel's lists a few times a minute.
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
  ~Timer();

  // Fires that long after the loop's present time; replaces an earlier arming.
  void arm(std::chrono::milliseconds after) noexcept;
  void disarm() noexcept { deadline_ms_ = 0; }

 private:
  friend class TimerWheel;
  // Borrowed: both outlive the timer.
  TimerWheel& wheel_;
  Owner& owner_;
  // Links of the slot's list.
  Timer* previous_ = nullptr;
  Timer* next_ = nullptr;
  // One word for both: each connection has a timer.
  static constexpr std::uint64_t kMostDeadlineMs = (std::uint64_t{1} << 48) - 1;
  std::uint64_t deadline_ms_ : 48 = 0;  // of the loop's clock; 0: disarmed
  std::uint16_t place_ = 0;             // one more than the index of its slot; 0: not linked
};

class TimerWheel {
 public:
  static constexpr std::uint64_t kTickMs = 32;

  explicit TimerWheel(uv_loop_t* loop);

 private:
  friend class Timer;
  // No timer is linked so many ticks ahead: the slot alone says at which tick it is run next.
  static constexpr std::size_t kSlots = 512;
  static constexpr std::uint64_t kNever = ~std::uint64_t{0};
  // A deadline so many ticks ahead is looked at first at the last multiple of kFarGrid before it,
  // together with others, and then linked anew: many idle connections wake the loop once a second.
  static constexpr std::uint64_t kFar = 64;
  static constexpr std::uint64_t kFarGrid = 32;

  std::uint64_t tick_of(const Timer& timer) const noexcept;
  void link(Timer& timer) noexcept;
  void unlink(Timer& timer) noexcept;
  void advance() noexcept;
  void run_slot(std::uint64_t tick, std::uint64_t now_ms) noexcept;
  void wake_for_next() noexcept;
  void wake_at(std::uint64_t tick) noexcept;

  uv_loop_t* loop_;  // borrowed: the worker's
  OwnedHandle<uv_timer_t> clock_;
  std::vector<Timer*> slots_ = std::vector<Timer*>(kSlots);  // the first of each
  // Next to look at while a slot runs; moved on when that one is unlinked.
  Timer* resume_ = nullptr;
  std::uint64_t last_tick_;           // all slots up to this tick have been run
  std::uint64_t wake_tick_ = kNever;  // for which clock_ is set
  std::size_t linked_ = 0;
};

}  // namespace ringmaster
