// What the admin listener tells besides /metrics, and that nobody can disturb it.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/support/backend.h"
#include "tests/support/ringmaster.h"

namespace ringmaster::test {
namespace {

TEST(Admin, StatusTellsTheSameFacts) {
  Backend a("a"), b("b");
  Ringmaster ringmaster("[server]\nworkers = 2\n" + a.toml("weight = 2") + b.toml());
  Client client(ringmaster.endpoint());
  for (int i = 0; i < 10; ++i) client.get("/" + std::to_string(i));
  ASSERT_TRUE(wait_until([&] { return ringmaster.metrics().sum("requests_total") == 10; }));

  const nlohmann::json status = ringmaster.status();
  EXPECT_TRUE(status.at("version").is_string());
  EXPECT_GE(status.at("generation").get<int>(), 1);
  EXPECT_EQ(status.at("ready"), true);
  EXPECT_EQ(status.at("stopping"), false);
  ASSERT_EQ(status.at("backends").size(), 2u);
  const nlohmann::json& first = status.at("backends").at(0);
  EXPECT_EQ(first.at("name"), "a");
  EXPECT_EQ(first.at("address"), a.endpoint().to_string());
  EXPECT_EQ(first.at("state"), "up");
  EXPECT_EQ(first.at("weight"), 2);
  EXPECT_EQ(first.at("in_flight"), 0);
  EXPECT_EQ(first.at("requests").get<std::size_t>(), a.request_count());
  EXPECT_NEAR(first.at("ring_share").get<double>(), 2.0 / 3, 0.05);
  ASSERT_EQ(status.at("workers").size(), 2u);
  for (const auto& worker : status.at("workers")) {
    EXPECT_EQ(worker.at("generation"), status.at("generation"));
    EXPECT_TRUE(worker.at("slot").is_number());
    EXPECT_TRUE(worker.at("state").is_string());
  }
}

nlohmann::json shown_config(const Ringmaster& ringmaster) {
  const Response response = get(ringmaster.admin(), "/status/config");
  EXPECT_EQ(response.status, 200);
  EXPECT_EQ(response.field("Content-Type"), "application/json");
  return nlohmann::json::parse(response.body);
}

TEST(Admin, ShowsTheConfigInForceWithoutItsComments) {
  Backend a("a"), b("b");
  const std::string config =
      "# the password of the machine room is swordfish\n"
      "[server]\nworkers = 2  # swordfish\ntrusted_proxies = [\"192.0.2.0/24\"]\n"
      "[hash]\nbalance_factor = 1.5\n";
  Ringmaster ringmaster(config + a.toml("backup = false\n"));

  EXPECT_EQ(get(ringmaster.admin(), "/status/config").body.find("swordfish"), std::string::npos);
  const nlohmann::json shown = shown_config(ringmaster);
  EXPECT_EQ(shown.at("server").at("workers"), 2);
  EXPECT_EQ(shown.at("server").at("trusted_proxies"), nlohmann::json({"192.0.2.0/24"}));
  EXPECT_FALSE(shown.at("server").contains("pre_drain")) << "what the file does not say";
  EXPECT_EQ(shown.at("hash"), nlohmann::json({{"balance_factor", 1.5}}));
  EXPECT_EQ(shown.at("backend"),
            nlohmann::json::array(
                {{{"name", "a"}, {"address", a.endpoint().to_string()}, {"backup", false}}}));

  // In force is what serves, not what the file says meanwhile.
  ringmaster.write_config(config + a.toml("backup = 7\n"));
  EXPECT_EQ(shown_config(ringmaster), shown);
  EXPECT_EQ(ringmaster.ctl({"reload"}).exit, (Exit{1, 0}));
  EXPECT_EQ(shown_config(ringmaster), shown);
  ringmaster.write_config(config + b.toml());
  EXPECT_EQ(shown_config(ringmaster), shown);
  EXPECT_EQ(ringmaster.ctl({"reload"}).exit, (Exit{0, 0}));
  const nlohmann::json after = shown_config(ringmaster);
  EXPECT_EQ(after.at("backend").size(), 1u);
  EXPECT_EQ(after.at("backend").at(0).at("name"), "b");
}

TEST(Admin, OnlyReadsAndOnlyWhatItKnows) {
  Backend backend("s1");
  Ringmaster ringmaster(backend.toml());

  EXPECT_EQ(get(ringmaster.admin(), "/healthz").status, 200);
  EXPECT_EQ(get(ringmaster.admin(), "/readyz").status, 200);
  EXPECT_EQ(get(ringmaster.admin(), "/no-such-page").status, 404);
  EXPECT_EQ(Client(ringmaster.admin()).post("/metrics", "").status, 405);
  EXPECT_EQ(Client(ringmaster.admin()).head("/metrics").status, 200);
}

TEST(Admin, HalfSentHeadsShutNobodyOut) {
  Backend backend("s1");
  Ringmaster ringmaster(backend.toml());
  std::vector<Client> stuck;
  for (int i = 0; i < 300; ++i) {
    stuck.emplace_back(ringmaster.admin());
    stuck.back().send("G");
  }
  const auto is_answered = [&] {
    try {
      return get(ringmaster.admin(), "/healthz").status == 200;
    } catch (const StreamError&) {
      return false;
    }
  };
  EXPECT_TRUE(wait_until(is_answered, seconds(3) + noise()));  // a head has ten
}

TEST(Admin, SurvivesNonsenseAndAClientThatSaysNothing) {
  Backend backend("s1");
  Ringmaster ringmaster(backend.toml());
  std::vector<Client> silent;
  for (int i = 0; i < 20; ++i) silent.emplace_back(ringmaster.admin());

  Client rude(ringmaster.admin());
  rude.send(std::string(100'000, 'x'));

  EXPECT_EQ(get(ringmaster.admin(), "/healthz").status, 200);
}

}  // namespace
}  // namespace ringmaster::test
