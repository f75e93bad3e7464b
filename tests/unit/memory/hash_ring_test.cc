// What the ring promises: an even spread, nobody's key moved without need, and the same answer
// everywhere and for ever.
#include "shared/memory/hash_ring.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <memory>
#include <numeric>
#include <random>
#include <string>

#include "tests/unit/memory/forked.h"

namespace ringmaster {
namespace {

constexpr std::uint32_t kDefaultVirtualNodes = 1000;
constexpr std::uint64_t kWidth = 1u << RingPoint::kUpstreamBits;  // hashes that lie at one place

// Backends and a ring over them, in memory of its own; the index of a name is its upstream.
class Ring {
 public:
  Ring(std::vector<std::string> names, std::uint32_t virtual_nodes,
       std::vector<std::uint32_t> weights = {})
      : names_(std::move(names)) {
    weights.resize(names_.size(), 1);
    std::vector<RingMember> members;
    for (std::uint32_t i = 0; i < names_.size(); ++i) members.push_back({names_[i], weights[i], i});
    std::size_t points = 0;
    for (const RingMember& member : members) points += member.weight * virtual_nodes;
    memory_ = std::make_unique<test::SharedMemory>(HashRing::bytes_for(points));
    HashRing::build(members, virtual_nodes, memory_->data());
    ring_ = HashRing(memory_->data());
  }
  explicit Ring(const std::vector<RingPoint>& points) {
    memory_ = std::make_unique<test::SharedMemory>(HashRing::bytes_for(points.size()));
    HashRing::write(points, memory_->data());
    ring_ = HashRing(memory_->data());
  }

  const HashRing* operator->() const { return &ring_; }
  std::uint32_t upstream_of(std::uint64_t hash) const {
    return ring_.walk(hash, [](std::uint32_t) { return true; });
  }
  const std::string& owner_of(std::string_view key) const {
    return names_[upstream_of(hash_key(key))];
  }

