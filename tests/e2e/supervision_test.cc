// Any process may die or hang at any time: a worker is replaced and its numbers kept, and without a
// master the workers finish and go.
#include <gtest/gtest.h>

#include <algorithm>
#include <csignal>
#include <nlohmann/json.hpp>
#include <set>

#include "tests/support/backend.h"
#include "tests/support/behaviour.h"
#include "tests/support/load.h"
#include "tests/support/ringmaster.h"
#include "tests/support/unburied.h"

namespace ringmaster::test {
namespace {

using Pids = std::set<pid_t>;

Pids serving_workers(const Ringmaster& ringmaster) {
  Pids pids;
  const nlohmann::json status = ringmaster.status();
  for (const auto& worker : status.at("workers")) pids.insert(worker.at("pid").get<pid_t>());
  return pids;
}

// `count` workers serve and none of `gone` is among them.
bool are_replaced(const Ringmaster& ringmaster, const Pids& gone, std::size_t count,
                  milliseconds patience = kPatience) {
  return wait_until(
      [&] {
        const Pids now = serving_workers(ringmaster);
        return now.size() == count && std::none_of(gone.begin(), gone.end(),
                                                   [&](pid_t pid) { return now.count(pid) > 0; });
      },
      patience);
}

void expect_no_counter_fell(const Metrics& before, const Metrics& after) {
  for (const auto& [series, value] : before.counters()) {
    EXPECT_GE(after.get(series), value) << series << " fell";
  }
}

// The worker that holds the one connection there is.
pid_t worker_with_connection(const Ringmaster& ringmaster) {
  pid_t found = 0;
  EXPECT_TRUE(wait_until([&] {
    const nlohmann::json status = ringmaster.status();
    for (const auto& worker : status.at("workers")) {
      if (worker.at("connections") > 0) found = worker.at("pid").get<pid_t>();
    }
    return found != 0;
  }));
  return found;
}

// It still counts as serving, with nobody there to bury it: the other one does not wait for it to
// take its share of the clients.
TEST(Supervision, AWorkerThatDiesUnseenHoldsUpNoNewClient) {
  Backend backend("s1");
  Ringmaster ringmaster("[server]\nworkers = 2\n" + backend.toml());
  const pid_t victim = ringmaster.workers().at(0);
  ringmaster.process().signal(SIGSTOP);
  ::kill(victim, SIGKILL);
  const Stopwatch watch;
  std::vector<Client> clients;
  for (int i = 0; i < 200; ++i) {
    EXPECT_EQ(clients.emplace_back(ringmaster.endpoint()).get("/").status, 200);
  }
  EXPECT_LT(watch.elapsed(), seconds(4) + noise());  // at 50 ms each: ten
  ringmaster.process().signal(SIGCONT);
  EXPECT_TRUE(are_replaced(ringmaster, {victim}, 2));
}

TEST(Supervision, StatusNamesTheProcessesThereAre) {
  Backend backend("s1");
  Ringmaster ringmaster("[server]\nworkers = 3\n" + backend.toml());

  const std::vector<pid_t> children = ringmaster.workers();
  EXPECT_EQ(serving_workers(ringmaster), Pids(children.begin(), children.end()));
  EXPECT_EQ(children.size(), 3u);
  EXPECT_EQ(ringmaster.metrics().get("ringmaster_workers{state=\"serving\"}"), 3);
}

TEST(Supervision, AKilledWorkerIsReplacedAndNoCounterFalls) {
  Backend backend("s1");
  Ringmaster ringmaster("[server]\nworkers = 2\n" + backend.toml());
  Load load(ringmaster.endpoint(), 4);
  ASSERT_TRUE(load.wait_for_more(100));

  for (int round = 0; round < 3; ++round) {
    const Metrics before = ringmaster.metrics();
    const pid_t victim = *serving_workers(ringmaster).begin();
    ::kill(victim, SIGKILL);
    expect_no_counter_fell(before, ringmaster.metrics());
    EXPECT_TRUE(are_replaced(ringmaster, {victim}, 2));
    expect_no_counter_fell(before, ringmaster.metrics());
    EXPECT_TRUE(load.wait_for_more(50));
  }

  const Load::Outcome outcome = load.stop();
  EXPECT_LE(outcome.broken.size(), 3u * 4u) << ::testing::PrintToString(outcome);
  EXPECT_EQ(outcome.statuses.size(), 1u) << ::testing::PrintToString(outcome);
  EXPECT_EQ(ringmaster.metrics().sum("ringmaster_worker_restarts_total"), 3);
}

TEST(Supervision, AKilledWorkerLeavesNoGaugeBehind) {
  Event may_answer;
  Backend backend("s1", answers_after(may_answer));
  Ringmaster ringmaster("[server]\nworkers = 2\n" + backend.toml());
  std::vector<Client> clients;
  for (int i = 0; i < 10; ++i) {
    clients.emplace_back(ringmaster.endpoint());
    clients.back().send(request_head("GET", "/"));
  }
  const std::string active = "active_connections{backend=\"s1\"}";
  ASSERT_TRUE(wait_until([&] { return ringmaster.metrics().get(active) == 10; }));

  const Pids victims = serving_workers(ringmaster);
  for (const pid_t pid : victims) ::kill(pid, SIGKILL);

  ASSERT_TRUE(are_replaced(ringmaster, victims, 2));
  EXPECT_TRUE(wait_until([&] {
    const Metrics metrics = ringmaster.metrics();
    return metrics.get(active) == 0 && metrics.sum("ringmaster_client_connections") == 0 &&
           metrics.sum("ringmaster_upstream_connections") == 0;
  })) << ringmaster.metrics().text();
  may_answer.set();
  EXPECT_EQ(get(ringmaster.endpoint(), "/").status, 200);
}

TEST(Supervision, OtherWorkersDoNotNotice) {
  Backend backend("s1");
  Ringmaster ringmaster("[server]\nworkers = 2\n" + backend.toml());
  Client client(ringmaster.endpoint());
  ASSERT_EQ(client.get("/").status, 200);
  Pids others = serving_workers(ringmaster);
  others.erase(worker_with_connection(ringmaster));
  ASSERT_EQ(others.size(), 1u);

  ::kill(*others.begin(), SIGKILL);

  ASSERT_TRUE(are_replaced(ringmaster, others, 2));
  EXPECT_EQ(client.get("/").status, 200);
}

TEST(Supervision, AllWorkersKilledAtOnceComeBack) {
  Backend backend("s1");
  Ringmaster ringmaster("[server]\nworkers = 4\n" + backend.toml());
  EXPECT_EQ(get(ringmaster.endpoint(), "/").status, 200);

  const Pids victims = serving_workers(ringmaster);
  for (const pid_t pid : victims) ::kill(pid, SIGKILL);
  // The listener outlives them: a connection made now waits and is served.
  EXPECT_EQ(get(ringmaster.endpoint(), "/").status, 200);
  EXPECT_TRUE(are_replaced(ringmaster, victims, 4));
  EXPECT_EQ(ringmaster.metrics().sum("requests_total"), 2);
}

TEST(Supervision, AHungWorkerIsReplacedWithinThreeSeconds) {
  Backend backend("s1");
  Ringmaster ringmaster("[server]\nworkers = 2\n" + backend.toml());
  const Metrics before = ringmaster.metrics();
  const pid_t victim = *serving_workers(ringmaster).begin();

  ::kill(victim, SIGSTOP);

  EXPECT_TRUE(are_replaced(ringmaster, {victim}, 2, seconds(3) + noise()));
  EXPECT_FALSE(is_alive(victim));
  expect_no_counter_fell(before, ringmaster.metrics());
  EXPECT_EQ(ringmaster.metrics().sum("ringmaster_worker_restarts_total"), 1);
}

TEST(Supervision, ABusyWorkerIsNotTakenForAHungOne) {
  Backend backend("s1");
  Ringmaster ringmaster("[server]\nworkers = 2\n" + backend.toml());
  const Pids before = serving_workers(ringmaster);
  Load load(ringmaster.endpoint(), 12);
  ASSERT_TRUE(wait_until([&] {
    const nlohmann::json status = ringmaster.status();
    const nlohmann::json& workers = status.at("workers");
    return std::all_of(workers.begin(), workers.end(),
                       [](const auto& worker) { return worker.at("connections") > 0; });
  })) << "each of them must be busy";

  // Time itself is what is tested: longer than a heartbeat may fail.
  for (const Stopwatch watch; watch.elapsed() < seconds(4);) ASSERT_TRUE(load.wait_for_more(100));

  const Load::Outcome outcome = load.stop();
  EXPECT_TRUE(outcome.is_flawless()) << ::testing::PrintToString(outcome);
  EXPECT_EQ(serving_workers(ringmaster), before);
}

TEST(Supervision, AWorkerThatDiesAgainAndAgainIsStillReplaced) {
  Backend backend("s1");
  Ringmaster ringmaster("[server]\nworkers = 2\n" + backend.toml());

  for (int i = 0; i < 5; ++i) {
    const pid_t victim = *serving_workers(ringmaster).rbegin();
    ::kill(victim, SIGABRT);
    ASSERT_TRUE(are_replaced(ringmaster, {victim}, 2));
  }
  EXPECT_EQ(get(ringmaster.endpoint(), "/").status, 200);
  EXPECT_EQ(ringmaster.metrics().sum("ringmaster_worker_restarts_total"), 5);
}

TEST(Supervision, AWorkerThatDiesWhileItDrainsWasReplacedBefore) {
  Event never;
  Backend backend("s1", answers_after(never));
  Ringmaster ringmaster("[server]\nworkers = 1\n" + backend.toml());
  const pid_t worker = ringmaster.workers().at(0);
  Client client(ringmaster.endpoint());
  client.send(request_head("GET", "/"));
  ASSERT_TRUE(wait_until([&] { return backend.in_flight() == 1; }));

  ::kill(worker, SIGTERM);
  ASSERT_TRUE(wait_until([&] { return ringmaster.workers().size() == 2; }));
  ::kill(worker, SIGKILL);
  ASSERT_TRUE(wait_until([&] { return ringmaster.workers().size() == 1; }));

  EXPECT_EQ(ringmaster.metrics().sum("ringmaster_worker_restarts_total"), 0);
  EXPECT_EQ(ringmaster.process().log().find("replacing it"), std::string::npos);
  never.set();
}

TEST(Supervision, WithoutAMasterTheWorkersFinishAndGo) {
  Event may_answer;
  Backend backend("s1", answers_after(may_answer, "finished"));
  Ringmaster orphans("[server]\nworkers = 2\n" + backend.toml());
  std::vector<Client> clients;
  for (int i = 0; i < 10; ++i) {
    clients.emplace_back(orphans.endpoint());
    clients.back().send(request_head("GET", "/" + std::to_string(i)));
  }
  ASSERT_TRUE(wait_until([&] { return backend.in_flight() == 10; }));

  orphans.process().signal(SIGKILL);
  ASSERT_TRUE(orphans.process().wait_exit());
  EXPECT_TRUE(wait_until([&] { return is_refused(orphans.endpoint()); }, seconds(2) + noise()));

  {  // A new master can bind the very same address while they still work.
    Backend other("s1");
    Ringmaster successor("[server]\nlisten = \"" + orphans.endpoint().to_string() + "\"\n" +
                         "[admin]\nlisten = \"" + orphans.admin().to_string() + "\"\n" +
                         other.toml());
    EXPECT_EQ(get(successor.endpoint(), "/").status, 200);
    EXPECT_FALSE(orphans.process().is_group_gone());
  }

  may_answer.set();
  for (Client& client : clients) EXPECT_EQ(client.receive().body, "finished");
  EXPECT_TRUE(wait_until([&] { return orphans.process().is_group_gone(); }));
}

TEST(Supervision, WithoutAMasterATunnelLastsForTheTimeToDrainAndNoLonger) {
  Backend backend("s1", Backend::Script(echo));
  Ringmaster ringmaster("[server]\nworkers = 2\ndrain_timeout = \"2s\"\n" + backend.toml());
  Client client(ringmaster.endpoint());
  client.send(request_head("GET", "/chat", kUpgrade));
  ASSERT_EQ(client.receive_head().status, 101);

  ringmaster.process().signal(SIGKILL);
  ASSERT_TRUE(ringmaster.process().wait_exit());
  EXPECT_TRUE(wait_until([&] { return is_refused(ringmaster.endpoint()); }));
  client.send("still there?\n");
  EXPECT_EQ(client.stream().read_until("\n"), "still there?\n");
  EXPECT_TRUE(
      wait_until([&] { return ringmaster.process().is_group_gone(); }, seconds(2) + noise()));
}

TEST(Supervision, IdleWorkersGoAtOnceWithTheirMaster) {
  Backend backend("s1");
  Ringmaster ringmaster("[server]\nworkers = 2\n" + backend.toml());
  Client idle(ringmaster.endpoint());
  EXPECT_EQ(idle.get("/").status, 200);

  ringmaster.process().signal(SIGKILL);
  ASSERT_TRUE(ringmaster.process().wait_exit());

  EXPECT_TRUE(wait_until([&] { return ringmaster.process().is_group_gone(); }, seconds(10)));
}

TEST(Supervision, SixteenWorkersServeAndStop) {
  Backend a("a"), b("b");
  Ringmaster ringmaster("[server]\nworkers = 16\n" + toml_of(a, b));
  EXPECT_EQ(serving_workers(ringmaster).size(), 16u);
  std::vector<Client> clients;
  for (int i = 0; i < 64; ++i) clients.emplace_back(ringmaster.endpoint());

  for (int round = 0; round < 3; ++round) {
    for (Client& client : clients) EXPECT_EQ(client.get("/").status, 200);
  }

  EXPECT_TRUE(wait_until([&] { return ringmaster.metrics().sum("requests_total") == 192; }));
  EXPECT_EQ(ringmaster.stop(SIGTERM), (Exit{0, 0}));
  EXPECT_TRUE(ringmaster.process().is_group_gone());
}

TEST(Supervision, SignalsThatMeanNothingEndNothing) {
  Backend backend("s1");
  Ringmaster ringmaster(backend.toml());
  for (const int number : {SIGUSR1, SIGUSR2, SIGALRM, SIGPIPE}) {
    ringmaster.process().signal(number);
    EXPECT_EQ(get(ringmaster.endpoint(), "/").status, 200) << number;
    EXPECT_EQ(get(ringmaster.admin(), "/healthz").status, 200) << number;
  }
  EXPECT_EQ(ringmaster.stop(SIGTERM), (Exit{0, 0}));
}

// A disk that hangs under the access log, or a core that is being written: the kernel does not let
// it go. It is not waited for.
TEST(Supervision, AKilledWorkerThatDoesNotEndIsReplacedAllTheSame) {
  Backend backend("s1");
  Ringmaster ringmaster("[server]\nworkers = 1\n" + backend.toml());
  const pid_t worker = ringmaster.workers().at(0);
  Unburied held(worker);
  if (!held.is_held()) GTEST_SKIP() << "nobody may trace here";
  ::kill(worker, SIGKILL);

  ASSERT_TRUE(wait_until([&] { return ringmaster.workers().size() == 1; }));
  EXPECT_EQ(get(ringmaster.endpoint(), "/").status, 200);
  EXPECT_EQ(ringmaster.metrics().get("ringmaster_workers{state=\"serving\"}"), 1);
  EXPECT_EQ(ringmaster.ctl({"reload"}).exit, (Exit{0, 0}));
  held.bury();
  EXPECT_TRUE(wait_until(
      [&] { return ringmaster.metrics().sum("ringmaster_worker_restarts_total") == 1; }));
  EXPECT_EQ(ringmaster.stop(SIGTERM), (Exit{0, 0}));
}

}  // namespace
}  // namespace ringmaster::test
