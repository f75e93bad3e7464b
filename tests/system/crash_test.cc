// What dies is replaced: the master by systemd, which kept its sockets and its memory; a worker by
// its master.
#include <gtest/gtest.h>

#include <csignal>

#include "tests/support/backend.h"
#include "tests/support/client.h"
#include "tests/support/files.h"
#include "tests/system/service.h"
#include "tests/system/traffic.h"

namespace ringmaster::test {
namespace {

// What is allowed between the death of a master and the answer to who came right after it.
constexpr milliseconds kRestart{500};

bool is_replaced(const Service& service, pid_t master, milliseconds patience = kPatience) {
  return wait_until(
      [&] {
        const pid_t now = service.main_pid();
        return now != 0 && now != master && service.is_serving();
      },
      patience);
}

// Clients that a worker has, and those that it may accept between the count and its death.
constexpr std::uint64_t kComeMeanwhile = 20;
std::uint64_t connections_of(const Service& service, pid_t worker) {
  const nlohmann::json status = service.status();
  for (const auto& entry : status.at("workers")) {
    if (entry.at("pid") == worker) return entry.at("connections").get<std::uint64_t>();
  }
  return 0;
}

// From the birth of the present master to its READY=1, by systemd's clock.
milliseconds start_of_master() {
  const auto at = [](const char* name) { return std::stoll(property("ringmaster.service", name)); };
  return milliseconds(
      (at("ActiveEnterTimestampMonotonic") - at("ExecMainStartTimestampMonotonic")) / 1000);
}

TEST(SystemCrash, FiveDeathsOfTheMasterRefuseNobody) {
  const Origin origin({8081, 8082, 8083});
  const Service service(origin);
  CounterWatch watch(service.admin());
  Traffic traffic({.server = service.endpoint()});
  ASSERT_TRUE(traffic.is_flowing());
  milliseconds quickest = kPatience;
  for (int i = 0; i < 5; ++i) {
    const pid_t master = service.main_pid();
    const std::vector<pid_t> orphans = service.workers();
    ::kill(master, i % 2 == 0 ? SIGKILL : SIGABRT);
    ASSERT_TRUE(wait_until([&] { return !is_alive(master); }));
    const Stopwatch watch_of_who_comes_now;
    EXPECT_EQ(get(service.endpoint(), "/").status, 200);
    const milliseconds took = watch_of_who_comes_now.elapsed();
    quickest = std::min(quickest, took);
    ASSERT_TRUE(is_replaced(service, master));
    std::cout << "served again after " << took.count() << " ms; the new master needed "
              << start_of_master().count() << " ms to be ready\n";
    // Their slow requests, their clients' grace; they hold no tunnel any more.
    EXPECT_TRUE(
        wait_until([&] { return are_gone(orphans); }, Origin::kSlow + seconds(2) + noise()));
  }
  const Tally tally = traffic.stop();
  EXPECT_EQ(tally.failures("refused"), 0u) << ::testing::PrintToString(tally);
  EXPECT_EQ(tally.failures(), 0u) << ::testing::PrintToString(tally);
  EXPECT_EQ(tally.tunnels_lost(), 0u) << ::testing::PrintToString(tally);
  // Of five, for the machine may have been busy with something else.
  EXPECT_LE(quickest, kRestart) << ::testing::PrintToString(tally);
  EXPECT_EQ(watch.fallen(), "");
}

TEST(SystemCrash, ADeathOfTheMasterGivesNoClientAFreshBurst) {
  const Origin origin({8081});
  const Service service(origin, "[rate_limit]\nrequests_per_second = 1\nburst = 60\n");
  const auto ask = [&] { return get(service.endpoint(), "/", "127.0.0.9").status; };
  // More than an empty bucket gets back in the time that this test takes.
  for (int i = 0; i < 60; ++i) EXPECT_EQ(ask(), 200);
  while (ask() != 429) continue;
  const pid_t master = service.main_pid();
  ::kill(master, SIGKILL);
  ASSERT_TRUE(is_replaced(service, master));
  int passed = 0;
  while (ask() != 429) ++passed;
  EXPECT_LT(passed, 40) << "no more than came back second by second";
}

TEST(SystemCrash, ADrainedBackendStaysSoOverADeathOfTheMaster) {
  const Origin origin({8081, 8082});
  const Service service(origin);
  ASSERT_EQ(ctl({"drain", "b1"}).exit, kDone);
  const auto ask_thirty_times = [&] {
    for (int i = 0; i < 30; ++i) {
      EXPECT_EQ(get(service.endpoint(), "/" + std::to_string(i)).status, 200);
    }
  };
  ask_thirty_times();
  const pid_t master = service.main_pid();
  ::kill(master, SIGKILL);
  ASSERT_TRUE(is_replaced(service, master));
  ask_thirty_times();
  const Metrics metrics = service.metrics();
  EXPECT_EQ(metrics.get("ringmaster_backend_state{backend=\"b1\",state=\"draining\"}"), 1);
  EXPECT_EQ(metrics.get("requests_total{backend=\"b1\"}"), 0);
  EXPECT_EQ(metrics.get("requests_total{backend=\"b2\"}"), 60) << "counters go on";
  ASSERT_EQ(ctl({"ready", "b1"}).exit, kDone);
  EXPECT_TRUE(wait_until([&] {
    ask_thirty_times();
    return service.metrics().get("requests_total{backend=\"b1\"}") > 0;
  }));
}

// Not only one that cannot be read: also one that cannot be served by.
TEST(SystemCrash, AConfigWhoseWorkersDoNotComeUpGivesWayToTheLastGoodOne) {
  const Origin origin({8081});
  const Service service(origin, "[server]\nworkers = 2\ndrain_timeout = \"60s\"\n",
                        {.drop_in = "LimitNPROC=20\n"});
  Traffic traffic({.server = service.endpoint(), .tunnels = 20});
  ASSERT_TRUE(traffic.is_flowing());
  const std::string good = read_whole_file(kConfigFile);
  std::string greedy = good;
  greedy.replace(greedy.find("workers = 2"), 11, "workers = 60");
  write_whole_file(kConfigFile, greedy);
  const pid_t master = service.main_pid();

  ::kill(master, SIGKILL);

  EXPECT_TRUE(is_replaced(service, master, 2 * kPatience));
  EXPECT_NE(service.journal().find("did not come up"), std::string::npos);
  EXPECT_TRUE(traffic.wait_for_more(50));
  write_whole_file(kConfigFile, good);
  EXPECT_EQ(traffic.stop().tunnels_lost(), 0u) << "the dead master's workers had them";
}

TEST(SystemCrash, AStopSeesToTheWorkersOfAMasterThatDiedBefore) {
  Event never;
  Backend silent("silent", [&](const Request& request) {
    if (request.target != "/") never.wait();
    return Reply{};
  });
  const Origin origin({8081});
  const Service service(
      origin, "[server]\nworkers = 2\ndrain_timeout = \"3s\"\n" + silent.toml("weight = 1000\n"));
  Client client(service.endpoint());
  client.send(request_head("GET", "/hangs"));
  ASSERT_TRUE(wait_until(
      [&] { return service.metrics().get("active_connections{backend=\"silent\"}") == 1; }));
  const std::vector<pid_t> orphans = service.workers();
  const pid_t master = service.main_pid();
  ::kill(master, SIGKILL);
  ASSERT_TRUE(is_replaced(service, master));
  ASSERT_FALSE(are_gone(orphans)) << "one of them has a request in flight";

  systemctl({"stop", "ringmaster"});

  EXPECT_TRUE(are_gone(orphans));
  EXPECT_NE(service.journal().find("stopped: 1 request cut"), std::string::npos);
  never.set();
}

TEST(SystemCrash, AHungMasterIsReplacedBySystemd) {
  const Origin origin({8081});
  const Service service(origin, "", {.drop_in = "WatchdogSec=2s\n"});
  Traffic traffic({.server = service.endpoint(), .fresh_per_second = 100, .tunnels = 0});
  ASSERT_TRUE(traffic.is_flowing());
  const pid_t master = service.main_pid();
  ::kill(master, SIGSTOP);
  EXPECT_TRUE(is_replaced(service, master));
  EXPECT_NE(service.journal().find("Watchdog timeout"), std::string::npos);
  const Tally tally = traffic.stop();
  EXPECT_EQ(tally.failures(), 0u) << ::testing::PrintToString(tally);
}

TEST(SystemCrash, AHungWorkerIsReplacedByItsMaster) {
  const Origin origin({8081});
  const Service service(origin);
  const pid_t master = service.main_pid();
  const pid_t victim = service.workers().at(0);
  ::kill(victim, SIGSTOP);
  EXPECT_TRUE(wait_until([&] { return !is_alive(victim) && service.is_serving(); }));
  EXPECT_EQ(service.main_pid(), master);
  EXPECT_EQ(service.metrics().get("ringmaster_worker_restarts_total{cause=\"hung\"}"), 1);
}

// It has seen nothing of its master's death, and would keep its clients for all of drain_timeout.
TEST(SystemCrash, AnOrphanThatHangsIsKilledLikeAnyWorker) {
  const Origin origin({8081});
  const Service service(origin, "[server]\nworkers = 2\ndrain_timeout = \"10m\"\n", {});
  const pid_t master = service.main_pid();
  const pid_t orphan = service.workers().at(0);
  ::kill(orphan, SIGSTOP);
  ::kill(master, SIGKILL);
  EXPECT_TRUE(is_replaced(service, master));
  EXPECT_TRUE(wait_until([&] { return !is_alive(orphan); }));
  EXPECT_NE(service.journal().find("of an earlier master"), std::string::npos);
}

TEST(SystemCrash, TwentyDeathsOfWorkersCostOnlyWhatWasInFlightOnThem) {
  const Origin origin({8081, 8082, 8083});
  const Service service(origin);
  const pid_t master = service.main_pid();
  CounterWatch watch(service.admin());
  Traffic traffic({.server = service.endpoint(), .tunnels = 0});
  ASSERT_TRUE(traffic.is_flowing());
  std::uint64_t at_stake = 0;
  for (int i = 0; i < 20; ++i) {
    const std::vector<pid_t> workers = service.workers();
    ASSERT_FALSE(workers.empty());
    const pid_t victim = workers[static_cast<std::size_t>(i) % workers.size()];
    at_stake += connections_of(service, victim) + kComeMeanwhile;
    ::kill(victim, SIGKILL);
    ASSERT_TRUE(wait_until([&] { return service.is_serving(); }));
    ASSERT_TRUE(traffic.wait_for_more(50));
  }
  const Tally tally = traffic.stop();
  EXPECT_EQ(tally.failures("refused"), 0u) << ::testing::PrintToString(tally);
  EXPECT_EQ(tally.failures(), tally.failures("reset") + tally.failures("closed"))
      << ::testing::PrintToString(tally);
  EXPECT_LE(tally.failures(), at_stake);
  std::cout << tally.failures() << " requests were lost, of " << at_stake << " at stake\n";
  EXPECT_EQ(service.main_pid(), master);
  EXPECT_EQ(watch.fallen(), "");
  EXPECT_EQ(watch.missed(), 0u);
}

TEST(SystemCrash, AllWorkersAtOnceComeBack) {
  const Origin origin({8081});
  const Service service(origin);
  Traffic traffic({.server = service.endpoint(), .tunnels = 0});
  ASSERT_TRUE(traffic.is_flowing());
  for (const pid_t worker : service.workers()) ::kill(worker, SIGKILL);
  EXPECT_TRUE(wait_until([&] { return service.is_serving(); }));
  EXPECT_TRUE(traffic.wait_for_more(200));
  const Tally tally = traffic.stop();
  EXPECT_EQ(tally.failures("refused"), 0u) << ::testing::PrintToString(tally);
}

// The kernel takes a worker, not the master; the service goes on.
TEST(SystemCrash, WhereMemoryRunsOutAWorkerIsTaken) {
  const Origin origin({8081});
  const Service service(origin);
  const pid_t master = service.main_pid();
  const auto used = std::stoull(property("ringmaster.service", "MemoryCurrent"));
  const std::string limit = std::to_string(used + (24 << 20));
  ASSERT_EQ(systemctl({"set-property", "--runtime", "ringmaster.service", "MemoryMax=" + limit,
                       "MemorySwapMax=0"})
                .exit,
            kDone);
  // Heads that never end, each in a buffer of its own.
  const std::string beginning = request_head("GET", "/").substr(0, 20) + std::string(12'000, 'a');
  std::vector<Client> clients;
  const auto deaths = [&] {
    return service.metrics().get("ringmaster_worker_restarts_total{cause=\"signal\"}");
  };
  const bool has_happened = wait_until([&] {
    for (int i = 0; i < 100 && clients.size() < 8'000; ++i) {
      try {
        clients.emplace_back(service.endpoint());
        clients.back().send(beginning);
      } catch (const StreamError&) {
        break;  // with the worker that was taken
      }
    }
    return deaths() > 0;
  });
  EXPECT_TRUE(has_happened) << clients.size() << " clients";
  clients.clear();
  systemctl({"set-property", "--runtime", "ringmaster.service", "MemoryMax=infinity"});
  EXPECT_TRUE(wait_until([&] { return service.is_serving(); }));
  EXPECT_EQ(service.main_pid(), master);
  EXPECT_EQ(get(service.endpoint(), "/").status, 200);
}

}  // namespace
}  // namespace ringmaster::test