 private:
  std::vector<std::string> names_;
  std::unique_ptr<test::SharedMemory> memory_;
  HashRing ring_;
};

std::vector<std::string> numbered(const std::string& prefix, std::uint32_t count) {
  std::vector<std::string> names;
  for (std::uint32_t i = 1; i <= count; ++i) names.push_back(prefix + std::to_string(i));
  return names;
}

std::string uuid(std::mt19937_64& random) {
  char text[37];
  const std::uint64_t a = random(), b = random();
  std::snprintf(text, sizeof text, "%08x-%04x-4%03x-%04x-%012llx", static_cast<unsigned>(a >> 32),
                static_cast<unsigned>(a >> 16 & 0xffff), static_cast<unsigned>(a & 0xfff),
                static_cast<unsigned>(0x8000 | (b >> 48 & 0x3fff)),
                static_cast<unsigned long long>(b & 0xffffffffffff));
  return text;
}

std::string ipv4(std::uint64_t bits) {
  return std::to_string(bits >> 24 & 255) + '.' + std::to_string(bits >> 16 & 255) + '.' +
         std::to_string(bits >> 8 & 255) + '.' + std::to_string(bits & 255);
}

// A million keys of the shapes that the product hashes.
struct KeyShape {
  const char* name;
  std::vector<std::uint64_t> hashes;
};

std::vector<KeyShape> key_shapes(std::size_t each) {
  std::mt19937_64 random(1);
  std::vector<KeyShape> shapes{{"sequential paths", {}},
                               {"random paths", {}},
                               {"UUIDs", {}},
                               {"addresses", {}},
                               {"query strings", {}}};
  for (std::size_t i = 0; i < each; ++i) {
    const std::string n = std::to_string(i);
    const std::string keys[] = {"/items/" + n, "/" + std::to_string(random()), uuid(random),
                                ipv4(0x0a000000 + i), "/search?q=term" + n + "&page=1&sort=asc"};
    for (std::size_t k = 0; k < shapes.size(); ++k) shapes[k].hashes.push_back(hash_key(keys[k]));
  }
  return shapes;
}

struct Spread {
  double max_over_mean;
  double min_over_mean;
};

Spread spread_of(const Ring& ring, std::uint32_t backends,
                 const std::vector<std::uint64_t>& hashes) {
  std::vector<double> keys(backends, 0.0);
  for (const std::uint64_t hash : hashes) ++keys[ring.upstream_of(hash)];
  const double mean = static_cast<double>(hashes.size()) / backends;
  return {*std::max_element(keys.begin(), keys.end()) / mean,
          *std::min_element(keys.begin(), keys.end()) / mean};
}

TEST(HashRing, SpreadsAMillionKeysOfAnyShapeWithinATenth) {
  const auto shapes = key_shapes(200'000);
  std::vector<std::uint64_t> all;
  for (const KeyShape& shape : shapes) {
    all.insert(all.end(), shape.hashes.begin(), shape.hashes.end());
  }
  const std::vector<std::vector<std::string>> fleets{
      numbered("s", 10),
      numbered("backend-", 10),
      numbered("10.0.0.", 10),
      {"ams1", "ams2", "fra1", "fra2", "lon1", "lon2", "nyc1", "nyc2", "sin1", "syd1"}};
  for (const auto& names : fleets) {
    const Ring ring(names, kDefaultVirtualNodes);
    const auto expect_even = [&](const char* keys, const std::vector<std::uint64_t>& hashes) {
      const Spread spread = spread_of(ring, 10, hashes);
      EXPECT_LE(spread.max_over_mean, 1.10) << keys << " over " << names[0] << "…";
      EXPECT_GE(spread.min_over_mean, 0.90) << keys << " over " << names[0] << "…";
    };
    expect_even("all keys", all);
    for (const KeyShape& shape : shapes) expect_even(shape.name, shape.hashes);
  }
}

// Prints what virtual nodes cost and buy; expects only that more of them buy something.
TEST(HashRing, SpreadsMoreEvenlyOverMorePoints) {
  const auto shapes = key_shapes(200'000);
  std::vector<std::uint64_t> keys;
  for (const KeyShape& shape : shapes) {
    keys.insert(keys.end(), shape.hashes.begin(), shape.hashes.end());
  }
  std::printf("10 backends, 1,000,000 keys\n%8s %10s %10s %12s %10s\n", "points", "max/mean",
              "min/mean", "memory KiB", "build ms");
  double widest = 10.0;
  for (const std::uint32_t virtual_nodes : {100u, 160u, 1'000u, 10'000u}) {
    const auto start = std::chrono::steady_clock::now();
    const Ring ring(numbered("s", 10), virtual_nodes);
    const std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - start;
    const Spread spread = spread_of(ring, 10, keys);
    std::printf("%8u %10.3f %10.3f %12.0f %10.2f\n", virtual_nodes, spread.max_over_mean,
                spread.min_over_mean,
                static_cast<double>(HashRing::bytes_for(ring->point_count())) / 1024, took.count());
    const double width = spread.max_over_mean - spread.min_over_mean;
    if (virtual_nodes == 1'000 || virtual_nodes == 10'000) {
      EXPECT_LT(width, widest);
    }
    widest = width;
  }
}

TEST(HashRing, RemovalMovesTheRemovedOnesKeysAloneAndSpreadsThem) {
  const auto names = numbered("s", 10);
  const Ring before(names, kDefaultVirtualNodes);
  auto fewer = names;
  fewer.erase(fewer.begin() + 3);
  const Ring after(fewer, kDefaultVirtualNodes);

  std::vector<int> inherited(10, 0);
  int moved = 0, others_moved = 0;
  for (int i = 0; i < 200'000; ++i) {
    const std::string key = "/items/" + std::to_string(i);
    const std::string& owner = before.owner_of(key);
    const std::string& heir = after.owner_of(key);
    if (owner == names[3]) {
      ++moved;
      ++inherited[static_cast<std::size_t>(std::find(names.begin(), names.end(), heir) -
                                           names.begin())];
    } else if (owner != heir) {
      ++others_moved;
    }
  }
  EXPECT_EQ(others_moved, 0);
  const double mean = moved / 9.0;
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (i == 3) continue;
    EXPECT_GT(inherited[i], 0.7 * mean) << names[i];
    EXPECT_LT(inherited[i], 1.3 * mean) << names[i];
  }
}

TEST(HashRing, ADeadBackendsKeysGoWhereTheyWouldGoWithoutIt) {
  auto names = numbered("s", 10);
  const Ring whole(names, kDefaultVirtualNodes);
  const std::string dead = names[3];
  names.erase(names.begin() + 3);
  const Ring without(names, kDefaultVirtualNodes);
  for (int i = 0; i < 50'000; ++i) {
    const std::string key = "/items/" + std::to_string(i);
    const std::uint32_t chosen =
        whole->walk(hash_key(key), [](std::uint32_t upstream) { return upstream != 3; });
    ASSERT_EQ("s" + std::to_string(chosen + 1), without.owner_of(key));
  }
}

// If one of these fails, every deployed ring would move its keys with the next release.
TEST(HashRing, PlacesFixedNamesAndKeysWhereItAlwaysDid) {
  EXPECT_EQ(hash_key(""), 0x2d06800538d394c2u);
  EXPECT_EQ(hash_key("/"), 0x474292953285562eu);
  EXPECT_EQ(hash_key("/items/42"), 0xa536517934660bfdu);
  EXPECT_EQ(hash_key("192.0.2.1"), 0xd5f33d205a82b1d0u);
  EXPECT_EQ(hash_key("/search?q=consistent+hashing&page=2"), 0xf7a3f1abbdcfe9fau);
  EXPECT_EQ(hash_key("s1#0"), 0x945a002fdff2715eu);
  EXPECT_EQ(hash_key("s3#999"), 0x1f262f6a8d257cf6u);
  EXPECT_EQ(hash_key(std::string(1000, 'x')), 0xc0a4877b962cba82u);

  const Ring ring({"s1", "s2", "s3"}, kDefaultVirtualNodes);
  ASSERT_EQ(ring->point_count(), 3'000u);
  EXPECT_EQ(ring->point(0).place(), RingPoint::place_of(0x003707b34adcd5bdu));
  EXPECT_EQ(ring->point(0).upstream(), 2u);
  EXPECT_EQ(ring->point(2'999).place(), RingPoint::place_of(0xfff323f61eeac21fu));
  EXPECT_EQ(ring->point(2'999).upstream(), 1u);
  std::string owners;
  for (int i = 0; i < 40; ++i) owners += ring.owner_of("/items/" + std::to_string(i))[1];
  EXPECT_EQ(owners, "2122231132111222111222112311112113221233");

  const Ring weighted({"alpha", "beta", "gamma"}, 160, {1, 2, 5});
  std::string weighted_owners;
  for (int i = 0; i < 40; ++i) weighted_owners += weighted.owner_of("/" + std::to_string(i))[0];
  EXPECT_EQ(weighted_owners, "ggbgbgggggggagbabggabgbgbgggbbgabggbaggb");
}

TEST(HashRing, DoesNotCareInWhatOrderBackendsAreListed) {
  auto names = numbered("s", 20);
  const Ring listed(names, 160);
  std::mt19937 random(7);
  for (int round = 0; round < 5; ++round) {
    std::shuffle(names.begin(), names.end(), random);
    const Ring shuffled(names, 160);
    for (int i = 0; i < 5'000; ++i) {
      const std::string key = "/items/" + std::to_string(i);
      ASSERT_EQ(listed.owner_of(key), shuffled.owner_of(key));
    }
  }
}

TEST(HashRing, GivesEachBackendItsWeightsShareWithinFivePercent) {
  const std::vector<std::uint32_t> weights{1, 1, 2, 3, 5, 8};
  const Ring ring(numbered("s", 6), kDefaultVirtualNodes, weights);
  const double total = std::accumulate(weights.begin(), weights.end(), 0.0);
  const auto shares = ring->shares(6);
  std::vector<double> keys(6, 0.0);
  constexpr int kKeys = 1'000'000;
  for (int i = 0; i < kKeys; ++i) ++keys[ring.upstream_of(hash_key("/" + std::to_string(i)))];
  for (std::size_t i = 0; i < weights.size(); ++i) {
    const double fair = weights[i] / total;
    EXPECT_NEAR(shares[i] / fair, 1.0, 0.05) << "s" << i + 1;
    EXPECT_NEAR(keys[i] / kKeys, shares[i], 0.002) << "s" << i + 1;
  }
  EXPECT_NEAR(std::accumulate(shares.begin(), shares.end(), 0.0), 1.0, 1e-9);
}

TEST(HashRing, MoreWeightTakesKeysAndGivesNoneAway) {
  const Ring before(numbered("s", 5), 160);
  const Ring after(numbered("s", 5), 160, {1, 1, 2, 1, 1});
  int gained = 0;
  for (int i = 0; i < 50'000; ++i) {
    const std::string key = "/items/" + std::to_string(i);
    if (before.owner_of(key) == after.owner_of(key)) continue;
    ASSERT_EQ(after.owner_of(key), "s3");
    ++gained;
  }
  EXPECT_GT(gained, 0);
}

TEST(HashRing, SortsItsPointsAsAComparisonSortWould) {
  std::vector<std::string> names = numbered("member-", 50);
  std::vector<std::uint32_t> weights;
  std::vector<RingMember> members;
  for (std::uint32_t i = 0; i < names.size(); ++i) {
    weights.push_back(1 + i % 3);
    members.push_back({names[i], weights.back(), i});
  }
  const Ring ring(names, 333, weights);

  std::vector<std::pair<std::uint64_t, std::string>> expected;
  for (const RingMember& member : members) {
    for (std::uint32_t r = 0; r < member.weight * 333; ++r) {
      const std::string name(member.name);
      expected.emplace_back(hash_key(name + "#" + std::to_string(r)), name);
    }
  }
  std::sort(expected.begin(), expected.end());
  ASSERT_EQ(ring->point_count(), expected.size());
  for (std::uint32_t i = 0; i < ring->point_count(); ++i) {
    ASSERT_EQ(ring->point(i).place(), RingPoint::place_of(expected[i].first));
    ASSERT_EQ(names[ring->point(i).upstream()], expected[i].second);
  }
}

// Against the definition, where it is easiest to be wrong: at points, beside them, and at the ends.
TEST(HashRing, LocatesTheFirstPointAtOrAfterAKey) {
  for (const std::uint32_t count : {1u, 2u, 3u, 5u, 64u, 1'000u}) {
    const Ring ring({"a", "b", "c"}, count);
    const auto expected = [&](std::uint64_t hash) {
      for (std::uint32_t i = 0; i < ring->point_count(); ++i) {
        if (ring->point(i).place() >= RingPoint::place_of(hash)) return i;
      }
      return 0u;
    };
    for (std::uint32_t i = 0; i < ring->point_count(); ++i) {
      const std::uint64_t hash = ring->point(i).hash();
      for (const std::uint64_t key : {hash - 1, hash, hash + 1, hash + kWidth - 1, hash + kWidth}) {
        ASSERT_EQ(ring->locate(key), expected(key)) << count << " points";
        ASSERT_EQ(ring->owner(key), ring->point(expected(key)).upstream());
      }
    }
    ASSERT_EQ(ring->locate(0), expected(0));
    ASSERT_EQ(ring->locate(~std::uint64_t{0}), expected(~std::uint64_t{0}));
  }
}

TEST(HashRing, LocatesAmongPointsThatAllLieTogether) {
  std::vector<RingPoint> points;
  for (std::uint32_t i = 0; i < 100; ++i) points.push_back({(7ull << 60) + i / 2 * kWidth, i % 3});
  const Ring ring(points);
  EXPECT_EQ(ring->locate(0), 0u);
  EXPECT_EQ(ring->locate((7ull << 60) + 10 * kWidth), 20u);  // the first of equals
  EXPECT_EQ(ring->locate((7ull << 60) + 50 * kWidth), 0u);   // past the last: round the end
  EXPECT_EQ(ring->locate(~0ull), 0u);
  for (std::uint64_t i = 0; i < 50; ++i) {
    EXPECT_EQ(ring->owner((7ull << 60) + i * kWidth), 2 * i % 3);
    EXPECT_EQ(ring->owner((7ull << 60) + i * kWidth + 1), 2 * i % 3);
  }
}

// A slot has room for so many points and no more, and of each it has some of the bits.
TEST(HashRing, NamesTheOwnerInSlotsThatAreEmptyFullOrCrowded) {
  std::mt19937_64 random(5);
  for (const std::size_t crowd : {1u, 13u, 14u, 15u, 16u, 17u, 200u}) {
    std::vector<std::uint64_t> hashes{0, 1ull << 62, ~0ull};
    for (std::size_t i = 0; i < crowd; ++i) hashes.push_back(5ull << 60 | random() >> 12);
    std::sort(hashes.begin(), hashes.end());
    std::vector<RingPoint> points;
    for (std::size_t i = 0; i < hashes.size(); ++i) {
      points.push_back({hashes[i], static_cast<std::uint32_t>(i)});
    }
    const Ring ring(points);
    for (const RingPoint& point : points) {
      for (const std::uint64_t step : {std::uint64_t{0}, kWidth, kWidth << 20, kWidth << 40}) {
        for (const std::uint64_t hash : {point.hash() - step, point.hash() + step}) {
          ASSERT_EQ(ring->owner(hash), ring->point(ring->locate(hash)).upstream()) << crowd;
        }
      }
    }
  }
}

TEST(HashRing, WalksEachUpstreamOnceInTheRingsOrder) {
  const Ring ring(numbered("s", 30), 100);
  for (int i = 0; i < 500; ++i) {
    const std::uint64_t hash = hash_key("/items/" + std::to_string(i));
    std::vector<std::uint32_t> expected;
    for (std::uint32_t step = 0; step < ring->point_count(); ++step) {
      const std::uint32_t position = (ring->locate(hash) + step) % ring->point_count();
      const std::uint32_t upstream = ring->point(position).upstream();
      if (std::find(expected.begin(), expected.end(), upstream) == expected.end()) {
        expected.push_back(upstream);
      }
    }
    std::vector<std::uint32_t> asked;
    const std::uint32_t nobody = ring->walk(hash, [&](std::uint32_t upstream) {
      asked.push_back(upstream);
      return false;
    });
    ASSERT_EQ(nobody, HashRing::kNone);
    ASSERT_EQ(asked, expected);
    ASSERT_EQ(asked.size(), 30u);
  }
}

TEST(HashRing, StopsWalkingAtTheFirstThatAccepts) {
  const Ring ring(numbered("s", 30), 100);
  for (int wanted = 1; wanted <= 30; ++wanted) {
    int asked = 0;
    const std::uint32_t chosen =
        ring->walk(hash_key("/"), [&](std::uint32_t) { return ++asked == wanted; });
    EXPECT_EQ(asked, wanted);
    EXPECT_LT(chosen, 30u);
  }
}

TEST(HashRing, WalksAsManyUpstreamsAsASegmentHolds) {
  const Ring ring(numbered("s", kMaxUpstreams), 10);
  EXPECT_EQ(ring->member_count(), kMaxUpstreams);
  std::vector<int> asked(kMaxUpstreams, 0);
  EXPECT_EQ(ring->walk(hash_key("/"),
                       [&](std::uint32_t upstream) {
                         ++asked[upstream];
                         return false;
                       }),
            HashRing::kNone);
  EXPECT_EQ(std::count(asked.begin(), asked.end(), 1), kMaxUpstreams);
}

TEST(HashRing, HasNobodyToOfferWhenEmpty) {
  const Ring written({}, kDefaultVirtualNodes);
  for (const HashRing& ring : {HashRing(), *written.operator->()}) {
    EXPECT_TRUE(ring.is_empty());
    EXPECT_EQ(ring.member_count(), 0u);
    EXPECT_EQ(ring.walk(1, [](std::uint32_t) { return true; }), HashRing::kNone);
    EXPECT_EQ(ring.shares(2), std::vector<double>({0.0, 0.0}));
  }
}

TEST(HashRing, GivesEverythingToAnOnlyMember) {
  for (const std::uint32_t points : {1u, 2u, 1'000u}) {
    const Ring ring({"only"}, points);
    EXPECT_EQ(ring->member_count(), 1u);
    EXPECT_EQ(ring.owner_of("/any"), "only");
    EXPECT_NEAR(ring->shares(1)[0], 1.0, 1e-12);
    EXPECT_EQ(ring->walk(1, [](std::uint32_t) { return false; }), HashRing::kNone);
  }
}

TEST(HashRing, ReadsTheSameInAnotherProcess) {
  const Ring ring(numbered("s", 10), kDefaultVirtualNodes);
  const test::SharedMemory result(sizeof(std::uint32_t) * 10'000);
  auto* const answers = reinterpret_cast<std::uint32_t*>(result.data());
  const auto key = [](int i) { return hash_key("/items/" + std::to_string(i)); };
  test::in_processes(1, [&](std::uint32_t) {
    for (int i = 0; i < 10'000; ++i) answers[i] = ring.upstream_of(key(i));
  });
  for (int i = 0; i < 10'000; ++i) ASSERT_EQ(answers[i], ring.upstream_of(key(i)));
}

}  // namespace
}  // namespace ringmaster
