#include "worker/io/free_list.h"

#include <gtest/gtest.h>

#include <vector>

namespace ringmaster {
namespace {

#if !defined(__SANITIZE_ADDRESS__)  // under which nothing is kept

constexpr std::size_t kBytes = 64;
constexpr std::size_t kKept = 4;

class FreeListTest : public ::testing::Test {
 protected:
  // As many at once, and back again.
  void burst(std::size_t count) {
    std::vector<void*> taken;
    for (std::size_t i = 0; i < count; ++i) taken.push_back(list.take());
    for (void* block : taken) list.put(block);
  }

  FreeList list{kBytes, std::align_val_t{16}, kKept};
};

TEST_F(FreeListTest, TheBlockGivenBackLastIsTakenNext) {
  void* first = list.take();
  void* second = list.take();
  list.put(first);
  list.put(second);
  EXPECT_EQ(list.take(), second);
  EXPECT_EQ(list.take(), first);
  list.put(first);
  list.put(second);
}

TEST_F(FreeListTest, WhatIsKeptForGoodIsNoSurplus) {
  burst(kKept);
  EXPECT_FALSE(list.has_surplus());
  for (int step = 0; step < 5; ++step) EXPECT_EQ(list.release_surplus(true), 0u);
  EXPECT_EQ(list.size(), kKept);
}

TEST_F(FreeListTest, ABurstIsReleasedOnceItIsQuiet) {
  burst(100);
  EXPECT_TRUE(list.has_surplus());
  EXPECT_EQ(list.release_surplus(false), 0u);  // all were in use within this step
  EXPECT_EQ(list.release_surplus(false), (100 - kKept) * kBytes);
  EXPECT_FALSE(list.has_surplus());
  EXPECT_EQ(list.size(), kKept);
}

TEST_F(FreeListTest, SteadyTrafficKeepsWhatItNeedsAndLosesTheRestAtTheRoundsEnd) {
  burst(100);
  list.release_surplus(true);
  for (int step = 0; step < 10; ++step) {
    for (int wave = 0; wave < 5; ++wave) burst(40);
    EXPECT_EQ(list.release_surplus(false), 0u);
  }
  EXPECT_EQ(list.release_surplus(true), 60 * kBytes);
  for (int wave = 0; wave < 5; ++wave) burst(40);
  EXPECT_EQ(list.release_surplus(true), 0u);
  EXPECT_EQ(list.size(), 40u);
}

TEST_F(FreeListTest, ATrickleDoesNotKeepABurst) {
  burst(100);
  for (int step = 0; step < 3; ++step) {
    list.release_surplus(false);
    burst(1);
  }
  EXPECT_LE(list.size(), kKept + 1);
}

TEST(FreeListOfLots, AllocatesALotAtATimeAndGivesBackWhatOfItIsNotKept) {
  FreeList list(kBytes, std::align_val_t{16}, kKept, 8);
  std::vector<void*> taken;
  for (std::size_t i = 0; i < 9; ++i) taken.push_back(list.take());
  EXPECT_EQ(list.size(), 7u) << "of the second lot";
  std::size_t released = 0;
  for (int step = 0; step < 3; ++step) released += list.release_surplus(false);
  EXPECT_EQ(released, 3 * kBytes);
  for (void* block : taken) list.put(block);
  EXPECT_EQ(list.size(), kKept + 9);
}

#endif

}  // namespace
}  // namespace ringmaster
