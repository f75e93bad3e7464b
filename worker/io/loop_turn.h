// One turn of the worker's loop: what the kernel named in answer to one question. Owner: the
// worker's Outbox, which is emptied when a turn ends.
#pragma once

#include <cstdint>

namespace ringmaster {

class LoopTurn {
 public:
  void begin() noexcept {
    ++number_;
    last_was_long_ = events_ >= kFewEvents;
    events_ = next_sign_ = 0;
  }
  // Something happened to a connection, or was looked for there.
  void note_event() noexcept { ++events_; }

  std::uint64_t number() const noexcept { return number_; }
  // Where one turn is only to be told from those around it. Never 0.
  std::uint32_t short_number() const noexcept {
    return static_cast<std::uint32_t>(number_) | 1u << 31;
  }
  // Whether so much happens in this turn, by what is known so far, that libuv may ask the kernel a
  // second time: then not all that it still tells of came before all that was done.
  bool may_get_long() const noexcept { return last_was_long_ || events_ >= kFewEvents; }
  // True once in some events: a turn that is long because thousands ask at once is no hang.
  bool is_time_for_a_sign() noexcept {
    if (events_ < next_sign_) return false;
    next_sign_ = events_ + kEventsASign;
    return true;
  }

 private:
  // Half of what libuv takes from the kernel at once: listeners and the like are not noted.
  static constexpr std::uint32_t kFewEvents = 512;
  static constexpr std::uint32_t kEventsASign = 32;

  std::uint64_t number_ = 1;
  std::uint32_t events_ = 0;
  std::uint32_t next_sign_ = 0;
  bool last_was_long_ = false;
};

}  // namespace ringmaster
