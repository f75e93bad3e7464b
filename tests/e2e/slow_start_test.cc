// A backend that is back gets a growing share of its own keys, and each of them once.
#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "tests/support/backend.h"
#include "tests/support/ringmaster.h"

namespace ringmaster::test {
namespace {

const std::string kQuickProbes =
    "interval = \"100ms\"\ntimeout = \"100ms\"\nfast_interval = \"50ms\"\n";

// Of /0 … /299, the ones that `backend` answers.
std::set<int> keys_of(const Ringmaster& ringmaster, const std::string& backend) {
  Client client(ringmaster.endpoint());
  std::set<int> keys;
  for (int i = 0; i < 300; ++i) {
    const Response response = client.get("/" + std::to_string(i));
    EXPECT_EQ(response.status, 200);
    if (response.backend() == backend) keys.insert(i);
  }
  return keys;
}

bool is_subset(const std::set<int>& part, const std::set<int>& whole) {
  return std::includes(whole.begin(), whole.end(), part.begin(), part.end());
}

TEST(SlowStart, TheShareGrowsAndEachKeyMovesOnce) {
  Backend a("a"), b("b"), c("c");
  Ringmaster ringmaster("[server]\nworkers = 2\n[health]\nslow_start = \"4s\"\n" + kQuickProbes +
                        toml_of(a, b, c));
  const std::set<int> all = keys_of(ringmaster, "a");
  ASSERT_FALSE(all.empty());
  EXPECT_EQ(ringmaster.backend_state("a"), "up") << "who was there from the start starts at once";
  a.stop();
  ASSERT_TRUE(ringmaster.wait_for_state("a", "down"));

  a.start();
  ASSERT_TRUE(ringmaster.wait_for_state("a", "slow_start"));
  EXPECT_EQ(ringmaster.metrics().get("ringmaster_backend_up{backend=\"a\"}"), 1);
  std::set<int> before;
  std::size_t looks_between = 0;
  while (ringmaster.backend_state("a") == "slow_start") {
    const std::set<int> now = keys_of(ringmaster, "a");
    EXPECT_TRUE(is_subset(before, now)) << "a key that was back has left again";
    EXPECT_TRUE(is_subset(now, all)) << "not one of its own";
    if (!now.empty() && now.size() < all.size()) ++looks_between;
    before = now;
  }
  EXPECT_GE(looks_between, 1u);
  EXPECT_EQ(ringmaster.backend_state("a"), "up");
  EXPECT_EQ(keys_of(ringmaster, "a"), all);
}

TEST(SlowStart, AReloadDoesNotCutItShort) {
  Backend a("a"), b("b");
  Ringmaster ringmaster("[health]\nslow_start = \"1h\"\n" + kQuickProbes + toml_of(a, b));
  a.stop();
  ASSERT_TRUE(ringmaster.wait_for_state("a", "down"));
  a.start();
  ASSERT_TRUE(ringmaster.wait_for_state("a", "slow_start"));

  ASSERT_EQ(ringmaster.ctl({"reload"}).exit.code, 0);

  EXPECT_EQ(ringmaster.backend_state("a"), "slow_start");
  EXPECT_LE(keys_of(ringmaster, "a").size(), 30u);
}

TEST(SlowStart, TheOnlyBackendThatIsUpServesEverything) {
  Backend a("a");
  Ringmaster ringmaster("[health]\nslow_start = \"1h\"\n" + kQuickProbes + a.toml());
  a.stop();
  ASSERT_TRUE(ringmaster.wait_for_state("a", "down"));
  a.start();
  ASSERT_TRUE(ringmaster.wait_for_state("a", "slow_start"));
  EXPECT_EQ(keys_of(ringmaster, "a").size(), 300u);
}

TEST(SlowStart, AlsoForOneThatAnOperatorPutsBack) {
  Backend a("a"), b("b");
  Ringmaster ringmaster("[health]\nslow_start = \"1h\"\n" + kQuickProbes + toml_of(a, b));
  ASSERT_EQ(ringmaster.ctl({"drain", "a"}).exit.code, 0);
  EXPECT_EQ(ringmaster.backend_state("a"), "draining");
  ASSERT_EQ(ringmaster.ctl({"ready", "a"}).exit.code, 0);
  EXPECT_EQ(ringmaster.backend_state("a"), "slow_start");
}

}  // namespace
}  // namespace ringmaster::test
