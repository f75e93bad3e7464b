#include "master/health/slow_start.h"

#include <algorithm>

#include "shared/base/clock.h"

namespace ringmaster {
namespace {

// How often the share grows, at most.
constexpr std::uint64_t kLeastStepMs = 100;
constexpr std::uint64_t kSteps = 100;

}  // namespace

SlowStart::SlowStart(uv_loop_t* loop, Duration whole, UpstreamState& shared, Owner& owner) noexcept
    : loop_(loop),
      shared_(shared),
      owner_(owner),
      whole_ms_(static_cast<std::uint64_t>(whole.count())) {}

void SlowStart::begin() {
  if (whole_ms_ == 0) return;
  shared_.set_ramp_began_ms(monotonic_ms());
  go_on();
}

void SlowStart::go_on() {
  if (shared_.ramp_began_ms() == 0) return;
  if (passed_ms() >= whole_ms_) return end();
  timer_ = open_handle<uv_timer_t>(this, uv_timer_init, loop_);
  start_timer<&SlowStart::on_step>(timer_, Duration(step_ms()), Duration(step_ms()));
}

void SlowStart::end() noexcept {
  shared_.set_ramp_began_ms(0);
  timer_.reset();
}

void SlowStart::on_step() {
  if (passed_ms() >= whole_ms_) end();
  owner_.on_share_grown();
}

// Rounded up to the next step: never none.
KeyShare SlowStart::share() const noexcept {
  const std::uint64_t due_ms = step_ms() + passed_ms();
  return static_cast<KeyShare>(
      std::clamp<std::uint64_t>(due_ms * kAllKeys / whole_ms_, 1, std::uint64_t{kAllKeys}));
}

std::uint64_t SlowStart::passed_ms() const noexcept {
  return monotonic_ms() - shared_.ramp_began_ms();
}

std::uint64_t SlowStart::step_ms() const noexcept {
  return std::max(whole_ms_ / kSteps, kLeastStepMs);
}

}  // namespace ringmaster
