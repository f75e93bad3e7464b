// Turns of the loop are told apart, and long ones from short ones.
#include "worker/io/loop_turn.h"

#include <gtest/gtest.h>

namespace ringmaster::test {
namespace {

constexpr int kMany = 600;  // more than are sure to have been named at once

TEST(LoopTurn, IsToldFromOthers) {
  LoopTurn turn;
  const std::uint64_t number = turn.number();
  const std::uint32_t in_short = turn.short_number();
  EXPECT_NE(in_short, 0u);
  turn.note_event();
  EXPECT_EQ(turn.number(), number);
  turn.begin();
  EXPECT_NE(turn.number(), number);
  EXPECT_NE(turn.short_number(), in_short);
}

TEST(LoopTurn, NeitherALongOneIsReliedOnNorTheOneAfterIt) {
  LoopTurn turn;
  turn.note_event();
  EXPECT_FALSE(turn.may_get_long());
  for (int i = 0; i < kMany; ++i) turn.note_event();
  EXPECT_TRUE(turn.may_get_long());
  turn.begin();
  EXPECT_TRUE(turn.may_get_long()) << "as long as it is not known how long it gets";
  turn.begin();
  EXPECT_FALSE(turn.may_get_long());
}

}  // namespace
}  // namespace ringmaster::test
