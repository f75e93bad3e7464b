#include "shared/base/http_date.h"

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

HttpDate::HttpDate(std::time_t since_epoch) noexcept {
  const std::chrono::sys_seconds time{std::chrono::seconds(since_epoch)};
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

}  // namespace ringmaster
