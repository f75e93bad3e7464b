// A line that others can cause at will is written so often and no more, and none is lost uncounted.
#include "shared/base/line_limit.h"

#include <gtest/gtest.h>

namespace ringmaster::log {
namespace {

TEST(LineLimit, AdmitsSoManyInAPeriodAndTellsOfTheRest) {
  LineLimit limit(2, 1000);
  EXPECT_TRUE(limit.admits(5000));
  EXPECT_EQ(limit.note(), "");
  EXPECT_TRUE(limit.admits(5900));
  EXPECT_FALSE(limit.admits(5950));
  EXPECT_FALSE(limit.admits(5999));
  EXPECT_TRUE(limit.admits(6000));
  EXPECT_EQ(limit.note(), " (2 lines like this left out)");
  EXPECT_TRUE(limit.admits(6001));
  EXPECT_EQ(limit.note(), "") << "told once";
}

TEST(LineLimit, OwesALineOnceThereIsRoomAgain) {
  LineLimit limit(1, 1000);
  EXPECT_FALSE(limit.owes(5000));
  EXPECT_TRUE(limit.admits(5000));
  EXPECT_FALSE(limit.owes(9000)) << "nothing was left out";
  EXPECT_TRUE(limit.admits(9000));
  EXPECT_FALSE(limit.admits(9500));
  EXPECT_FALSE(limit.owes(9999));
  EXPECT_TRUE(limit.owes(10'000));
}

}  // namespace
}  // namespace ringmaster::log
