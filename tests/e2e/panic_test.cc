// When so few backends are up that they would drown in the others' keys, it is more likely that the
// probes are wrong: health is ignored, and nothing moves.
#include <gtest/gtest.h>

#include <future>
#include <list>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "tests/support/backend.h"
#include "tests/support/ringmaster.h"

namespace ringmaster::test {
namespace {

const std::string kQuickProbes =
    "interval = \"100ms\"\ntimeout = \"100ms\"\nfast_interval = \"50ms\"\n";

// Ten backends whose probes can be made to fail while they go on serving.
class Panic : public ::testing::Test {
 protected:
  Panic() {
    for (int i = 0; i < 10; ++i) {
      backends_.emplace_back("s" + std::to_string(i), [this, i](const Request& request) {
        return Reply{.status = request.target == "/alive" && i < failing_ ? 500 : 200};
      });
    }
  }
  std::string config(const std::string& health) const {
    std::string text = "[health]\npath = \"/alive\"\n" + kQuickProbes + health;
    for (const Backend& backend : backends_) text += backend.toml();
    return text;
  }
  void fail_probes_of(const Ringmaster& ringmaster, int count) {
    failing_ = count;
    for (int i = 0; i < 10; ++i) {
      ASSERT_TRUE(ringmaster.wait_for_state("s" + std::to_string(i), i < count ? "down" : "up"));
    }
  }
  // Who answers the keys /0 … /299.
  static std::set<std::string> answering(const Ringmaster& ringmaster) {
    Client client(ringmaster.endpoint());
    std::set<std::string> names;
    for (int i = 0; i < 300; ++i) {
      const Response response = client.get("/" + std::to_string(i));
      EXPECT_EQ(response.status, 200);
      names.insert(response.backend());
    }
    return names;
  }

  std::atomic<int> failing_ = 0;
  std::list<Backend> backends_;
};

TEST_F(Panic, WithMostBackendsDownAllAreUsed) {
  Ringmaster ringmaster(config("panic_threshold = 0.5\n"));
  fail_probes_of(ringmaster, 5);
  EXPECT_EQ(answering(ringmaster).size(), 5u) << "half of them is enough";
  EXPECT_EQ(ringmaster.status().at("panic"), false);

  fail_probes_of(ringmaster, 6);
  EXPECT_EQ(answering(ringmaster).size(), 10u);
  EXPECT_EQ(ringmaster.status().at("panic"), true);
  EXPECT_EQ(ringmaster.backend_state("s0"), "down") << "as before: it is used all the same";
  EXPECT_EQ(ringmaster.metrics().get("ringmaster_panic_mode"), 1);
  EXPECT_NE(ringmaster.process().log().find("only 4 of 10 backends are up"), std::string::npos);

  ASSERT_EQ(ringmaster.ctl({"drain", "s0"}).exit.code, 0);
  ASSERT_EQ(ringmaster.ctl({"reload"}).exit.code, 0);
  EXPECT_EQ(answering(ringmaster).size(), 9u)
      << "an operator's word counts, and a reload keeps both";
  ASSERT_EQ(ringmaster.ctl({"ready", "s0"}).exit.code, 0);

  fail_probes_of(ringmaster, 2);
  EXPECT_EQ(answering(ringmaster).size(), 8u);
  EXPECT_EQ(ringmaster.metrics().get("ringmaster_panic_mode"), 0);
}

TEST_F(Panic, WithoutAThresholdHealthIsNeverIgnored) {
  Ringmaster ringmaster(config(""));
  fail_probes_of(ringmaster, 9);
  EXPECT_EQ(answering(ringmaster), std::set<std::string>{"s9"});
}

// A backend that nothing is known of yet holds the new generation up, not those in use meanwhile.
TEST_F(Panic, LastsThroughAReload) {
  Ringmaster ringmaster(config("panic_threshold = 1.0\n"));
  fail_probes_of(ringmaster, 10);
  ASSERT_EQ(ringmaster.status().at("panic"), true);
  Event enough;  // until then its probes get no answer, and everybody else does
  Backend silent("silent", [&](const Request& request) {
    if (request.target == "/alive") enough.wait();
    return Reply{};
  });
  std::string slower = config("panic_threshold = 1.0\n") + silent.toml();
  const std::string timeout = "timeout = \"100ms\"";
  slower.replace(slower.find(timeout), timeout.size(), "timeout = \"1s\"");
  slower.replace(slower.find("interval = \"100ms\""), 18, "interval = \"1s\"");
  ringmaster.write_config(slower);
  auto reload = std::async(std::launch::async, [&] { return ringmaster.ctl({"reload"}); });
  std::map<int, int> statuses;
  Client client(ringmaster.endpoint());
  while (reload.wait_for(milliseconds(0)) != std::future_status::ready) {
    ++statuses[get(ringmaster.endpoint(), "/" + std::to_string(statuses[200])).status];
  }
  EXPECT_EQ(reload.get().exit.code, 0);
  EXPECT_EQ(statuses.size(), 1u) << ::testing::PrintToString(statuses);
  EXPECT_GT(statuses[200], 0);
  enough.set();
}

}  // namespace
}  // namespace ringmaster::test
