// Whoever balances in front of this one learns from /readyz that a stop has begun, and has
// server.pre_drain to send its clients elsewhere before the first of them is refused.
#include <gtest/gtest.h>

#include <csignal>
#include <nlohmann/json.hpp>

#include "tests/support/backend.h"
#include "tests/support/behaviour.h"
#include "tests/support/ringmaster.h"

namespace ringmaster::test {
namespace {

constexpr Exit kClean{0, 0};

bool comes_to_fail_readyz(const Ringmaster& ringmaster) {
  return wait_until([&] { return ringmaster.ready_status() == 503; });
}

class PreDrain : public ::testing::TestWithParam<int> {};
INSTANTIATE_TEST_SUITE_P(After, PreDrain, ::testing::Values(SIGINT, SIGTERM), [](const auto& row) {
  return std::string(row.param == SIGINT ? "SIGINT" : "SIGTERM");
});

TEST_P(PreDrain, ReadyzFailsWhileTheListenersServeOn) {
  Backend backend("s1");
  Ringmaster ringmaster("[server]\nworkers = 2\npre_drain = \"60s\"\n" + backend.toml());
  Client kept(ringmaster.endpoint());
  ASSERT_EQ(kept.get("/").status, 200);
  const std::vector<pid_t> workers = ringmaster.workers();

  ringmaster.process().signal(GetParam());
  ASSERT_TRUE(comes_to_fail_readyz(ringmaster));

  EXPECT_EQ(ringmaster.status().at("stopping"), true);
  EXPECT_EQ(get(ringmaster.admin(), "/healthz").status, 200);
  for (int i = 0; i < 10; ++i) {
    Client fresh(ringmaster.endpoint());
    for (Client* client : {&fresh, &kept}) {
      const Response response = client->get("/" + std::to_string(i));
      EXPECT_EQ(response.status, 200);
      EXPECT_FALSE(response.says_close());
    }
  }
  EXPECT_EQ(ringmaster.workers(), workers);
  // Nobody has to wait for its end.
  const Stopwatch watch;
  EXPECT_EQ(ringmaster.stop(SIGINT), kClean);
  EXPECT_LT(watch.elapsed(), seconds(2) + noise());
}

// Only a terminal's ^C is a person who has lost patience.
TEST(PreDrainTime, IsNotCutShortByAnotherSigtermAndThenTheListenersClose) {
  Event may_answer;
  Backend backend("s1", answers_after(may_answer, "done"));
  Ringmaster ringmaster("[server]\nworkers = 2\npre_drain = \"500ms\"\n" + backend.toml());
  Client client(ringmaster.endpoint());
  client.send(request_head("GET", "/"));
  ASSERT_TRUE(wait_until([&] { return backend.in_flight() == 1; }));

  const Stopwatch watch;
  ringmaster.process().signal(SIGTERM);
  ASSERT_TRUE(comes_to_fail_readyz(ringmaster));
  ringmaster.process().signal(SIGTERM);
  ASSERT_TRUE(wait_until([&] { return is_refused(ringmaster.endpoint()); }));

  EXPECT_GE(watch.elapsed(), milliseconds(490));
  EXPECT_LT(watch.elapsed(), milliseconds(1500) + noise());
  EXPECT_EQ(ringmaster.ready_status(), 503);
  may_answer.set();
  const Response response = client.receive();
  EXPECT_EQ(response.body, "done");
  EXPECT_TRUE(response.says_close());
  EXPECT_EQ(ringmaster.process().wait_exit(), kClean);
}

}  // namespace
}  // namespace ringmaster::test
