// What dies is replaced: the master by systemd, which kept its sockets and its memory; a worker by
// its master.
#include <gtest/gtest.h>

#include <csignal>

#include "tests/support/client.h"
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

bool are_gone(const std::vector<pid_t>& processes) {
  return std::none_of(processes.begin(), processes.end(), is_alive);
}

TEST(SystemCrash, FiveDeathsOfTheMasterRefuseNobody) {
  const Origin origin({8081, 8082, 8083});
  const Service service(origin);
  CounterWatch watch(service.admin());
  Traffic traffic({.server = service.endpoint(), .tunnels = 20});
  ASSERT_TRUE(traffic.is_flowing());
  milliseconds quickest = kPatience;
  for (int i = 0; i < 5; ++i) {
    const pid_t master = service.main_pid();
    const std::vector<pid_t> orphans = service.workers();
    ::kill(master, i % 2 == 0 ? SIGKILL : SIGABRT);
    ASSERT_TRUE(wait_until([&] { return !is_alive(master); }));
    const Stopwatch watch_of_who_comes_now;
    EXPECT_EQ(get(service.endpoint(), "/").status, 200);
    quickest = std::min(quickest, watch_of_who_comes_now.elapsed());
    ASSERT_TRUE(is_replaced(service, master));
    ASSERT_TRUE(traffic.wait_for_more(200));
    if (i == 4) {
      EXPECT_TRUE(wait_until([&] { return are_gone(orphans); })) << "they drain and go";
    }
  }
  const Tally tally = traffic.stop();
  EXPECT_EQ(tally.failures("refused"), 0u) << ::testing::PrintToString(tally);
  EXPECT_EQ(tally.failures(), 0u) << ::testing::PrintToString(tally);
  // Of five, for the machine may have been busy with something else.
  EXPECT_LE(quickest, kRestart + noise()) << ::testing::PrintToString(tally);
  std::cout << "the quickest restart took " << quickest.count() << " ms\n";
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
    ::kill(workers[static_cast<std::size_t>(i) % workers.size()], SIGKILL);
    at_stake += 60 + 250;  // clients that may have had a request on it, at worst
    ASSERT_TRUE(wait_until([&] { return service.is_serving(); }));
    ASSERT_TRUE(traffic.wait_for_more(50));
  }
  const Tally tally = traffic.stop();
  EXPECT_EQ(tally.failures("refused"), 0u) << ::testing::PrintToString(tally);
  EXPECT_EQ(tally.failures(), tally.failures("reset") + tally.failures("closed"))
      << ::testing::PrintToString(tally);
  EXPECT_LE(tally.failures(), at_stake);
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
