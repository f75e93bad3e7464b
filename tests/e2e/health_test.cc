// A backend that dies is out of use within seconds, one that refuses connections at once, and no
// client notices; it is back when it has proved itself. With none left the answer is an honest 503.
#include <gtest/gtest.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <cerrno>
#include <csignal>
#include <fstream>
#include <functional>
#include <future>

#include "shared/base/unique_fd.h"
#include "tests/support/backend.h"
#include "tests/support/backend_process.h"
#include "tests/support/behaviour.h"
#include "tests/support/load.h"
#include "tests/support/ringmaster.h"

namespace ringmaster::test {
namespace {

TEST(Health, ADeadBackendIsOutWithinThreeSecondsWithoutTraffic) {
  BackendProcess a("a"), b("b");
  Ringmaster ringmaster(a.toml() + b.toml());
  ASSERT_EQ(ringmaster.backend_state("a"), "up");

  a.signal(SIGKILL);

  EXPECT_TRUE(ringmaster.wait_for_state("a", "down", seconds(3) + noise()));
  EXPECT_EQ(ringmaster.backend_state("b"), "up");
  EXPECT_TRUE(wait_until(
      [&] { return ringmaster.metrics().get("ringmaster_backend_up{backend=\"a\"}") == 0; }));
}

TEST(Health, ABackendThatRefusesIsOutAtTheFirstRefusal) {
  Backend a("a"), b("b");
  // Probes of themselves come far too seldom to notice.
  Ringmaster ringmaster("[health]\ninterval = \"60s\"\n" + toml_of(a, b));
  const std::string path = ringmaster.path_of("a");
  a.stop();

  const Stopwatch since_first_refusal;
  const Response response = get(ringmaster.endpoint(), path);

  EXPECT_EQ(response.status, 200);
  EXPECT_EQ(response.backend(), "b");
  EXPECT_TRUE(ringmaster.wait_for_state("a", "down"));
  EXPECT_LT(since_first_refusal.elapsed(), milliseconds(100) + noise());
}

TEST(Health, ABackendIsBackAfterItsRise) {
  Backend a("a"), b("b");
  Ringmaster ringmaster("[health]\ninterval = \"200ms\"\ntimeout = \"200ms\"\nrise = 2\n" +
                        toml_of(a, b));
  const std::string path = ringmaster.path_of("a");
  a.stop();
  ASSERT_TRUE(ringmaster.wait_for_state("a", "down"));
  EXPECT_EQ(get(ringmaster.endpoint(), path).backend(), "b");

  a.start();

  ASSERT_TRUE(ringmaster.wait_for_state("a", "up", seconds(3) + noise()));
  EXPECT_EQ(get(ringmaster.endpoint(), path).backend(), "a");
}

// Runs `body` where IPv6 is off: in a network of its own, with a loopback that has 127.0.0.1 only.
// False if this machine does not let us make one.
bool run_without_ipv6(const std::function<void()>& body) {
  // In a thread, which takes its network with it; what it starts is born there.
  return std::async(std::launch::async,
                    [&] {
                      if (::unshare(CLONE_NEWNET) != 0) return false;
                      std::ofstream("/proc/sys/net/ipv6/conf/all/disable_ipv6") << 1;
                      const UniqueFd socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
                      ifreq loopback{.ifr_ifrn = {"lo"}, .ifr_ifru = {}};
                      loopback.ifr_flags = IFF_UP | IFF_RUNNING;
                      EXPECT_EQ(::ioctl(socket.get(), SIOCSIFFLAGS, &loopback), 0);
                      const UniqueFd tcp(::socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0));
                      sockaddr_in6 there{};
                      there.sin6_family = AF_INET6;
                      there.sin6_port = htons(8081);
                      there.sin6_addr = in6addr_loopback;
                      const auto* any = reinterpret_cast<const sockaddr*>(&there);
                      if (::connect(tcp.get(), any, sizeof there) == 0 || errno != EADDRNOTAVAIL) {
                        return false;  // it could not be switched off, or was never there
                      }
                      body();
                      return true;
                    })
      .get();
}

// connect() says EADDRNOTAVAIL there, as if the local ports had run out; those come back.
TEST(Health, ABackendAtAnAddressThatThisMachineHasNoWayToIsDown) {
  const bool could = run_without_ipv6([] {
    Backend a("a");
    Ringmaster ringmaster(a.toml() + "[[backend]]\nname = \"b\"\naddress = \"[::1]:8081\"\n");
    EXPECT_EQ(ringmaster.backend_state("a"), "up");
    EXPECT_EQ(ringmaster.backend_state("b"), "down");
    EXPECT_NE(ringmaster.process().log().find("b down: connect: network is unreachable"),
              std::string::npos)
        << ringmaster.process().log();
    EXPECT_EQ(get(ringmaster.endpoint(), "/").status, 200);
  });
  if (!could) GTEST_SKIP() << "no network namespace to be had: needs root";
}

TEST(Health, NoGetFailsWhenABackendIsKilledUnderLoad) {
  BackendProcess a("a"), b("b"), c("c");
  Ringmaster ringmaster("[server]\nworkers = 2\n" + a.toml() + b.toml() + c.toml());
  Load load(ringmaster.endpoint(), 8);
  ASSERT_TRUE(load.wait_for_more(200));

  a.signal(SIGKILL);

  EXPECT_TRUE(ringmaster.wait_for_state("a", "down", seconds(3) + noise()));
  EXPECT_TRUE(load.wait_for_more(200));
  const Load::Outcome outcome = load.stop();
  EXPECT_TRUE(outcome.is_flawless()) << ::testing::PrintToString(outcome);
}

TEST(Health, NoGetFailsWhenABackendHangs) {
  BackendProcess a("a"), b("b"), c("c");
  Ringmaster ringmaster("[server]\nworkers = 2\n" + a.toml() + b.toml() + c.toml());
  Load load(ringmaster.endpoint(), 8);
  ASSERT_TRUE(load.wait_for_more(200));

  const Stopwatch since_stop;
  a.signal(SIGSTOP);

  EXPECT_TRUE(ringmaster.wait_for_state("a", "down"));
  EXPECT_LT(since_stop.elapsed(), seconds(3) + noise());
  EXPECT_TRUE(load.wait_for_more(400));
  const Load::Outcome outcome = load.stop();
  EXPECT_TRUE(outcome.is_flawless()) << ::testing::PrintToString(outcome);
  // Those that waited on it were asked again elsewhere as soon as it was out.
  EXPECT_LT(outcome.slowest, seconds(3) + noise());

  a.signal(SIGCONT);
  EXPECT_TRUE(ringmaster.wait_for_state("a", "up"));
}

// What fails its probes may still answer what it has, and nobody else could.
TEST(Health, WhoWasToldOnlyThatAnAnswerComesIsAskedElsewhereToo) {
  for (const char* told : {"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n", "HTTP/1.1 200 O"}) {
    std::atomic<bool> is_first = true;
    const auto answer = [&](Conversation& conversation) {
      if (!is_first.exchange(false)) return conversation.reply({.body = "answered"});
      conversation.stream().send(told);
      conversation.stream().read_all();  // the proxy hangs up first
    };
    Backend a("a", Backend::Script(answer)), b("b", Backend::Script(answer));
    Ringmaster ringmaster("[health]\ninterval = \"200ms\"\ntimeout = \"200ms\"\n" + toml_of(a, b));
    Client client(ringmaster.endpoint());
    client.send(request_head("GET", "/"));
    ASSERT_TRUE(wait_until([&] { return a.request_count() + b.request_count() == 1; }));
    (a.request_count() == 1 ? a : b).hang();

    const Stopwatch watch;
    EXPECT_EQ(client.receive().body, "answered") << told;
    EXPECT_LT(watch.elapsed(), seconds(5) + noise());
  }
}

TEST(Health, WithNoBackendLeftWhatIsUnderWayIsWaitedFor) {
  Event go_on;
  Backend a("a", answers_after(go_on, "late"));
  Ringmaster ringmaster("[health]\ninterval = \"200ms\"\ntimeout = \"200ms\"\n" + a.toml());
  Client client(ringmaster.endpoint());
  client.send(request_head("GET", "/"));
  ASSERT_TRUE(wait_until([&] { return a.request_count() == 1; }));
  a.hang();
  ASSERT_TRUE(ringmaster.wait_for_state("a", "down"));
  a.resume();
  ASSERT_TRUE(ringmaster.wait_for_state("a", "up"));
  go_on.set();
  EXPECT_EQ(client.receive().body, "late");
  EXPECT_EQ(ringmaster.metrics().sum("ringmaster_retries_total"), 0);
}

TEST(Health, WithNoRoomElsewhereWhatIsUnderWayIsWaitedFor) {
  Event go_on;
  const auto wait = answers_after(go_on, "late");
  Backend a("a", wait);
  Backend b("b", wait);
  const std::string one_at_a_time = "max_connections = 1\n";
  Ringmaster ringmaster("[health]\ninterval = \"200ms\"\ntimeout = \"200ms\"\n" +
                        a.toml(one_at_a_time) + b.toml(one_at_a_time));
  std::vector<Client> clients;
  for (int i = 0; i < 2; ++i) {
    clients.emplace_back(ringmaster.endpoint());
    clients.back().send(request_head("GET", "/"));
  }
  ASSERT_TRUE(wait_until([&] { return a.request_count() == 1 && b.request_count() == 1; }));
  a.hang();
  ASSERT_TRUE(ringmaster.wait_for_state("a", "down"));
  a.resume();
  ASSERT_TRUE(ringmaster.wait_for_state("a", "up"));
  go_on.set();
  for (Client& client : clients) EXPECT_EQ(client.receive().body, "late");
  EXPECT_EQ(ringmaster.metrics().sum("ringmaster_retries_total"), 0);
}

TEST(Health, WithNoBackendLeftClientsAreToldToComeBack) {
  Backend a("a");
  Ringmaster ringmaster("[health]\ninterval = \"200ms\"\ntimeout = \"200ms\"\n" + a.toml());
  EXPECT_EQ(ringmaster.ready_status(), 200);
  a.stop();
  ASSERT_TRUE(ringmaster.wait_for_state("a", "down"));

  const Response response = get(ringmaster.endpoint(), "/");

  EXPECT_EQ(response.status, 503);
  EXPECT_TRUE(response.has("Retry-After"));
  EXPECT_FALSE(response.body.empty());
  EXPECT_EQ(ringmaster.ready_status(), 503);
  EXPECT_EQ(get(ringmaster.admin(), "/healthz").status, 200);
  EXPECT_TRUE(wait_until([&] { return ringmaster.rejected("no_backend") == 1; }));

  a.start();
  ASSERT_TRUE(wait_until([&] { return ringmaster.ready_status() == 200; }));
  EXPECT_EQ(get(ringmaster.endpoint(), "/").status, 200);
}

TEST(Health, ABackendThatWasNeverThereIsNotUsed) {
  Backend a("a"), b("b");
  b.stop();
  Ringmaster ringmaster(toml_of(a, b));
  ASSERT_TRUE(ringmaster.wait_for_state("b", "down"));
  Client client(ringmaster.endpoint());

  for (int i = 0; i < 50; ++i) {
    EXPECT_EQ(client.get("/" + std::to_string(i)).backend(), "a");
  }
}

TEST(Health, AnUnexpectedStatusIsAFailure) {
  std::atomic<int> status = 200;
  Backend a("a", [&](const Request& request) {
    return Reply{.status = request.target == "/alive" ? status.load() : 200};
  });
  Ringmaster ringmaster(
      "[health]\npath = \"/alive\"\ninterval = \"200ms\"\ntimeout = \"200ms\"\n"
      "expect = \"200-299\"\n" +
      a.toml());

  status = 302;
  EXPECT_TRUE(ringmaster.wait_for_state("a", "down"));
  status = 204;
  EXPECT_TRUE(ringmaster.wait_for_state("a", "up"));
}

TEST(Health, AnEmptyPathMeansThatAConnectionIsEnough) {
  Backend a("a", [](const Request&) { return Reply{.status = 500}; });
  Ringmaster ringmaster("[health]\npath = \"\"\ninterval = \"200ms\"\ntimeout = \"200ms\"\n" +
                        a.toml());

  EXPECT_EQ(ringmaster.backend_state("a"), "up");
  EXPECT_EQ(a.request_count(), 0u);
  a.stop();
  EXPECT_TRUE(ringmaster.wait_for_state("a", "down"));
}

TEST(Health, AChangeIsLoggedOnceWithItsReason) {
  Backend a("a"), b("b");
  Ringmaster ringmaster("[health]\ninterval = \"200ms\"\ntimeout = \"200ms\"\n" + toml_of(a, b));
  a.stop();
  ASSERT_TRUE(ringmaster.wait_for_state("a", "down"));
  a.start();
  ASSERT_TRUE(ringmaster.wait_for_state("a", "up"));

  const std::string log = ringmaster.process().log();
  const std::size_t first = log.find("a down: ");
  ASSERT_NE(first, std::string::npos);
  EXPECT_EQ(log.find("a down: ", first + 1), std::string::npos);
  EXPECT_NE(log.substr(first, 200).find("connection refused"), std::string::npos);
}

TEST(Health, HostNamesAreResolved) {
  // "localhost" is 127.0.0.1 everywhere; the backend listens there on a port of its own.
  UniqueFd reserved = listen_at({"127.0.0.1", 0});
  const std::string port = std::to_string(local_endpoint(reserved.get()).port);
  Ringmaster ringmaster(
      "[health]\npath = \"\"\n[[backend]]\nname = \"a\"\naddress = \"localhost:" + port + "\"\n");

  EXPECT_EQ(ringmaster.backend_state("a"), "up");
}

}  // namespace
}  // namespace ringmaster::test
