// What the tests of the master's parts share: a loop that is run until something is true, a log
// that can be read, a segment with backends. Nobody sleeps: waiting is for a condition, with a
// deadline.
#pragma once

#include <gtest/gtest.h>
#include <spdlog/sinks/ostream_sink.h>
#include <spdlog/spdlog.h>
#include <uv.h>

#include <chrono>
#include <csignal>
#include <memory>
#include <sstream>
#include <string>

namespace ringmaster::test {

// Declared before what lives on it. Its end proves that nothing was left open.
class TestLoop {
 public:
  TestLoop() {
    std::signal(SIGPIPE, SIG_IGN);  // as in the master
    uv_loop_init(&loop_);
    uv_timer_init(&loop_, &tick_);
  }
  TestLoop(const TestLoop&) = delete;
  TestLoop& operator=(const TestLoop&) = delete;
  ~TestLoop() {
    uv_close(reinterpret_cast<uv_handle_t*>(&tick_), nullptr);
    for (int turn = 0; turn < 100 && uv_run(&loop_, UV_RUN_NOWAIT) != 0; ++turn) {
    }
    EXPECT_EQ(uv_loop_close(&loop_), 0) << "a handle or a request outlived its owner";
  }

  uv_loop_t* get() noexcept { return &loop_; }
  void turn() { uv_run(&loop_, UV_RUN_NOWAIT); }

  // Turns until `condition` holds; false if it does not within the deadline.
  template <class Condition>
  bool run_until(Condition condition,
                 std::chrono::milliseconds deadline = std::chrono::seconds(10)) {
    using Clock = std::chrono::steady_clock;
    const auto end = Clock::now() + deadline;
    uv_timer_start(
        &tick_, [](uv_timer_t*) {}, 1, 1);  // so that a wait for events ends
    bool met = condition();
    while (!met && Clock::now() < end) {
      uv_run(&loop_, UV_RUN_ONCE);
      met = condition();
    }
    uv_timer_stop(&tick_);
    return met;
  }

 private:
  uv_loop_t loop_;
  uv_timer_t tick_;
};

// Catches what is logged while it lives.
class CapturedLog {
 public:
  CapturedLog() : before_(spdlog::default_logger()) {
    auto sink = std::make_shared<spdlog::sinks::ostream_sink_st>(text_);
    auto logger = std::make_shared<spdlog::logger>("test", std::move(sink));
    logger->set_pattern("%l %v");
    spdlog::set_default_logger(std::move(logger));
  }
  CapturedLog(const CapturedLog&) = delete;
  CapturedLog& operator=(const CapturedLog&) = delete;
  ~CapturedLog() { spdlog::set_default_logger(before_); }

  std::string text() const { return text_.str(); }
  // How often `line` was logged, level first: "info s1 up: 200, first probe".
  int count(const std::string& line) const {
    int found = 0;
    const std::string text = text_.str();
    for (auto at = text.find(line + "\n"); at != text.npos; at = text.find(line + "\n", at + 1)) {
      ++found;
    }
    return found;
  }

 private:
  std::ostringstream text_;
  std::shared_ptr<spdlog::logger> before_;
};

}  // namespace ringmaster::test
