// Times for people and programs to read, always in UTC.
#pragma once

#include <fmt/format.h>

#include <array>
#include <cstdint>
#include <ctime>
#include <string>
#include <string_view>

namespace ringmaster {

// RFC 3339 without what comes behind the second: "2024-05-01T12:00:00". Allocates nothing.
class Rfc3339Second {
 public:
  Rfc3339Second() noexcept = default;
  explicit Rfc3339Second(std::time_t since_epoch) noexcept {
    std::tm t{};
    ::gmtime_r(&since_epoch, &t);
    fmt::format_to_n(text_.data(), text_.size(), "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}",
                     t.tm_year + 1900, t.tm_mon + 1, t.tm_mday, t.tm_hour, t.tm_min, t.tm_sec);
  }
  std::string_view text() const noexcept { return {text_.data(), text_.size()}; }

 private:
  std::array<char, 19> text_{};
};

// The whole, to the millisecond or the microsecond: "2024-05-01T12:00:00.250Z".
inline std::string rfc3339_from_ms(std::int64_t since_epoch) {
  return fmt::format("{}.{:03}Z", Rfc3339Second(since_epoch / 1000).text(), since_epoch % 1000);
}
inline std::string rfc3339_from_us(std::uint64_t since_epoch) {
  const auto second = static_cast<std::time_t>(since_epoch / 1'000'000);
  return fmt::format("{}.{:06}Z", Rfc3339Second(second).text(), since_epoch % 1'000'000);
}

}  // namespace ringmaster
