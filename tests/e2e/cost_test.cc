// What a request may cost at most: no allocation, four transfers, and no more of anything when
// there are many backends or workers.
#include <gtest/gtest.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <map>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

#include "tests/support/allocations.h"
#include "tests/support/backend.h"
#include "tests/support/behaviour.h"
#include "tests/support/files.h"
#include "tests/support/load.h"
#include "tests/support/ringmaster.h"
#include "tests/support/syscall_counter.h"

namespace ringmaster::test {
namespace {

const std::string kOneWorker =
    "[server]\nworkers = 1\n[rate_limit]\nrequests_per_second = 1000000\n";

void ask(Client& client, int times) {
  for (int i = 0; i < times; ++i) {
    ASSERT_EQ(client.get("/item/" + std::to_string(i % 100)).status, 200);
  }
}

class Allocation : public ::testing::Test {
 protected:
  void SetUp() override {
    if (binary_is_sanitized()) GTEST_SKIP() << "its allocator cannot be replaced once more";
  }
};

TEST_F(Allocation, NoneForARequest) {
  Allocations allocations;
  Backend backend("s1");
  Ringmaster ringmaster(kOneWorker + backend.toml(), {.environment = allocations.environment()});
  const pid_t worker = ringmaster.workers().at(0);
  Client client(ringmaster.endpoint());
  ask(client, 20);
  client.post("/", std::string(100'000, 'x'));

  const std::uint64_t before = allocations.of(worker);
  EXPECT_GT(before, 0u);
  ask(client, 500);
  EXPECT_EQ(client.post("/", std::string(100'000, 'x')).status, 200);
  EXPECT_EQ(allocations.of(worker), before);
}

TEST_F(Allocation, NoneForALineInTheAccessLog) {
  TempDir dir;
  Allocations allocations;
  Backend backend("s1");
  Ringmaster ringmaster(
      kOneWorker + "[log]\naccess = \"" + dir.path("access.log") + "\"\n" + backend.toml(),
      {.environment = allocations.environment()});
  const pid_t worker = ringmaster.workers().at(0);
  Client client(ringmaster.endpoint());
  ask(client, 20);

  const std::uint64_t before = allocations.of(worker);
  ask(client, 200);
  EXPECT_EQ(allocations.of(worker), before);
}

TEST_F(Allocation, NoneForAConnectionThatComesAndGoes) {
  Allocations allocations;
  Backend backend("s1");
  Ringmaster ringmaster(kOneWorker + backend.toml(), {.environment = allocations.environment()});
  const pid_t worker = ringmaster.workers().at(0);
  for (int i = 0; i < 20; ++i) get(ringmaster.endpoint(), "/");

  const std::uint64_t before = allocations.of(worker);
  for (int i = 0; i < 100; ++i) get(ringmaster.endpoint(), "/");
  EXPECT_EQ(allocations.of(worker), before);
}

// Time of the processor, not of the clock: other tests run beside this one.
double cpu_seconds(pid_t pid) {
  std::string stat = read_whole_file("/proc/" + std::to_string(pid) + "/stat");
  std::istringstream fields(stat.substr(stat.rfind(')') + 2));
  std::string skipped;
  for (int i = 0; i < 11; ++i) fields >> skipped;
  double user = 0;
  double system = 0;
  fields >> user >> system;
  return (user + system) / static_cast<double>(::sysconf(_SC_CLK_TCK));
}

TEST(Cost, AThousandBackendsStartInAFifthOfASecond) {
  double least = 1e9;  // what shares the processor meanwhile can only add to it
  for (int attempt = 0; attempt < 12 && least > 0.2; ++attempt) {
    // All of 127.0.0.0/8 can connect to it, and its queue takes them all.
    const UniqueFd listener = listen_at({"0.0.0.0", 0}, 4096);
    const std::uint16_t port = local_endpoint(listener.get()).port;
    std::string config = "[server]\nworkers = 1\n[health]\npath = \"\"\n";
    for (int i = 0; i < 1000; ++i) {
      const std::string ip = "127.1." + std::to_string(i / 250) + "." + std::to_string(i % 250 + 1);
      config += backend_table("s" + std::to_string(i), {ip, port});
    }
    Ringmaster ringmaster(config);
    least = std::min(least, cpu_seconds(ringmaster.process().pid()));
    EXPECT_EQ(ringmaster.metrics().sum("ringmaster_backend_up"), 1000);
  }
  EXPECT_LE(least, 0.2);
}

TEST(Cost, ASmallRequestIsFourTransfersAndNothingElse) {
  constexpr std::uint64_t kRequests = 500;
  Backend backend("s1");
  Ringmaster ringmaster(kOneWorker + backend.toml());
  Client client(ringmaster.endpoint());
  ask(client, 20);

  SyscallCounter counter(ringmaster.workers().at(0));
  ask(client, kRequests);
  std::uint64_t transfers = 0;
  std::uint64_t others = 0;
  std::ostringstream all;
  for (const auto& [number, count] : counter.stop()) {
    all << " " << number << ": " << count;
    switch (number) {
      case SYS_read:
      case SYS_write:
      case SYS_readv:
      case SYS_writev:
      case SYS_recvfrom:
      case SYS_sendto:
      case SYS_sendmsg:
        transfers += count;
        break;
      case SYS_epoll_wait:
      case SYS_epoll_pwait:
        break;  // a lone client is waited for twice a request; many share their waits
      case SYS_mmap:
      case SYS_munmap:
      case SYS_madvise:
        // A sanitizer's own: it keeps what was freed apart for a while, and maps more.
        others += binary_is_sanitized() ? 0 : count;
        break;
      default:
        others += count;
    }
  }
  EXPECT_GE(transfers, 4 * kRequests) << all.str();
  EXPECT_LE(transfers, 4 * kRequests + kRequests / 50) << all.str();
  EXPECT_LE(others, kRequests / 50) << all.str();
}

// A backend that has sent all of an answer, which one buffer does not hold, costs its client one
// wake-up and not two.
std::uint64_t writes_of(const std::map<long, std::uint64_t>& counts) {
  std::uint64_t writes = 0;
  for (const long call : {SYS_write, SYS_writev, SYS_sendto, SYS_sendmsg}) {
    if (counts.contains(call)) writes += counts.at(call);
  }
  return writes;
}

TEST(Cost, AnAnswerLargerThanABufferGoesOutInOneWrite) {
  constexpr std::uint64_t kRequests = 50;
  Backend backend("s1", [](const Request&) { return Reply{.body = std::string(40'000, 'x')}; });
  Ringmaster ringmaster(kOneWorker + backend.toml());
  Client client(ringmaster.endpoint());
  ask(client, 20);

  SyscallCounter counter(ringmaster.workers().at(0));
  ask(client, kRequests);
  const std::uint64_t writes = writes_of(counter.stop());
  EXPECT_GE(writes, 2 * kRequests);
  EXPECT_LE(writes, 2 * kRequests + kRequests / 10) << "the request, and an answer whole";
}

TEST(Cost, ARequestLargerThanABufferGoesOutInOneWrite) {
  constexpr std::uint64_t kRequests = 50;
  // At once: a head that comes alone is not waited with.
  const std::string post =
      request_head("POST", "/", "Content-Length: 40000\r\n") + std::string(40'000, 'x');
  Backend backend("s1");
  Ringmaster ringmaster(kOneWorker + backend.toml());
  Client client(ringmaster.endpoint());
  ask(client, 20);

  SyscallCounter counter(ringmaster.workers().at(0));
  for (std::uint64_t i = 0; i < kRequests; ++i) {
    client.send(post);
    ASSERT_EQ(client.receive().status, 200);
  }
  const std::uint64_t writes = writes_of(counter.stop());
  EXPECT_GE(writes, 2 * kRequests);
  EXPECT_LE(writes, 2 * kRequests + kRequests / 10) << "a request whole, and the answer";
}

// KiB that `pid` has written to and shares with nobody.
long anonymous_kib(pid_t pid) {
  std::ifstream status("/proc/" + std::to_string(pid) + "/status");
  for (std::string word; status >> word;) {
    long kib = 0;
    if (word == "RssAnon:" && status >> kib) return kib;
  }
  throw std::runtime_error("no RssAnon of " + std::to_string(pid));
}

TEST(Cost, AnIdleTunnelHoldsNoBuffer) {
  if (binary_is_sanitized()) GTEST_SKIP() << "its allocator keeps what is freed";
  constexpr int kTunnels = 300;
  const std::string message(100 << 10, 'x');
  Backend backend("s1", Backend::Script(echo));
  Ringmaster ringmaster(kOneWorker + backend.toml());
  const pid_t worker = ringmaster.workers().at(0);
  const long before = anonymous_kib(worker);
  std::vector<Client> tunnels;
  for (int i = 0; i < kTunnels; ++i) {
    Client& client = tunnels.emplace_back(ringmaster.endpoint());
    client.send(request_head("GET", "/chat", kUpgrade));
    ASSERT_EQ(client.receive_head().status, 101);
    client.send(message);
    ASSERT_EQ(client.stream().read_exactly(message.size()), message);
  }
  EXPECT_LT((anonymous_kib(worker) - before) / kTunnels, 9);  // with their buffers: 20
}

TEST(Cost, APostThatWaitsForItsAnswerHoldsNoBigBuffer) {
  if (binary_is_sanitized()) GTEST_SKIP() << "its allocator keeps what is freed";
  constexpr std::size_t kPosts = 100;
  const std::string post =
      request_head("POST", "/", "Content-Length: 60000\r\n") + std::string(60'000, 'x');
  Event may_answer;
  Backend backend("s1", answers_after(may_answer));
  Ringmaster ringmaster(kOneWorker + backend.toml());
  const pid_t worker = ringmaster.workers().at(0);
  const long before = anonymous_kib(worker);
  std::vector<Client> clients;
  for (std::size_t i = 0; i < kPosts; ++i) clients.emplace_back(ringmaster.endpoint()).send(post);
  ASSERT_TRUE(wait_until([&] { return backend.request_count() == kPosts; }));

  EXPECT_LT((anonymous_kib(worker) - before) / static_cast<long>(kPosts), 15);  // with them: 65
  may_answer.set();
  for (Client& client : clients) EXPECT_EQ(client.receive().status, 200);
}

TEST(Cost, SixtyFourWorkersAnswerAndCountExactly) {
  Backend backend("s1");
  Ringmaster ringmaster("[server]\nworkers = 64\n" + backend.toml());
  Load load(ringmaster.endpoint(), 16);
  ASSERT_TRUE(load.wait_for_more(500));
  const Load::Outcome outcome = load.stop();
  EXPECT_TRUE(outcome.is_flawless()) << ::testing::PrintToString(outcome);
  EXPECT_EQ(ringmaster.metrics().sum("requests_total"), static_cast<double>(outcome.answered));
  EXPECT_EQ(ringmaster.metrics().get("ringmaster_workers{state=\"serving\"}"), 64);
}

}  // namespace
}  // namespace ringmaster::test
