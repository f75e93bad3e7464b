// No number lies, whatever dies: while workers are killed by the hundred, generations change and
// clients give up, no counter falls from one scrape to the next, every scrape agrees with itself,
// and in the end no gauge has kept anything.
#include <gtest/gtest.h>
#include <poll.h>

#include <atomic>
#include <csignal>
#include <functional>
#include <future>
#include <nlohmann/json.hpp>
#include <thread>

#include "tests/support/backend.h"
#include "tests/support/behaviour.h"
#include "tests/support/ringmaster.h"

namespace ringmaster::test {
namespace {

// A slot whose worker dies young again and again is filled ever later, so 1,000 kills are ten
// bursts over a hundred workers, with reloads between them (each begins with a clean record),
// rather than a thousand deaths of a few. A process under the sanitizers costs some twenty times as
// much to fork and to start, and what they look for (a wrong access) does not depend on how often:
// they see the same bursts on fewer workers.
const std::size_t kWorkers = binary_is_sanitized() ? 10 : 100;
constexpr int kBurstsOfGeneration[] = {4, 3, 3};
constexpr milliseconds kRecovery = seconds(60);

void pause_ms(int ms) {
  ::poll(nullptr, 0, ms);
}

// Answers at once, after 20 ms for /slow, and tunnels where an upgrade is asked for.
void serve(Conversation& conversation) {
  do {
    const Request& request = conversation.request();
    if (request.has("Upgrade")) return echo(conversation);
    conversation.read_body();
    if (request.target.starts_with("/slow")) pause_ms(20);
    conversation.reply({.body = "x"});
  } while (conversation.next());
}

// Clients of every kind, each in a thread of its own, until the end.
class Crowd {
 public:
  explicit Crowd(const Endpoint& server) : server_(server) {
    join([this](int n) { ask("/" + std::to_string(n)); });
    for (int i = 0; i < 4; ++i) join([this](int n) { ask("/slow/" + std::to_string(n)); });
    for (int i = 0; i < 2; ++i) join([this](int n) { give_up(n); });
    join([this](int n) { tunnel(n); });
  }
  ~Crowd() { stop(); }

  void stop() {
    stopping_ = true;
    for (std::thread& thread : threads_) thread.join();
    threads_.clear();
  }
  // Requests that got a whole answer, and those sent or begun (tunnels apart).
  std::uint64_t answered() const { return answered_; }
  std::uint64_t asked() const { return asked_; }
  std::uint64_t tunnels() const { return tunnels_; }

 private:
  void join(std::function<void(int)> visit) {
    threads_.emplace_back([this, visit = std::move(visit)] {
      for (int n = 0; !stopping_; ++n) {
        try {
          visit(n);
        } catch (const StreamError&) {
          // A worker died under us: that is what this is about.
        }
        pause_ms(5);
      }
    });
  }
  // Some requests on one connection, and others after them on the next.
  void ask(const std::string& path) {
    Client client(server_);
    for (int i = 0; i < 10 && !stopping_; ++i) {
      ++asked_;
      if (client.get(path + "/" + std::to_string(i)).status == 200) ++answered_;
    }
  }
  void give_up(int n) {
    Client client(server_);
    ++asked_;
    const std::string head = request_head("GET", "/slow/abandoned/" + std::to_string(n));
    client.send(n % 3 == 0 ? head.substr(0, head.size() / 2) : head);
    pause_ms(n % 5 * 4);  // before, while and after the backend answers
    client.stream().reset();
  }
  void tunnel(int n) {
    Client client(server_);
    client.send(request_head("GET", "/tunnel/" + std::to_string(n), kUpgrade));
    if (client.receive_head().status != 101) return;
    ++tunnels_;
    for (int i = 0; i < 20 && !stopping_; ++i) {
      client.send("ping");
      client.stream().read_exactly(4);
      pause_ms(2);
    }
  }

