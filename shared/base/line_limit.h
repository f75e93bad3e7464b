// Keeps one kind of line in the log within bounds: so many in a period, the rest only counted, and
// the count told with the next line. For what a client, a request or a backend may cause as often
// as it likes.
#pragma once

#include <spdlog/fmt/fmt.h>

#include <cstdint>
#include <string>
#include <utility>

namespace ringmaster::log {

class LineLimit {
 public:
  // At least one line.
  constexpr LineLimit(std::uint32_t lines, std::uint64_t period_ms) noexcept
      : lines_(lines), period_ms_(period_ms) {}

  // False: leave the line out; it has been counted.
  bool admits(std::uint64_t now_ms) noexcept {
    if (is_over(now_ms)) {
      began_ms_ = now_ms;
      written_ = 0;
    }
    const bool admitted = written_ < lines_;
    ++(admitted ? written_ : left_out_);
    return admitted;
  }
  // Lines were left out, and there would be room for one by now.
  bool owes(std::uint64_t now_ms) const noexcept { return left_out_ != 0 && is_over(now_ms); }
  // For the end of an admitted line: how many were left out before it; empty for none.
  std::string note() {
    const std::uint32_t count = std::exchange(left_out_, 0u);
    return count == 0 ? std::string() : fmt::format(" ({} lines like this left out)", count);
  }

 private:
  bool is_over(std::uint64_t now_ms) const noexcept {
    return written_ == 0 || now_ms - began_ms_ >= period_ms_;
  }

  // Constant after construction.
  const std::uint32_t lines_;
  const std::uint64_t period_ms_;
  std::uint64_t began_ms_ = 0;
  std::uint32_t written_ = 0;  // in the period
  std::uint32_t left_out_ = 0;
};

}  // namespace ringmaster::log
