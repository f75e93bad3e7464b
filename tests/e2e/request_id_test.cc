// Every request has an id that client, backend and operator know it by.
#include <gtest/gtest.h>

#include <csignal>
#include <set>

#include "tests/support/backend.h"
#include "tests/support/ringmaster.h"

namespace ringmaster::test {
namespace {

const std::string kTrusting = "[server]\ntrusted_proxies = [\"127.0.0.9\"]\n";

TEST(RequestId, IsTheSameForClientAndBackendAndNeverTwice) {
  Backend backend("s1", [](const Request& request) {
    // One that the backend makes up is not believed.
    return Reply{.body = request.field("X-Request-Id"), .fields = {{"X-Request-Id", "backend's"}}};
  });
  Ringmaster ringmaster("[server]\nworkers = 2\n" + backend.toml());
  std::set<std::string> seen;
  for (int worker_life = 0; worker_life < 2; ++worker_life) {
    for (int i = 0; i < 20; ++i) {
      const Response response = get(ringmaster.endpoint(), "/");
      EXPECT_EQ(response.field("X-Request-Id"), response.body);
      EXPECT_EQ(response.body.size(), 32u);
      EXPECT_TRUE(seen.insert(response.body).second) << response.body;
    }
    const auto before = ringmaster.workers();
    for (const pid_t worker : before) ::kill(worker, SIGKILL);
    ASSERT_TRUE(wait_until([&] {
      return ringmaster.metrics().get("ringmaster_workers{state=\"serving\"}") == 2 &&
             ringmaster.workers() != before;
    }));
  }
}

TEST(RequestId, IsATrustedProxysToGive) {
  Backend backend("s1");
  Ringmaster ringmaster(kTrusting + backend.toml());
  Client trusted(ringmaster.endpoint(), "127.0.0.9");
  Client stranger(ringmaster.endpoint(), "127.0.0.8");
  const std::string given = "X-Request-Id: edge-1234\r\n";

  EXPECT_EQ(trusted.get("/", given).field("X-Request-Id"), "edge-1234");
  EXPECT_EQ(backend.requests().back().field("X-Request-Id"), "edge-1234");
  EXPECT_NE(stranger.get("/", given).field("X-Request-Id"), "edge-1234");
  EXPECT_EQ(backend.requests().back().field("X-Request-Id").size(), 32u);
  EXPECT_EQ(trusted.get("/", "X-Request-Id: not an id\r\n").field("X-Request-Id").size(), 32u);

  // It is still known when the request's head has long made room for its body.
  const std::string longest(128, 'x');
  const Response response =
      trusted.post("/", pattern(500'000), "X-Request-Id: " + longest + "\r\n");
  EXPECT_EQ(response.field("X-Request-Id"), longest);
}

TEST(RequestId, StandsInAnswersOfRingmasterItself) {
  Backend backend("s1");
  Ringmaster ringmaster(kTrusting + "[rate_limit]\nrequests_per_second = 1\n" + backend.toml());
  Client trusted(ringmaster.endpoint(), "127.0.0.9");
  const std::string given = "X-Request-Id: edge-1234\r\n";
  Response refused;
  while (refused.status != 429) refused = trusted.get("/", given);
  EXPECT_EQ(refused.field("X-Request-Id"), "edge-1234");

  Client malformed(ringmaster.endpoint());
  malformed.send("GET / HTTP/1.1\r\n\r\n");
  const Response bad = malformed.receive();
  EXPECT_EQ(bad.status, 400);
  EXPECT_EQ(bad.field("X-Request-Id").size(), 32u);
}

}  // namespace
}  // namespace ringmaster::test
