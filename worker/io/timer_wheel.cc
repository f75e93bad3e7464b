#include "worker/io/timer_wheel.h"

#include <algorithm>

namespace ringmaster {

void Timer::arm(std::chrono::milliseconds after) noexcept {
  const std::uint64_t deadline_ms =
      uv_now(wheel_.loop_) + static_cast<std::uint64_t>(after.count());
  deadline_ms_ = deadline_ms & kMostDeadlineMs;
  // A deadline that moved away leaves the timer where it is; it is put right when its slot comes
  // up.
  if (place_ != 0) {
    if (wheel_.tick_of(*this) * TimerWheel::kTickMs <= deadline_ms + TimerWheel::kTickMs) return;
    wheel_.unlink(*this);
  }
  wheel_.link(*this);
}

Timer::~Timer() {
  if (place_ != 0) wheel_.unlink(*this);
}

TimerWheel::TimerWheel(uv_loop_t* loop)
    : loop_(loop),
      clock_(open_handle<uv_timer_t>(this, uv_timer_init, loop)),
      last_tick_(uv_now(loop) / kTickMs) {}

// Of a linked timer: when its slot is run next.
std::uint64_t TimerWheel::tick_of(const Timer& timer) const noexcept {
  const std::uint64_t next = last_tick_ + 1;
  return next + (std::uint64_t{timer.place_} - 1 - next) % kSlots;
}

void TimerWheel::link(Timer& timer) noexcept {
  const std::uint64_t now_tick = uv_now(loop_) / kTickMs;
  if (linked_ == 0) last_tick_ = std::max(last_tick_, now_tick);  // empty, it stood still
  std::uint64_t tick = std::max(timer.deadline_ms_ / kTickMs, now_tick) + 1;
  tick = std::min(tick, last_tick_ + kSlots - 1);
  if (tick > now_tick + kFar) tick -= tick % kFarGrid;
  const std::size_t slot = tick % kSlots;
  timer.place_ = static_cast<std::uint16_t>(slot + 1);
  Timer*& first = slots_[slot];
  timer.previous_ = nullptr;
  timer.next_ = first;
  if (first != nullptr) first->previous_ = &timer;
  first = &timer;
  ++linked_;
  if (tick < wake_tick_) wake_at(tick);
}

void TimerWheel::unlink(Timer& timer) noexcept {
  if (resume_ == &timer) resume_ = timer.next_;
  if (timer.previous_ != nullptr) {
    timer.previous_->next_ = timer.next_;
  } else {
    slots_[timer.place_ - 1] = timer.next_;
  }
  if (timer.next_ != nullptr) timer.next_->previous_ = timer.previous_;
  timer.place_ = 0;
  --linked_;
}

void TimerWheel::wake_at(std::uint64_t tick) noexcept {
  wake_tick_ = tick;
  // One that lies back, since the process was kept from running, is due at once.
  const std::uint64_t at_ms = std::max(tick * kTickMs, uv_now(loop_));
  start_timer<&TimerWheel::advance>(clock_, std::chrono::milliseconds(at_ms - uv_now(loop_)));
}

void TimerWheel::wake_for_next() noexcept {
  wake_tick_ = kNever;
  if (linked_ == 0) return;
  std::uint64_t tick = last_tick_ + 1;
  while (slots_[tick % kSlots] == nullptr) ++tick;
  wake_at(tick);
}

void TimerWheel::advance() noexcept {
  const std::uint64_t now = uv_now(loop_);
  const std::uint64_t target = now / kTickMs;
  // After a long stall one turn of the wheel sees every slot.
  const std::uint64_t first = std::max(last_tick_ + 1, target < kSlots ? 0 : target - kSlots + 1);
  for (std::uint64_t tick = first; tick <= target; ++tick) {
    last_tick_ = tick;
    run_slot(tick, now);
  }
  wake_for_next();
}

void TimerWheel::run_slot(std::uint64_t tick, std::uint64_t now_ms) noexcept {
  resume_ = slots_[tick % kSlots];
  while (resume_ != nullptr) {
    Timer& timer = *resume_;
    resume_ = timer.next_;
    unlink(timer);
    if (timer.deadline_ms_ == 0) continue;
    if (timer.deadline_ms_ > now_ms) {
      link(timer);
      continue;
    }
    timer.deadline_ms_ = 0;
    timer.owner_.on_timeout();  // may destroy or re-arm any timer
  }
}

}  // namespace ringmaster