  const Endpoint server_;
  std::atomic<bool> stopping_ = false;
  std::atomic<std::uint64_t> asked_ = 0, answered_ = 0, tunnels_ = 0;
  std::vector<std::thread> threads_;
};

// Scrapes many times a second, and compares each page with itself and the one before.
class Auditor {
 public:
  explicit Auditor(const Ringmaster& ringmaster)
      : ringmaster_(ringmaster), thread_([this] { run(); }) {}
  ~Auditor() { stop(); }

  void stop() {
    stopping_ = true;
    if (thread_.joinable()) thread_.join();
  }
  int scrapes() const { return scrapes_; }

 private:
  void run() {
    Metrics before("");
    while (!stopping_ && !::testing::Test::HasFailure()) {
      try {
        Metrics metrics = ringmaster_.metrics();
        compare(before, metrics);
        check_sums(metrics);
        before = std::move(metrics);
        ++scrapes_;
      } catch (const StreamError&) {
        // The page's own connection may be closed by a reload that has answered it.
      }
      pause_ms(20);
    }
  }

  static void compare(const Metrics& before, const Metrics& after) {
    for (const auto& [series, value] : before.all()) {
      EXPECT_TRUE(after.has(series)) << series << " is gone";
    }
    for (const auto& [series, value] : before.counters()) {
      EXPECT_GE(after.get(series), value) << series << " fell";
    }
  }

