// Whoever scrapes, however often, does not keep the master from its probes: with a hundred backends
// and sixteen workers, and scrapes without a pause, a backend that dies is out as fast as ever and
// no other one is taken for dead.
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include <thread>

#include "tests/support/backend.h"
#include "tests/support/ringmaster.h"

namespace ringmaster::test {
namespace {

// Accepts and closes, at one port of every loopback address: all that a TCP probe asks for.
class Crowd {
 public:
  Crowd()
      : listener_(listen_at({"0.0.0.0", 0})),
        wake_(::eventfd(0, EFD_CLOEXEC)),
        thread_([this] { run(); }) {}
  ~Crowd() {
    ::eventfd_write(wake_.get(), 1);
    thread_.join();
  }

  std::string toml(int count) const {
    const std::uint16_t port = local_endpoint(listener_.get()).port;
    std::string tables;
    for (int i = 0; i < count; ++i) {
      const std::string number = std::to_string(i + 1);
      tables += backend_table("crowd-" + number, {"127.77.0." + number, port});
    }
    return tables;
  }

 private:
  void run() {
    for (;;) {
      pollfd ready[] = {{listener_.get(), POLLIN, 0}, {wake_.get(), POLLIN, 0}};
      ::poll(ready, 2, -1);
      if (ready[1].revents != 0) return;
      const UniqueFd connection(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
    }
  }

  UniqueFd listener_;
  UniqueFd wake_;
  std::thread thread_;
};

TEST(ScrapeLoad, DoesNotDelayAProbe) {
  const Crowd crowd;
  Backend victim("victim");
  Ringmaster ringmaster("[server]\nworkers = 16\n[health]\npath = \"\"\ntimeout = \"1s\"\n" +
                        crowd.toml(99) + victim.toml());
  std::atomic<bool> stopping = false;
  std::atomic<int> scrapes = 0;
  std::vector<std::thread> scrapers;
  for (int i = 0; i < 3; ++i) {
    scrapers.emplace_back([&] {
      while (!stopping) {
        EXPECT_EQ(get(ringmaster.admin(), "/metrics").status, 200);
        ++scrapes;
      }
    });
  }
  EXPECT_TRUE(wait_until([&] { return scrapes >= 20; }));

  victim.stop();
  const Stopwatch watch;
  EXPECT_TRUE(ringmaster.wait_for_state("victim", "down"));
  EXPECT_LT(watch.elapsed(), seconds(3) + noise());
  const int before = scrapes;
  EXPECT_TRUE(wait_until([&] { return scrapes >= before + 20; }));
  stopping = true;
  for (std::thread& scraper : scrapers) scraper.join();

  const Metrics metrics = ringmaster.metrics();
  EXPECT_EQ(metrics.sum("ringmaster_backend_up"), 99) << "all others were probed in time";
  double failed = 0;
  for (const auto& [series, value] : metrics.all()) {
    const bool failure = series.starts_with("ringmaster_health_checks_total") &&
                         series.find("victim") == series.npos &&
                         series.find("success") == series.npos;
    if (failure) failed += value;
  }
  EXPECT_EQ(failed, 0);
}

}  // namespace
}  // namespace ringmaster::test
