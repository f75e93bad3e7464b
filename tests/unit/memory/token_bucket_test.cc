// What the rate limit promises: exact to one request, over any number of processes, whatever
// happens to them. Time is an argument; only the tests that hammer read a clock.
#include "shared/memory/token_bucket.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <random>
#include <set>

#include "shared/base/clock.h"
#include "shared/base/unique_fd.h"
#include "shared/memory/limits.h"
#include "tests/unit/memory/forked.h"

namespace ringmaster {
namespace {

using test::Barrier;
using test::in_processes;
using test::Shared;
using test::SharedMemory;

constexpr SipKey kKey{0x0123456789abcdef, 0xfedcba9876543210};
constexpr std::uint64_t kSecond = 1'000'000'000;
constexpr std::uint64_t kStart = 1'000 * kSecond;  // machines have run for a while
constexpr std::uint32_t kOneSet = 7;
constexpr std::uint64_t kTag = 42;

// A table in memory that children share.
class Table {
 public:
  explicit Table(std::uint32_t entries, int fd = -1)
      : bytes_(TokenBucketTable::bytes_for(entries)),
        memory_(bytes_, fd),
        table_(memory_.data(), entries, kKey) {}
  TokenBucketTable* operator->() { return &table_; }
  // The sets lie at the end.
  BucketSet& last_set() const {
    return *reinterpret_cast<BucketSet*>(memory_.data() + bytes_ - sizeof(BucketSet));
  }
  std::size_t entries_of(std::uint64_t tag) const {
    return static_cast<std::size_t>(
        std::count_if(last_set().clients.begin(), last_set().clients.end(),
                      [tag](const BucketEntry& entry) { return entry.tag == tag; }));
  }
  // Takes until refused; how many there were.
  int drain(std::uint64_t tag, const BucketRate& rate, std::uint64_t now) {
    int admitted = 0;
    while (table_.take(tag, rate, now).admitted) ++admitted;
    return admitted;
  }

