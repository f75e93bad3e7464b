// systemctl reload: synchronous, truthful, and it costs no client anything.
#include <gtest/gtest.h>

#include <csignal>
#include <future>
#include <optional>

#include "tests/support/client.h"
#include "tests/system/service.h"
#include "tests/system/traffic.h"

namespace ringmaster::test {
namespace {

Finished reload() {
  return systemctl({"reload", "ringmaster"});
}

// Nobody was cut off.
void expect_flawless(const Tally& tally) {
  EXPECT_EQ(tally.failures(), 0u) << ::testing::PrintToString(tally);
  EXPECT_EQ(tally.tunnels_lost(), 0u) << ::testing::PrintToString(tally);
}

TEST(SystemReload, TwentyUnderLoadCostNobodyAnything) {
  const Origin origin({8081, 8082, 8083});
  const Service service(origin);
  const pid_t pid = service.main_pid();
  CounterWatch watch(service.admin());
  Traffic traffic({.server = service.endpoint()});
  ASSERT_TRUE(traffic.is_flowing());
  std::vector<pid_t> old;
  for (int i = 0; i < 20; ++i) {
    const std::vector<pid_t> present = service.workers();
    old.insert(old.end(), present.begin(), present.end());
    ASSERT_EQ(reload().exit, kDone);
    ASSERT_EQ(service.main_pid(), pid);
    ASSERT_TRUE(traffic.wait_for_more(100));
  }
  // All that is in flight on the last ones ends with the slowest request.
  EXPECT_TRUE(wait_until([&] { return service.only_this_generation_is_left() && are_gone(old); },
                         Origin::kSlow + seconds(1) + noise()));
  expect_flawless(traffic.stop());
  EXPECT_EQ(service.generation(), 21);
  EXPECT_EQ(watch.fallen(), "");
  EXPECT_EQ(watch.missed(), 0u) << "of " << watch.scrapes() << " scrapes";
}

TEST(SystemReload, AnOldWorkerEndsWithinASecondOfItsLastRequest) {
  const Origin origin({8081});
  const Service service(origin);
  Client idle(service.endpoint());
  EXPECT_EQ(idle.get("/").status, 200);
  const std::vector<pid_t> old = service.workers();
  Client client(service.endpoint());
  client.send(request_head("GET", "/slow"));
  ASSERT_TRUE(wait_until([&] { return service.metrics().sum("active_connections") == 1; }));
  ASSERT_EQ(reload().exit, kDone);
  EXPECT_EQ(client.receive().status, 200);
  EXPECT_TRUE(wait_until([&] { return are_gone(old); }, seconds(1) + noise()));
  EXPECT_EQ(idle.get("/").status, 200) << "with the next generation";
  EXPECT_EQ(client.get("/").status, 200);
}

TEST(SystemReload, ARefusalIsToldAndChangesNothing) {
  const Origin origin({8081});
  const Service service(origin);
  const UniqueFd squatter = listen_at({"127.0.0.1", 3999});
  const pid_t pid = service.main_pid();
  const std::vector<pid_t> workers = service.workers();
  Traffic traffic({.server = service.endpoint(), .fresh_per_second = 100, .tunnels = 20});
  ASSERT_TRUE(traffic.is_flowing());
  const std::vector<std::pair<std::string, std::string>> refusals{
      {"[server]\nworkers = \"many\"\n", "ringmaster.toml:2:11: server.workers"},
      {"[server]\nworkers = 2\nlisten = [\"0.0.0.0:3000\", \"127.0.0.1:3999\"]\n",
       "cannot listen on 127.0.0.1:3999"},
      {"[admin]\nlisten = \"127.0.0.1:3999\"\n", "cannot listen on 127.0.0.1:3999"}};
  for (const auto& [config, reason] : refusals) {
    service.write_config(config);
    EXPECT_NE(reload().exit, kDone) << config;
    EXPECT_NE(service.journal().find(reason), std::string::npos) << reason;
    EXPECT_EQ(property("ringmaster.service", "ActiveState"), "active");
    EXPECT_EQ(service.main_pid(), pid);
    EXPECT_EQ(service.workers(), workers);
    EXPECT_EQ(service.generation(), 1);
    EXPECT_EQ(service.metrics().get("ringmaster_config_last_reload_successful"), 0);
  }
  service.write_config("");
  EXPECT_EQ(reload().exit, kDone);
  EXPECT_EQ(service.generation(), 2);
  expect_flawless(traffic.stop());
}

TEST(SystemReload, ManyAtOnceEndInOneGeneration) {
  const Origin origin({8081, 8082});
  const Service service(origin);
  Traffic traffic({.server = service.endpoint(), .tunnels = 50});
  ASSERT_TRUE(traffic.is_flowing());
  std::vector<std::future<Finished>> all;
  for (int i = 0; i < 3; ++i) {
    all.push_back(std::async(std::launch::async, [] { return reload(); }));
    all.push_back(std::async(std::launch::async, [] { return ctl({"reload"}); }));
    ::kill(service.main_pid(), SIGHUP);
  }
  for (auto& one : all) {
    const Finished finished = one.get();
    EXPECT_EQ(finished.exit, kDone) << finished.log;
  }
  EXPECT_TRUE(
      wait_until([&] { return service.is_serving() && service.only_this_generation_is_left(); }));
  expect_flawless(traffic.stop());
}

TEST(SystemReload, AWorkerKilledMeanwhileIsReplaced) {
  const Origin origin({8081, 8082});
  const Service service(origin);
  Traffic traffic({.server = service.endpoint(), .tunnels = 0});
  ASSERT_TRUE(traffic.is_flowing());
  for (int round = 0; round < 5; ++round) {
    auto finished = std::async(std::launch::async, [] { return reload(); });
    while (finished.wait_for(milliseconds(20)) != std::future_status::ready) {
      const std::vector<pid_t> workers = service.workers();
      if (!workers.empty()) ::kill(workers.back(), SIGKILL);
    }
    EXPECT_EQ(finished.get().exit, kDone);
  }
  EXPECT_TRUE(
      wait_until([&] { return service.is_serving() && service.only_this_generation_is_left(); }));
  const Tally tally = traffic.stop();
  EXPECT_EQ(tally.failures("refused"), 0u) << ::testing::PrintToString(tally);
  EXPECT_EQ(get(service.endpoint(), "/").status, 200);
}

// The file says no more where the running master can be asked.
TEST(SystemReload, WorksWhereTheControlSocketMovesAndWhereTheConfigWasBroken) {
  const Origin origin({8081});
  const Service service(origin);
  Traffic traffic({.server = service.endpoint(), .fresh_per_second = 100, .tunnels = 20});
  ASSERT_TRUE(traffic.is_flowing());
  const std::string broken = "[server]\nworkers = \"many\"\n";
  double generation = 1;
  for (const char* path :
       {"/run/ringmaster/a.sock", "/run/ringmaster/b.sock", "", "/run/ringmaster/control.sock"}) {
    const std::string moved = std::string("[admin]\nsocket = \"") + path + "\"\n";
    service.write_config(moved);
    ASSERT_EQ(reload().exit, kDone) << path << "\n" << service.journal();
    service.write_config(broken);
    EXPECT_NE(reload().exit, kDone) << path;
    EXPECT_NE(ctl({"reload"}).log.find("ringmaster.toml:2:11: server.workers"), std::string::npos);
    service.write_config(moved);
    EXPECT_EQ(ctl({"reload"}).exit, kDone) << path;
    EXPECT_EQ(service.generation(), generation += 2);
    if (*path != '\0') {
      EXPECT_EQ(ctl({"status", "--socket", path}).exit, kDone);
    }
  }
  EXPECT_EQ(run({"/usr/bin/ls", "/run/ringmaster"}).output, "control.sock\n")
      << "nothing is left where it was before";
  expect_flawless(traffic.stop());
}

TEST(SystemReload, WhileTheServiceStopsIsRefused) {
  const Origin origin({8081});
  const Service service(origin);
  std::optional<Tunnel> tunnel(service.endpoint());  // as long as it is open, the service drains
  auto stop = std::async(std::launch::async, [] { return systemctl({"stop", "ringmaster"}); });
  ASSERT_TRUE(wait_until([&] { return is_refused(service.endpoint()); }));
  const Finished refused = ctl({"reload"});
  EXPECT_NE(refused.exit, kDone);
  EXPECT_NE(refused.log.find("the service is stopping"), std::string::npos) << refused.log;
  ::kill(service.main_pid(), SIGHUP);
  tunnel->echo();
  tunnel.reset();
  EXPECT_EQ(stop.get().exit, kDone);
  EXPECT_EQ(property("ringmaster.service", "ActiveState"), "inactive");
  EXPECT_EQ(property("ringmaster.service", "Result"), "success");
}

TEST(SystemReload, AStopMeanwhileWins) {
  const Origin origin({8081});
  const Service service(origin);
  ::kill(service.main_pid(), SIGHUP);
  EXPECT_EQ(systemctl({"stop", "ringmaster"}).exit, kDone);
  EXPECT_EQ(property("ringmaster.service", "ActiveState"), "inactive");
  EXPECT_TRUE(is_refused(service.endpoint()));
}

}  // namespace
}  // namespace ringmaster::test
