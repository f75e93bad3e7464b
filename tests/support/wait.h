// Waiting without guessing: for a condition or an event, with a deadline. Nothing here is a fixed
// sleep. kPatience is for things that must happen at some time; noise() is what a busy machine may
// add to a time that the product promises.
#pragma once

#include <poll.h>

#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <mutex>

#include "tests/support/places.h"

namespace ringmaster::test {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;
using std::chrono::seconds;

inline constexpr milliseconds kPatience = seconds(30);

// Polls until `condition()` holds; false if it still does not after `patience`.
template <class Condition>
[[nodiscard]] bool wait_until(Condition&& condition, milliseconds patience = kPatience) {
  const auto deadline = Clock::now() + patience;
  while (!condition()) {
    if (Clock::now() >= deadline) return false;
    ::poll(nullptr, 0, 3);
  }
  return true;
}

// What scheduling may add to a promised time; RINGMASTER_TEST_NOISE_MS overrides it.
inline milliseconds noise() {
  if (const char* text = std::getenv("RINGMASTER_TEST_NOISE_MS")) {
    return milliseconds(std::atol(text));
  }
  return milliseconds(binary_is_sanitized() ? 3000 : 1000);
}

class Stopwatch {
 public:
  milliseconds elapsed() const {
    return std::chrono::duration_cast<milliseconds>(Clock::now() - start_);
  }

 private:
  Clock::time_point start_ = Clock::now();
};

// Happens once; any thread may wait for it.
class Event {
 public:
  void set() {
    const std::lock_guard lock(mutex_);
    is_set_ = true;
    changed_.notify_all();
  }
  // False if it has not happened after `patience`.
  bool wait(milliseconds patience = kPatience) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, patience, [this] { return is_set_; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool is_set_ = false;
};

}  // namespace ringmaster::test