 private:
  std::size_t bytes_;
  SharedMemory memory_;
  TokenBucketTable table_;
};

IpAddress ip(const char* text) {
  return *IpAddress::parse(text);
}

// ---- One process, one client ----

TEST(TokenBucket, AdmitsItsBurstAtOnceAndThenOneAnInterval) {
  Table table(kOneSet);
  const auto rate = BucketRate::of(100, 5);
  EXPECT_EQ(table.drain(kTag, rate, kStart), 5);
  EXPECT_EQ(table.drain(kTag, rate, kStart + 9'999'999), 0);
  EXPECT_EQ(table.drain(kTag, rate, kStart + 10'000'000), 1);
  EXPECT_EQ(table.drain(kTag, rate, kStart + 30'000'000), 2);
}

TEST(TokenBucket, SavesUpNoMoreThanItsBurst) {
  Table table(kOneSet);
  const auto rate = BucketRate::of(100, 5);
  EXPECT_EQ(table.drain(kTag, rate, kStart), 5);
  EXPECT_EQ(table.drain(kTag, rate, kStart + 3'600 * kSecond), 5);
}

TEST(TokenBucket, ABurstOfZeroStillAdmitsOneAtATime) {
  Table table(kOneSet);
  EXPECT_EQ(table.drain(kTag, BucketRate::of(10, 0), kStart), 1);
}

TEST(TokenBucket, ARateOfZeroLimitsNothing) {
  Table table(kOneSet);
  const auto rate = BucketRate::of(0, 0);
  for (int i = 0; i < 1'000; ++i) ASSERT_TRUE(table->take(kTag, rate, kStart).admitted);
}

TEST(TokenBucket, RefusalsCostTheClientNothing) {
  Table table(kOneSet);
  const auto rate = BucketRate::of(100, 5);
  EXPECT_EQ(table.drain(kTag, rate, kStart), 5);
  for (int i = 0; i < 1'000; ++i) EXPECT_FALSE(table->take(kTag, rate, kStart + 1).admitted);
  EXPECT_EQ(table.drain(kTag, rate, kStart + 10'000'000), 1);
}

TEST(TokenBucket, RefusesUntilTheInstantItNamedAndNoLonger) {
  for (const std::uint32_t requests : {1u, 3u, 7u, 100u, 999u, 5'000u, 200'000u, 1'000'000u}) {
    for (const std::uint32_t burst : {1u, 2u, 10u}) {
      Table table(kOneSet);
      const auto rate = BucketRate::of(requests, burst);
      ASSERT_EQ(table.drain(kTag, rate, kStart), static_cast<int>(burst));
      const BucketDecision refused = table->take(kTag, rate, kStart + 1);
      ASSERT_FALSE(refused.admitted);
      ASSERT_GT(refused.retry_in_ns, 0u);
      EXPECT_FALSE(table->take(kTag, rate, kStart + 1 + refused.retry_in_ns - 1).admitted);
      const BucketDecision late = table->take(kTag, rate, kStart + 1 + refused.retry_in_ns);
      EXPECT_TRUE(late.admitted) << requests << "/s, burst " << burst;
      EXPECT_EQ(late.retry_in_ns, 0u);
    }
  }
}

// At any rate, however its interval is cut, and with nothing saved up.
TEST(TokenBucket, NeverRefusesAClientAtExactlyItsRate) {
  for (const std::uint64_t requests :
       {1u, 3u, 7u, 30u, 100u, 3'333u, 5'000u, 77'777u, 200'000u, 999'999u, 1'000'000u}) {
    Table table(kOneSet);
    const auto rate = BucketRate::of(static_cast<std::uint32_t>(requests), 1);
    for (std::uint64_t i = 0; i < 200'000; ++i) {
      const std::uint64_t now = kStart + i * kSecond / requests;
      ASSERT_TRUE(table->take(kTag, rate, now).admitted) << "request " << i << " at " << requests;
    }
  }
}

TEST(TokenBucket, AdmitsExactlyItsRateInTheLongRun) {
  struct Case {
    std::uint32_t requests, burst, seconds;
  };
  for (const Case c : {Case{1, 1, 3'600}, Case{3, 3, 3'600}, Case{7, 1, 3'600}, Case{30, 60, 600},
                       Case{100, 100, 600}, Case{5'000, 5'000, 60}, Case{10'007, 20, 30},
                       Case{200'000, 200'000, 5}, Case{1'000'000, 1'000, 2}}) {
    Table table(kOneSet);
    const auto rate = BucketRate::of(c.requests, c.burst);
    const double exact = c.burst + static_cast<double>(c.requests) * c.seconds;
    const std::uint64_t end = kStart + c.seconds * kSecond;
    double admitted = 0;
    for (std::uint64_t now = kStart; now <= end;) {
      const BucketDecision decision = table->take(kTag, rate, now);
      admitted += decision.admitted;
      now += decision.retry_in_ns;
    }
    EXPECT_NEAR(admitted, exact, 1.0) << c.requests << "/s";
  }
}

// Processes read the clock one after the other and come in another order.
TEST(TokenBucket, ToleratesANowThatIsEarlierThanTheLast) {
  Table table(kOneSet);
  const auto rate = BucketRate::of(1'000, 4);
  std::mt19937 random(3);
  int admitted = 0;
  for (std::uint64_t i = 0; i < 100'000; ++i) {
    const BucketDecision decision =
        table->take(kTag, rate, kStart + i * 10'000 - random() % 2'000'000);
    admitted += decision.admitted;
    ASSERT_LT(decision.retry_in_ns, 10'000'000u);
  }
  EXPECT_NEAR(admitted, 1'000 + 4, 3);  // two milliseconds of disorder are worth two requests
  EXPECT_FALSE(table->take(kTag, rate, 0).admitted);
}

TEST(TokenBucket, CountsWithTheLargestNumbersThatAConfigAllows) {
  constexpr std::uint32_t kMost = 0xffffffff;
  constexpr std::uint64_t kTwentyYears = 20ull * 365 * 86'400 * kSecond;
  Table table(kOneSet);
  const auto slow_and_deep = BucketRate::of(1, kMost);
  for (int i = 0; i < 1'000; ++i) {
    ASSERT_TRUE(table->take(1, slow_and_deep, kTwentyYears).admitted);
  }
  const auto fastest = BucketRate::of(kMost, 1);
  EXPECT_TRUE(table->take(2, fastest, kTwentyYears).admitted);
  EXPECT_TRUE(table->take(2, fastest, kTwentyYears + 1).admitted);
  const auto slowest = BucketRate::of(1, 1);
  EXPECT_EQ(table.drain(3, slowest, kTwentyYears), 1);
  EXPECT_EQ(table->take(3, slowest, kTwentyYears).retry_in_ns, kSecond);
}

// ---- A rate that changes ----

TEST(TokenBucketRepriced, AsksNoOneToWaitByTheRateOfBefore) {
  Table table(kOneSet);
  const auto slow = BucketRate::of(1, 100);
  const auto fast = BucketRate::of(1'000, 10);
  EXPECT_EQ(table.drain(kTag, slow, kStart), 100);
  table->reprice(slow.interval, fast, kStart);
  EXPECT_EQ(table.drain(kTag, fast, kStart), 0) << "what was spent is spent";
  EXPECT_EQ(table.drain(kTag, fast, kStart + 1'000'000), 1);
  EXPECT_EQ(table.drain(kTag, fast, kStart + kSecond), 10);
}

TEST(TokenBucketRepriced, GivesNoOneAFreshBurst) {
  Table table(kOneSet);
  const auto fast = BucketRate::of(1'000, 10);
  const auto slow = BucketRate::of(1, 10);
  EXPECT_EQ(table.drain(kTag, fast, kStart), 10);
  EXPECT_TRUE(table->take(kTag + 1, fast, kStart).admitted);
  table->reprice(fast.interval, slow, kStart);
  EXPECT_EQ(table.drain(kTag, slow, kStart), 0);
  EXPECT_EQ(table.drain(kTag + 1, slow, kStart), 9);
  EXPECT_EQ(table.drain(kTag, slow, kStart + 3 * kSecond), 3);
}

TEST(TokenBucketRepriced, OfAPriceThatIsNotKnownOnlyBoundsWhatIsOwed) {
  Table table(kOneSet);
  const auto slow = BucketRate::of(1, 100);
  const auto fast = BucketRate::of(10, 10);
  EXPECT_EQ(table.drain(kTag, slow, kStart), 100);
  table->reprice(0, fast, kStart);
  EXPECT_EQ(table.drain(kTag, fast, kStart), 0);
  EXPECT_EQ(table.drain(kTag, fast, kStart + kSecond), 10);
}

TEST(TokenBucketRepriced, TheOverflowBucketToo) {
  Table table(kOneSet);
  const auto slow = BucketRate::of(1, 100);
  const auto fast = BucketRate::of(1'000, 10);
  for (std::uint64_t tag = 1; tag <= kOneSet; ++tag) {
    ASSERT_TRUE(table->take(tag, slow, kStart).admitted);
  }
  ASSERT_TRUE(table->take(99, slow, kStart).overflow);
  ASSERT_EQ(table.drain(99, slow, kStart), 99);
  table->reprice(slow.interval, fast, kStart);
  EXPECT_EQ(table->take(99, fast, kStart).retry_in_ns, 1'000'000u);
}

TEST(TokenBucketRepriced, LosesNoTokenThatIsTakenMeanwhile) {
  constexpr std::uint32_t kTakers = 3;
  constexpr std::uint32_t kEach = 20'000;
  Table table(kOneSet);
  const auto rate = BucketRate::of(1, kTakers * kEach);
  Shared<std::atomic<std::uint32_t>> admitted;
  Shared<std::atomic<std::uint32_t>> taking;
  taking->store(kTakers);
  in_processes(kTakers + 1, [&](std::uint32_t which) {
    if (which == kTakers) {
      while (taking->load() != 0) table->reprice(rate.interval, rate, kStart);
      return;
    }
    for (std::uint32_t i = 0; i < kEach; ++i) {
      if (table->take(kTag, rate, kStart).admitted) admitted->fetch_add(1);
    }
    taking->fetch_sub(1);
  });
  EXPECT_EQ(admitted->load(), kTakers * kEach);
  EXPECT_FALSE(table->take(kTag, rate, kStart).admitted);
}

// ---- Who is one client ----

TEST(TokenBucket, TellsIpv4ClientsApartByTheWholeAddress) {
  Table table(kOneSet);
  EXPECT_NE(table->tag_of(ip("192.0.2.1"), 64), table->tag_of(ip("192.0.2.2"), 64));
  EXPECT_EQ(table->tag_of(ip("192.0.2.1"), 64), table->tag_of(ip("192.0.2.1"), 48));
  EXPECT_EQ(table->tag_of(ip("192.0.2.1"), 64), table->tag_of(ip("::ffff:192.0.2.1"), 64));
}

TEST(TokenBucket, TakesAnIpv6PrefixForOneClient) {
  Table table(kOneSet);
  const auto tag = table->tag_of(ip("2001:db8:1:2::1"), 64);
  EXPECT_EQ(table->tag_of(ip("2001:db8:1:2:ffff:ffff:ffff:ffff"), 64), tag);
  EXPECT_NE(table->tag_of(ip("2001:db8:1:3::1"), 64), tag);
  EXPECT_EQ(table->tag_of(ip("2001:db8:1:3::1"), 48), table->tag_of(ip("2001:db8:1:2::1"), 48));
  EXPECT_NE(table->tag_of(ip("2001:db8:1:2::1"), 128), table->tag_of(ip("2001:db8:1:2::2"), 128));
  EXPECT_EQ(table->tag_of(ip("2001:db8:1:2ff::1"), 56), table->tag_of(ip("2001:db8:1:200::"), 56));
}

TEST(TokenBucket, PlacesClientsWhereOnlyTheKeysOwnerCanTell) {
  Table table(kOneSet);
  SharedMemory memory(TokenBucketTable::bytes_for(kOneSet));
  const TokenBucketTable other(memory.data(), kOneSet, {kKey.k0 + 1, kKey.k1});
  std::set<std::uint64_t> tags;
  for (int i = 0; i < 1'000; ++i) {
    const auto address =
        ip(("10.0." + std::to_string(i / 250) + "." + std::to_string(i % 250)).c_str());
    EXPECT_NE(table->tag_of(address, 64), other.tag_of(address, 64));
    tags.insert(table->tag_of(address, 64));
  }
  EXPECT_EQ(tags.size(), 1'000u);
}

// ---- More clients than there is room for ----

TEST(TokenBucket, ChargesNewcomersToAFullSetToOneOverflowBucket) {
  Table table(kOneSet);
  const auto rate = BucketRate::of(100, 5);
  for (std::uint64_t tag = 1; tag <= 7; ++tag) EXPECT_EQ(table.drain(tag, rate, kStart), 5);
  int admitted = 0;
  for (std::uint64_t tag = 100; tag < 200; ++tag) {
    const BucketDecision decision = table->take(tag, rate, kStart + 1);
    EXPECT_TRUE(decision.overflow);
    EXPECT_EQ(decision.admitted, decision.retry_in_ns == 0);
    admitted += decision.admitted;
  }
  EXPECT_EQ(admitted, 5);  // all newcomers together
  for (std::uint64_t tag = 1; tag <= 7; ++tag) {
    EXPECT_FALSE(table->take(tag, rate, kStart + 1).overflow);
  }
}

TEST(TokenBucket, GivesAnEntryAwayOnlyOnceItsBucketIsFull) {
  Table table(kOneSet);
  const auto rate = BucketRate::of(100, 5);
  for (std::uint64_t tag = 1; tag <= 7; ++tag) EXPECT_EQ(table.drain(tag, rate, kStart), 5);
  const std::uint64_t full_again = kStart + 50'000'000;
  EXPECT_TRUE(table->take(100, rate, full_again - 1).overflow);
  EXPECT_FALSE(table->take(100, rate, full_again).overflow);
  EXPECT_EQ(table.drain(100, rate, full_again), 4);
}

// Someone with any number of addresses, beside seven clients who use what is theirs.
TEST(TokenBucket, ChurningAddressesWinsNoFreshBurst) {
  Table table(kOneSet);
  const auto rate = BucketRate::of(100, 50);
  for (std::uint64_t tag = 1; tag <= 7; ++tag) EXPECT_EQ(table.drain(tag, rate, kStart), 50);
  int attackers = 0;
  std::array<int, 8> clients{};
  std::uint64_t fresh = 1'000;
  for (std::uint64_t now = kStart; now <= kStart + 10 * kSecond; now += 1'000'000) {
    for (int i = 0; i < 5; ++i) attackers += table->take(++fresh, rate, now).admitted;
    for (std::size_t tag = 1; tag <= 7; ++tag) clients[tag] += table->take(tag, rate, now).admitted;
  }
  EXPECT_NEAR(attackers, 50 + 10 * 100, 1);
  for (std::size_t tag = 1; tag <= 7; ++tag) EXPECT_NEAR(clients[tag], 10 * 100, 1);
}

// And where nobody else is there: no more than the set's eight buckets.
TEST(TokenBucket, ChurningAddressesWinsNoMoreThanTheSetHasBuckets) {
  Table table(kOneSet);
  const auto rate = BucketRate::of(100, 50);
  int admitted = 0;
  std::uint64_t fresh = 1'000;
  for (std::uint64_t now = kStart; now <= kStart + 10 * kSecond; now += 100'000) {
    admitted += table->take(++fresh, rate, now).admitted;
  }
  EXPECT_LE(admitted, 8 * (50 + 10 * 100));
}

TEST(TokenBucket, CountsClientsWhoseBucketIsNotFull) {
  Table table(10'000);
  const auto rate = BucketRate::of(100, 5);
  EXPECT_EQ(table->count_active(kStart), 0u);
  for (std::uint32_t i = 0; i < 1'000; ++i) {
    IpAddress address = ip("10.0.0.0");
    address.bytes[14] = static_cast<std::uint8_t>(i >> 8);
    address.bytes[15] = static_cast<std::uint8_t>(i);
    const auto decision = table->take(table->tag_of(address, 64), rate, kStart);
    ASSERT_TRUE(decision.admitted && !decision.overflow);
  }
  EXPECT_EQ(table->count_active(kStart), 1'000u);
  EXPECT_EQ(table->count_active(kStart + 9'999'999), 1'000u);
  EXPECT_EQ(table->count_active(kStart + 10'000'000), 0u);
}

TEST(TokenBucket, CountingBringsNoPageIntoBeing) {
  UniqueFd memfd(::memfd_create("buckets", MFD_CLOEXEC));
  const auto bytes = TokenBucketTable::bytes_for(kMaxRateLimitEntries);
  ASSERT_EQ(::ftruncate(memfd.get(), static_cast<off_t>(bytes)), 0);
  Table table(kMaxRateLimitEntries, memfd.get());
  const auto rate = BucketRate::of(100, 5);
  for (std::uint64_t i = 0; i < 100; ++i) {
    ASSERT_TRUE(table->take(1 + i * 0x9e3779b9, rate, kStart).admitted);
  }
  const auto allocated = [&memfd] {
    struct stat status {};
    ::fstat(memfd.get(), &status);
    return status.st_blocks;
  };
  const auto before = allocated();
  EXPECT_EQ(table->count_active(kStart), 100u);
  EXPECT_EQ(table->count_active(kStart + kSecond), 0u);
  // A page of hints that lies between others may be looked at for the first time: 32 at most.
  EXPECT_LE(allocated() - before, 32 * 8);
  EXPECT_LT(allocated() * 512, 2'000'000);
}

// A reload may change the table's size while both generations serve.
TEST(TokenBucket, ViewsOfDifferentSizesShareTheMemoryInPeace) {
  constexpr std::uint32_t kLarge = 100'000;
  SharedMemory memory(TokenBucketTable::bytes_for(kLarge));
  TokenBucketTable large(memory.data(), kLarge, kKey);
  TokenBucketTable small(memory.data(), 1'000, kKey);
  const auto rate = BucketRate::of(100, 5);
  for (std::uint64_t i = 1; i <= 500; ++i) {
    const std::uint64_t tag = i * 0x9e3779b97f4a7c15 >> 1;
    int admitted = 0;
    for (int k = 0; k < 10; ++k) {
      admitted += large.take(tag, rate, kStart).admitted;
      admitted += small.take(tag, rate, kStart).admitted;
    }
    EXPECT_TRUE(admitted == 5 || admitted == 10) << admitted;
  }
}

// ---- Many processes ----

constexpr std::uint32_t kProcesses = 4;

// What processes report of one test. Each adds to the sum when done.
struct Tally {
  Barrier barrier;
  std::atomic<std::uint64_t> admitted{0};
};

class HammeredBucket : public ::testing::TestWithParam<std::uint32_t> {};

TEST_P(HammeredBucket, AdmitsBurstPlusRateTimesTimeToOneRequest) {
  const std::uint32_t requests = GetParam();
  const auto rate = BucketRate::of(requests, requests);  // so that no pause can fill it
  Table table(1'000);
  Shared<Tally> tally;
  // The burst is ours, so that the bucket is empty at a known time: of a full one, time is lost.
  const std::uint64_t start = monotonic_ns();
  tally->admitted = static_cast<std::uint64_t>(table.drain(kTag, rate, start));
  in_processes(kProcesses, [&](std::uint32_t) {
    std::uint64_t admitted = 0;
    tally->barrier.wait(kProcesses);
    for (std::uint64_t now = start; now < start + kSecond; now = monotonic_ns()) {
      admitted += table->take(kTag, rate, now).admitted;
    }
    tally->admitted += admitted;
  });
  const std::uint64_t end = monotonic_ns();
  const auto left = static_cast<std::uint64_t>(table.drain(kTag, rate, end));
  const double seconds = static_cast<double>(end - start) / 1e9;
  EXPECT_NEAR(static_cast<double>(tally->admitted + left), requests + requests * seconds, 1.0)
      << seconds << " s";
}

INSTANTIATE_TEST_SUITE_P(Rates, HammeredBucket, ::testing::Values(100, 5'000, 200'000));

// All at the same instant, on a client never seen before, again and again.
TEST(TokenBucket, AdmitsExactlyOneBurstOfAStampede) {
  constexpr std::uint32_t kRounds = 3'000, kBurst = 3;
  Table table(kOneSet);
  Shared<Tally> tally;
  const auto rate = BucketRate::of(1'000, kBurst);
  in_processes(kProcesses, [&](std::uint32_t me) {
    for (std::uint32_t round = 0; round < kRounds; ++round) {
      tally->barrier.wait(kProcesses);
      for (std::uint32_t i = 0; i < kBurst; ++i) {
        tally->admitted += table->take(round + 1, rate, kStart + round * kSecond).admitted;
      }
      tally->barrier.wait(kProcesses);
      if (me == 0) {
        ASSERT_EQ(tally->admitted, std::uint64_t{kBurst} * (round + 1));
      }
    }
  });
  EXPECT_EQ(tally->admitted, std::uint64_t{kBurst} * kRounds);
}

// Nothing makes two processes choose different entries for one new client but clocks that differ
// about which entries are free. Here they always do: the set fills with entries whose time comes
// between the two.
TEST(TokenBucket, NeverGivesOneClientTwoEntries) {
  constexpr std::uint32_t kRounds = 8'000;
  constexpr std::uint64_t kInterval = 1'000'000;
  Table table(kOneSet);
  Shared<Tally> tally;
  const auto rate = BucketRate::of(1'000, 2);
  in_processes(3, [&](std::uint32_t me) {
    for (std::uint64_t round = 0; round < kRounds; ++round) {
      const std::uint64_t tag = 1'000 + round;
      const std::uint64_t base = kStart + round * 16 * kInterval;
      if (me == 0) {  // entries that are free at other times for other clocks, the last ones first
        for (std::uint64_t i = 0; i < 7; ++i) {
          table->take(1 + i, rate, base - kInterval + (6 - i) * kInterval / 8);
        }
      }
      tally->barrier.wait(3);
      for (int i = 0; i < 3; ++i) {
        const BucketDecision decision = table->take(tag, rate, base + me * kInterval * 2 / 5);
        tally->admitted += decision.admitted && !decision.overflow;
      }
      tally->barrier.wait(3);
      if (me == 0) {
        ASSERT_EQ(table.entries_of(tag), 1u) << "round " << round;
        ASSERT_EQ(tally->admitted, 2 * (round + 1)) << "round " << round;
      }
    }
  });
}

TEST(TokenBucket, KeepsManyClientsApartUnderManyProcesses) {
  constexpr std::uint32_t kClients = 1'000, kBurst = 20;
  Table table(16'384);
  struct Counts {
    Barrier barrier;
    std::array<std::atomic<std::uint32_t>, kClients> admitted;
  };
  Shared<Counts> counts;
  const auto rate = BucketRate::of(10, kBurst);
  in_processes(kProcesses, [&](std::uint32_t me) {
    std::mt19937 random(me);
    counts->barrier.wait(kProcesses);
    for (std::uint32_t i = 0; i < 100 * kClients; ++i) {
      const std::uint64_t client = random() % kClients;
      const std::uint64_t tag = (client + 1) * 0x9e3779b97f4a7c15 >> 1;
      const BucketDecision decision = table->take(tag, rate, kStart);
      ASSERT_FALSE(decision.overflow);
      counts->admitted[client] += decision.admitted;
    }
  });
  for (const auto& admitted : counts->admitted) ASSERT_EQ(admitted, kBurst);
}

// Clients come and go through one set in all processes at once; what is admitted never exceeds what
// the set's buckets hold, and none of them is ever lost.
TEST(TokenBucket, HoldsItsLimitWhileClientsFightForTheSet) {
  constexpr std::uint32_t kBurst = 4;
  constexpr std::uint64_t kDuration = kSecond / 2;
  Table table(kOneSet);
  Shared<Tally> tally;
  const auto rate = BucketRate::of(20'000, kBurst);
  const std::uint64_t start = monotonic_ns();
  in_processes(kProcesses, [&](std::uint32_t me) {
    std::mt19937 random(me);
    std::uint64_t admitted = 0;
    for (std::uint64_t now = start; now < start + kDuration; now = monotonic_ns()) {
      admitted += table->take(1 + random() % 30, rate, now).admitted;
    }
    tally->admitted += admitted;
  });
  const double seconds = static_cast<double>(monotonic_ns() - start) / 1e9;
  EXPECT_LE(static_cast<double>(tally->admitted), 8 * (kBurst + 20'000 * seconds));
  EXPECT_GT(tally->admitted, 0u);
}

// ---- Killed at any instruction ----

constexpr int kKills = 200;

// A worker's life: one client hammered, others coming and going in the same set.
[[noreturn]] void hammer_for_ever(Table& table, const BucketRate& rate, Tally& tally,
                                  unsigned seed) {
  std::mt19937 random(seed);
  for (;;) {
    const std::uint64_t now = monotonic_ns();
    if (table->take(kTag, rate, now).admitted) ++tally.admitted;
    table->take(100 + random() % 50, BucketRate::of(1'000'000, 1), now);
  }
}

TEST(TokenBucket, StaysExactWhenProcessesAreKilledInTheMiddle) {
  constexpr std::uint32_t kRate = 20'000;
  const auto rate = BucketRate::of(kRate, kRate);
  Table table(kOneSet);
  Shared<Tally> tally;
  std::mt19937 random(5);
  const std::uint64_t start = monotonic_ns();
  tally->admitted = static_cast<std::uint64_t>(table.drain(kTag, rate, start));
  const auto spawn = [&] {
    const auto seed = static_cast<unsigned>(random());
    return test::fork_child([&] { hammer_for_ever(table, rate, *tally, seed); });
  };
  // Two at a time, so that each killed one leaves its work to another.
  std::array<pid_t, 2> workers{spawn(), spawn()};
  for (std::size_t kill = 0; kill < kKills; ++kill) {
    ::usleep(static_cast<useconds_t>(random() % 3'000));
    pid_t& victim = workers[kill % 2];
    ::kill(victim, SIGKILL);
    ASSERT_EQ(::waitpid(victim, nullptr, 0), victim);
    victim = spawn();
  }
  for (const pid_t worker : workers) {
    ::kill(worker, SIGKILL);
    ::waitpid(worker, nullptr, 0);
  }

  const std::uint64_t end = monotonic_ns();
  const auto left = static_cast<std::uint64_t>(table.drain(kTag, rate, end));
  const double exact = kRate + kRate * (static_cast<double>(end - start) / 1e9);
  const auto admitted = static_cast<double>(tally->admitted + left);
  EXPECT_LE(admitted, exact + 1);
  EXPECT_GE(admitted, exact - 1 - (kKills + 2));  // taken, but not counted any more

  // Nothing is stuck: once all are full again there is room for seven others, a burst for each.
  const auto small = BucketRate::of(100, 5);
  for (std::uint64_t tag = 1'001; tag <= 1'007; ++tag) {
    EXPECT_FALSE(table->take(tag, small, end + 10 * kSecond).overflow);
    EXPECT_EQ(table.drain(tag, small, end + 10 * kSecond), 4);
  }
}

// A claim that its maker did not live to confirm, put there by hand.
TEST(TokenBucket, AClaimLeftBehindIsTakenOverByTheSameClient) {
  Table table(kOneSet);
  const auto rate = BucketRate::of(100, 5);
  const std::uint64_t in_an_interval = (kStart + 10'000'000) * 16;
  table.last_set().clients[2] = {kTag | std::uint64_t{1} << 63, in_an_interval};
  table.last_set().clients[5] = {kTag | std::uint64_t{1} << 63, in_an_interval};
  EXPECT_EQ(table.drain(kTag, rate, kStart), 5);
  EXPECT_EQ(table.entries_of(kTag), 1u);
  EXPECT_EQ(table.last_set().clients[2].tag, kTag);
  EXPECT_EQ(table.last_set().clients[5].tag, 0u);
}

}  // namespace
}  // namespace ringmaster
