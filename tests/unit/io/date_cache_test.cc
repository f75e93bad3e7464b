// The date as RFC 9110 section 5.6.7 wants it, beside what the C library makes of the same second.
#include <gtest/gtest.h>

#include <ctime>
#include <string>

#include "worker/io/date_cache.h"

namespace ringmaster {
namespace {

TEST(DateCache, WritesTheFixedLengthForm) {
  DateCache date;
  EXPECT_EQ(date.at(784111777), "Sun, 06 Nov 1994 08:49:37 GMT");
  EXPECT_EQ(date.at(0), "Thu, 01 Jan 1970 00:00:00 GMT");
}

TEST(DateCache, AgreesWithTheCalendar) {
  DateCache date;
  // Some eight hundred years in steps that meet every day of the week and hour of the day.
  for (std::time_t second = 0; second < 25'000'000'000; second += 86'400 * 11 + 3'607) {
    std::tm parts;
    gmtime_r(&second, &parts);
    char text[32];
    const std::size_t size = std::strftime(text, sizeof text, "%a, %d %b %Y %H:%M:%S GMT", &parts);
    ASSERT_EQ(date.at(second), std::string_view(text, size));
  }
}

TEST(DateCache, FollowsTheClock) {
  DateCache date;
  const std::time_t before = std::time(nullptr);
  const std::string now(date.now());
  DateCache other;
  bool found = false;
  for (std::time_t second = before; second <= std::time(nullptr) + 1; ++second) {
    found |= other.at(second) == now;
  }
  EXPECT_TRUE(found) << now;
}

}  // namespace
}  // namespace ringmaster