  static void check_sums(const Metrics& metrics) {
    double finals = 0;
    for (const std::string code : {"2xx", "3xx", "4xx", "5xx"}) {
      finals += metrics.sum("ringmaster_responses_total", {"code=\"" + code + "\""});
    }
    EXPECT_EQ(finals, metrics.sum("requests_total"));
    for (const std::string histogram :
         {"request_duration_seconds", "ringmaster_upstream_connect_duration_seconds"}) {
      for (const std::string backend : {"backend=\"a\"", "backend=\"b\""}) {
        const std::string endless = histogram + "_bucket{" + backend + ",le=\"+Inf\"}";
        EXPECT_EQ(metrics.get(histogram + "_count{" + backend + "}"), metrics.get(endless));
        // From bound to bound (the map sorts them as text, so by number here).
        std::map<double, double> buckets;
        for (const auto& [series, value] : metrics.all()) {
          if (!series.starts_with(histogram + "_bucket{" + backend)) continue;
          buckets[std::stod(series.substr(series.find("le=\"") + 4))] = value;
        }
        double below = 0;
        for (const auto& [bound, value] : buckets) {
          EXPECT_GE(value, below) << histogram << " at " << bound;
          below = value;
        }
      }
    }
    // Below zero would be close to 2 to the 64th.
    for (const std::string gauge : {"active_connections", "ringmaster_client_connections",
                                    "ringmaster_upstream_connections"}) {
      EXPECT_LT(metrics.sum(gauge), 10'000) << gauge;
    }
  }

  const Ringmaster& ringmaster_;
  std::atomic<bool> stopping_ = false;
  std::atomic<int> scrapes_ = 0;
  std::thread thread_;
};

std::vector<pid_t> serving_workers(const Ringmaster& ringmaster) {
  std::vector<pid_t> pids;
  const auto status = ringmaster.status();
  for (const auto& worker : status.at("workers")) {
    if (worker.at("generation") == status.at("generation") && worker.at("state") == "serving") {
      pids.push_back(worker.at("pid").get<pid_t>());
    }
  }
  return pids;
}

// As wait_until(), but asking the master costs it time, which a hundred forks need.
template <class Condition>
bool wait_for_master(Condition&& condition) {
  return wait_until(
      [&] {
        if (condition()) return true;
        pause_ms(20);
        return false;
      },
      kRecovery);
}

bool all_serve(const Ringmaster& ringmaster) {
  return wait_for_master([&] { return serving_workers(ringmaster).size() == kWorkers; });
}

double deaths(const Ringmaster& ringmaster) {
  return ringmaster.metrics().get("ringmaster_worker_restarts_total{cause=\"signal\"}");
}

// Kills `count` workers at once and waits until as many serve again.
void kill_burst(const Ringmaster& ringmaster, std::size_t& killed) {
  const std::vector<pid_t> victims = serving_workers(ringmaster);
  ASSERT_EQ(victims.size(), kWorkers);
  const double before = deaths(ringmaster);
  for (const pid_t pid : victims) ::kill(pid, SIGKILL);
  killed += victims.size();
  ASSERT_TRUE(wait_for_master([&] {
    return deaths(ringmaster) == before + static_cast<double>(kWorkers);
  })) << deaths(ringmaster) - before;
  ASSERT_TRUE(all_serve(ringmaster));
}

// Kills a fifth of the workers while a new generation takes over.
void reload_under_fire(Ringmaster& ringmaster, std::size_t& killed) {
  const std::vector<pid_t> workers = serving_workers(ringmaster);
  auto reload = std::async(std::launch::async, [&] { return ringmaster.ctl({"reload"}); });
  for (std::size_t i = 0; i < kWorkers / 5; ++i) {
    killed += ::kill(workers.at(i), SIGKILL) == 0 ? 1u : 0u;
    pause_ms(5);
  }
  const Finished finished = reload.get();
  ASSERT_EQ(finished.exit, (Exit{0, 0})) << finished.log;
  ASSERT_TRUE(all_serve(ringmaster));
  ASSERT_TRUE(wait_for_master(
      [&] { return ringmaster.metrics().get("ringmaster_workers{state=\"draining\"}") == 0; }));
}

TEST(MetricsUnderFire, AThousandKillsReloadsAndClientsThatGiveUpFalsifyNothing) {
  Backend a("a", Backend::Script(serve)), b("b", Backend::Script(serve));
  Ringmaster ringmaster("[server]\nworkers = " + std::to_string(kWorkers) + "\n" + toml_of(a, b));
  Crowd crowd(ringmaster.endpoint());
  Auditor auditor(ringmaster);
  ASSERT_TRUE(all_serve(ringmaster));

  std::size_t killed = 0;
  std::size_t killed_while_reloading = 0;
  for (std::size_t generation = 0; generation < std::size(kBurstsOfGeneration); ++generation) {
    if (generation > 0) reload_under_fire(ringmaster, killed_while_reloading);
    for (int burst = 0; burst < kBurstsOfGeneration[generation] && !HasFailure(); ++burst) {
      const std::uint64_t before = crowd.answered();
      kill_burst(ringmaster, killed);
      EXPECT_TRUE(wait_until([&] { return crowd.answered() >= before + 20; }, kRecovery));
    }
  }
  ASSERT_FALSE(HasFailure());
  EXPECT_EQ(killed, 10 * kWorkers);
  EXPECT_GE(deaths(ringmaster), static_cast<double>(killed));
  EXPECT_LE(deaths(ringmaster), static_cast<double>(killed + killed_while_reloading));

  crowd.stop();
  const auto is_all_given_back = [&] {
    const Metrics metrics = ringmaster.metrics();
    return metrics.sum("active_connections") == 0 &&
           metrics.sum("ringmaster_client_connections") == 0 &&
           metrics.sum("ringmaster_upstream_connections", {"state=\"busy\""}) == 0;
  };
  EXPECT_TRUE(wait_until(is_all_given_back)) << ringmaster.metrics().text();
  auditor.stop();
  EXPECT_GT(auditor.scrapes(), 10);
  EXPECT_GT(crowd.tunnels(), 0u);
  // Whoever has read an answer is counted; who was cut off or gave up may be.
  const Metrics metrics = ringmaster.metrics();
  EXPECT_GE(metrics.sum("requests_total"), static_cast<double>(crowd.answered()));
  EXPECT_LE(metrics.sum("requests_total"), static_cast<double>(crowd.asked()));
  EXPECT_EQ(metrics.get("active_connections{backend=\"a\"}"), 0);
  EXPECT_EQ(metrics.get("active_connections{backend=\"b\"}"), 0);
  EXPECT_EQ(ringmaster.stop(SIGTERM), (Exit{0, 0}));
}

}  // namespace
}  // namespace ringmaster::test
