// What can be said of the order of things within one turn of the loop, and when it cannot.
#include "worker/io/loop_turn.h"

#include <gtest/gtest.h>

namespace ringmaster::test {
namespace {

constexpr int kMany = 600;  // more than are sure to have been named at once

TEST(LoopTurn, WhatAShortTurnBringsWasNamedBeforeAnythingWasDoneInIt) {
  LoopTurn turn;
  const std::uint64_t number = turn.number();
  turn.note_event();
  EXPECT_TRUE(turn.was_named_before(number));
  EXPECT_FALSE(turn.may_get_long());
  turn.begin();
  EXPECT_FALSE(turn.was_named_before(number));
}

TEST(LoopTurn, NeitherALongOneIsReliedOnNorTheOneAfterIt) {
  LoopTurn turn;
  for (int i = 0; i < kMany; ++i) turn.note_event();
  EXPECT_FALSE(turn.was_named_before(turn.number()));
  EXPECT_TRUE(turn.may_get_long());
  turn.begin();
  EXPECT_TRUE(turn.may_get_long()) << "as long as it is not known how long it gets";
  turn.begin();
  EXPECT_FALSE(turn.may_get_long());
}

}  // namespace
}  // namespace ringmaster::test
