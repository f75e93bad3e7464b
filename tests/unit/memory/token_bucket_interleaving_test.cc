// Two processes meet in one set, one of them stopped after each instruction in turn: nobody wins a
// request, nobody loses one, and a killed one takes along no more than the request it was deciding.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <set>
#include <utility>
#include <vector>

#include "shared/memory/token_bucket.h"
#include "tests/unit/memory/forked.h"
#include "tests/unit/memory/stepped_process.h"

namespace ringmaster {
namespace {

using test::Shared;
using test::SharedMemory;
using test::SteppedProcess;

constexpr std::uint64_t kTag = 42;
constexpr std::uint64_t kInterval = 1'000'000;  // ns
constexpr std::uint64_t kStart = 1'000'000'000'000;
constexpr int kBurst = 2;

// One set, and what two processes were granted of kTag's bucket in it.
class Scene {
 public:
  Scene() : memory_(TokenBucketTable::bytes_for(1)), table_(memory_.data(), 1, SipKey{1, 2}) {}

  // Entries whose time comes an eighth of an interval after each other, the last one's first: who
  // looks earlier finds only the last ones free, who looks later takes an earlier one.
  void fill() {
    for (std::uint64_t i = 0; i < 7; ++i) {
      table_.take(1 + i, rate_, kStart - kInterval + (6 - i) * kInterval / 8);
    }
  }
  // One request; one that went to the overflow bucket is another matter.
  void take(std::uint64_t now) {
    const BucketDecision decision = table_.take(kTag, rate_, now);
    if (decision.admitted && !decision.overflow) admitted_->fetch_add(1);
  }
  void drain(std::uint64_t now) {
    for (int i = 0; i < kBurst + 2; ++i) take(now);
  }
  int admitted() const { return admitted_->load(); }
  auto entries() const { return entries_of(kTag); }
  // Pending claims count as well.
  auto traces() const { return entries_of(kTag) + entries_of(kTag | std::uint64_t{1} << 63); }
  void copy_to(Scene& other) const {
    std::memcpy(other.memory_.data(), memory_.data(), TokenBucketTable::bytes_for(1));
    *other.admitted_ = admitted();
  }

 private:
  std::ptrdiff_t entries_of(std::uint64_t tag) const {
    const auto* const set = reinterpret_cast<const BucketSet*>(
        memory_.data() + TokenBucketTable::bytes_for(1) - sizeof(BucketSet));
    return std::count_if(set->clients.begin(), set->clients.end(),
                         [tag](const BucketEntry& entry) { return entry.tag == tag; });
  }

  SharedMemory memory_;
  TokenBucketTable table_;
  BucketRate rate_ = BucketRate::of(1'000, kBurst);
  Shared<std::atomic<int>> admitted_;
};

// Two clocks that disagree about which entries are free.
constexpr std::uint64_t kEarly = kStart;
constexpr std::uint64_t kLate = kStart + kInterval * 2 / 5;

// After how many instructions to stop a take(): around each compare-and-swap, and at `others` more
// places all over it.
std::vector<int> places_to_stop(std::uint64_t now, int others) {
  Scene scene;
  scene.fill();
  SteppedProcess process([&] { scene.take(now); });
  std::set<int> places;
  int at = 0;
  do {
    if (process.is_before_swap()) places.insert({at, at + 1});
    ++at;
  } while (process.step());
  for (int i = 0; i < others; ++i) places.insert(at * i / others);
  return {places.begin(), places.end()};
}

void expect_exactly_one_burst(Scene& scene) {
  scene.drain(kLate);
  ASSERT_EQ(scene.admitted(), kBurst);
  ASSERT_EQ(scene.entries(), 1);
}

class Interleaving : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!SteppedProcess::is_possible()) GTEST_SKIP() << "ptrace is not allowed here";
  }
};

TEST_F(Interleaving, NobodyWinsWhileAnotherIsPaused) {
  for (const auto& [paused_now, other_now] : {std::pair{kEarly, kLate}, {kLate, kEarly}}) {
    for (const int at : places_to_stop(paused_now, 50)) {
      Scene scene;
      scene.fill();
      SteppedProcess paused([&, now = paused_now] { scene.take(now); });
      paused.step(at);
      scene.drain(other_now);
      paused.finish();
      expect_exactly_one_burst(scene);
      ASSERT_FALSE(HasFatalFailure()) << "paused after " << at;
    }
  }
}

// Each is stopped somewhere; then one runs to its end, and then the other.
TEST_F(Interleaving, NobodyWinsWhileBothArePausedInTurn) {
  for (const auto& [first_now, second_now] : {std::pair{kEarly, kLate}, {kLate, kEarly}}) {
    const auto second_places = places_to_stop(second_now, 4);
    for (const int first_at : places_to_stop(first_now, 4)) {
      for (const int second_at : second_places) {
        Scene scene;
        scene.fill();
        SteppedProcess first([&, now = first_now] { scene.take(now); });
        SteppedProcess second([&, now = second_now] { scene.take(now); });
        first.step(first_at);
        second.step(second_at);
        first.finish();
        second.finish();
        expect_exactly_one_burst(scene);
        ASSERT_FALSE(HasFatalFailure()) << "paused after " << first_at << " and " << second_at;
      }
    }
  }
}

TEST_F(Interleaving, AKilledOneTakesAlongItsOwnRequestAtMost) {
  for (const bool is_known : {false, true}) {
    Scene scene, afterwards;
    scene.fill();
    if (is_known) scene.take(kEarly);
    SteppedProcess process([&] { scene.take(kEarly); });
    while (process.step()) {
      scene.copy_to(afterwards);  // as if it had been killed here
      ASSERT_LE(afterwards.traces(), 1);
      afterwards.drain(kEarly);
      ASSERT_LE(afterwards.admitted(), kBurst);
      ASSERT_GE(afterwards.admitted(), kBurst - 1);
      ASSERT_EQ(afterwards.traces(), 1);
      ASSERT_EQ(afterwards.entries(), 1);
    }
  }
}

}  // namespace
}  // namespace ringmaster
