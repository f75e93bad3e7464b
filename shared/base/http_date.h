// A time as Date has it (RFC 9110 section 5.6.7): "Sun, 06 Nov 1994 08:49:37 GMT".
#pragma once

#include <array>
#include <cstddef>
#include <ctime>
#include <string_view>

namespace ringmaster {

class HttpDate {
 public:
  static constexpr std::size_t kBytes = 29;

  // Precondition: not before 1970. Allocates nothing, and asks neither for the locale nor for the
  // time zone's file, as strftime() and gmtime() do.
  explicit HttpDate(std::time_t since_epoch) noexcept;
  std::string_view text() const noexcept { return {text_.data(), text_.size()}; }

 private:
  std::array<char, kBytes> text_;
};

}  // namespace ringmaster
