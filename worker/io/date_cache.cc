#include "worker/io/date_cache.h"

#include <chrono>
#include <cstring>

namespace ringmaster {
namespace {

constexpr char kDays[] = "SunMonTueWedThuFriSat";
constexpr char kMonths[] = "JanFebMarAprMayJunJulAugSepOctNovDec";

void put_digits(char* at, unsigned value, int digits) noexcept {
  for (int i = digits; i-- > 0; value /= 10) at[i] = static_cast<char>('0' + value % 10);
}

}  // namespace

std::string_view DateCache::now() noexcept {
  return at(std::time(nullptr));  // no system call: read from the page that the kernel shows
}

// By hand, since strftime() asks for the locale and gmtime() for the time zone's file.
std::string_view DateCache::at(std::time_t second) noexcept {
  if (second != second_) {
    second_ = second;
    const std::chrono::sys_seconds time{std::chrono::seconds(second)};
    const auto day = std::chrono::floor<std::chrono::days>(time);
    const std::chrono::year_month_day date(day);
    const auto of_day = static_cast<unsigned>((time - day).count());
    char* const text = text_.data();
    std::memcpy(text, "Day, 00 Mon 0000 00:00:00 GMT", text_.size());
    std::memcpy(text, kDays + 3 * std::chrono::weekday(day).c_encoding(), 3);
    put_digits(text + 5, static_cast<unsigned>(date.day()), 2);
    std::memcpy(text + 8, kMonths + 3 * (static_cast<unsigned>(date.month()) - 1), 3);
    put_digits(text + 12, static_cast<unsigned>(static_cast<int>(date.year())), 4);
    put_digits(text + 17, of_day / 3600, 2);
    put_digits(text + 20, of_day / 60 % 60, 2);
    put_digits(text + 23, of_day % 60, 2);
  }
  return {text_.data(), text_.size()};
}

}  // namespace ringmaster
