// A backup is there for when nobody else is: it gets nothing before, everything then, and nothing
// again as soon as another one is back.
#include <gtest/gtest.h>

#include <map>
#include <string>

#include "tests/support/backend.h"
#include "tests/support/ringmaster.h"

namespace ringmaster::test {
namespace {

const std::string kQuickProbes =
    "[health]\ninterval = \"100ms\"\ntimeout = \"100ms\"\nfast_interval = \"50ms\"\n";
const std::string kBackup = "backup = true\n";
constexpr int kKeys = 60;

// How many of so many keys each backend serves. Over a connection of its own for each, so that
// every worker has its say.
std::map<std::string, int> shares(const Ringmaster& ringmaster) {
  std::map<std::string, int> keys;
  for (int i = 0; i < kKeys; ++i) {
    const Response response = get(ringmaster.endpoint(), "/" + std::to_string(i));
    ++keys[response.status == 200 ? response.backend() : std::to_string(response.status)];
  }
  return keys;
}

using Shares = std::map<std::string, int>;

TEST(Backup, ServesOnlyWhileNoOtherBackendIsUp) {
  Backend a("a"), b("b"), spare("spare");
  Ringmaster ringmaster("[server]\nworkers = 2\n" + kQuickProbes + spare.toml(kBackup) +
                        toml_of(a, b));
  ASSERT_TRUE(ringmaster.wait_for_state("spare", "up"));

  const Shares before = shares(ringmaster);
  EXPECT_EQ(before.size(), 2u) << ::testing::PrintToString(before);
  EXPECT_EQ(before.count("spare"), 0u);

  a.stop();
  ASSERT_TRUE(ringmaster.wait_for_state("a", "down"));
  EXPECT_EQ(shares(ringmaster), (Shares{{"b", kKeys}}));

  b.stop();
  ASSERT_TRUE(ringmaster.wait_for_state("b", "down"));
  EXPECT_EQ(shares(ringmaster), (Shares{{"spare", kKeys}}));
  EXPECT_EQ(ringmaster.ready_status(), 200);

  a.start();
  ASSERT_TRUE(ringmaster.wait_for_state("a", "up"));
  EXPECT_EQ(shares(ringmaster), (Shares{{"a", kKeys}}));

  b.start();
  ASSERT_TRUE(ringmaster.wait_for_state("b", "up"));
  EXPECT_EQ(shares(ringmaster), before) << "each key is where it was";
  EXPECT_EQ(spare.request_count(), static_cast<std::size_t>(kKeys));
}

TEST(Backup, SeveralShareTheKeysAsOthersDo) {
  Backend a("a"), one("one"), two("two");
  a.stop();
  Ringmaster ringmaster(kQuickProbes + a.toml() + one.toml(kBackup) + two.toml(kBackup));
  ASSERT_TRUE(ringmaster.wait_for_state("a", "down"));
  Shares serving = shares(ringmaster);
  EXPECT_GT(serving["one"], 0);
  EXPECT_GT(serving["two"], 0);
  EXPECT_EQ(serving["one"] + serving["two"], kKeys);
}

// Which they do before their probes do: a client is not to lose its request for that.
TEST(Backup, ServesARequestThatTheOthersHaveFailed) {
  Backend a("a", Backend::Script([](Conversation&) {}));  // closes without an answer
  Backend spare("spare");
  Ringmaster ringmaster(a.toml() + spare.toml(kBackup));
  EXPECT_EQ(get(ringmaster.endpoint(), "/").backend(), "spare");
  EXPECT_EQ(a.request_count(), 1u);
  EXPECT_TRUE(ringmaster.wait_for_state("a", "up"));  // its probes are answered
}

// One that an operator has taken out is not up, either.
TEST(Backup, ServesWhileTheOthersAreDrained) {
  Backend a("a"), spare("spare");
  Ringmaster ringmaster(a.toml() + spare.toml(kBackup));
  ASSERT_EQ(ringmaster.ctl({"drain", "a"}).exit, (Exit{0, 0}));
  EXPECT_EQ(shares(ringmaster), (Shares{{"spare", kKeys}}));
  ASSERT_EQ(ringmaster.ctl({"ready", "a"}).exit, (Exit{0, 0}));
  EXPECT_EQ(shares(ringmaster), (Shares{{"a", kKeys}}));
}

}  // namespace
}  // namespace ringmaster::test
