// What waits is handed to the next generation: idle connections, and tunnels with their bytes.
#include <gtest/gtest.h>

#include <algorithm>
#include <csignal>
#include <future>
#include <nlohmann/json.hpp>

#include "tests/support/backend.h"
#include "tests/support/behaviour.h"
#include "tests/support/ringmaster.h"

namespace ringmaster::test {
namespace {

constexpr Exit kDone{0, 0};

bool is_reloaded(Ringmaster& ringmaster) {
  if (ringmaster.ctl({"reload"}).exit != kDone) return false;
  return wait_until([&] { return ringmaster.only_this_generation_is_left(); });
}

TEST(HandOver, AnIdleConnectionGoesOnWithTheNextGeneration) {
  Backend backend("s1");
  Ringmaster ringmaster("[server]\nworkers = 2\n" + backend.toml());
  std::vector<Client> clients;
  for (int i = 0; i < 40; ++i) {
    clients.emplace_back(ringmaster.endpoint());
    EXPECT_EQ(clients.back().get("/").status, 200);
  }
  Client fresh(ringmaster.endpoint());  // has not said anything yet
  for (int round = 0; round < 3; ++round) {
    ASSERT_TRUE(is_reloaded(ringmaster));
    EXPECT_TRUE(wait_until([&] {
      return ringmaster.metrics().get("ringmaster_client_connections{state=\"idle\"}") == 41;
    }));
    for (Client& client : clients) {
      const Response response = client.get("/");
      EXPECT_EQ(response.status, 200);
      EXPECT_FALSE(response.says_close());
    }
  }
  EXPECT_EQ(fresh.get("/").status, 200);
  EXPECT_EQ(ringmaster.metrics().get("ringmaster_client_connections_total"), 41);
}

TEST(HandOver, ManyConnectionsAtOnce) {
  Backend backend("s1");
  Ringmaster ringmaster("[server]\nworkers = 2\n" + backend.toml());
  std::vector<Client> clients;
  for (int i = 0; i < 600; ++i) clients.emplace_back(ringmaster.endpoint());
  ASSERT_TRUE(wait_until([&] {
    return ringmaster.metrics().get("ringmaster_client_connections{state=\"idle\"}") == 600;
  }));
  ASSERT_TRUE(is_reloaded(ringmaster));
  for (Client& client : clients) EXPECT_EQ(client.get("/").status, 200);
}

TEST(HandOver, TheAddressOfTheClientGoesAlong) {
  Backend backend(
      "s1", [](const Request& request) { return Reply{.body = request.field("X-Forwarded-For")}; });
  Ringmaster ringmaster(backend.toml());
  const std::string ip = own_loopback();
  Client client(ringmaster.endpoint(), ip);
  EXPECT_EQ(client.get("/").body, ip);
  ASSERT_TRUE(is_reloaded(ringmaster));
  EXPECT_EQ(client.get("/").body, ip);
}

// Pipelined behind a request that is in flight: the old worker answers that one, the next
// generation the others.
TEST(HandOver, RequestsThatWaitGoAlongWithTheirBytes) {
  Event go_on;
  Backend backend("s1", [&](const Request& request) {
    if (request.target == "/first") go_on.wait();
    return Reply{.body = request.target};
  });
  Ringmaster ringmaster("[server]\nworkers = 1\n" + backend.toml());
  Client client(ringmaster.endpoint());
  const std::string third = request_head("GET", "/third");
  client.send(request_head("GET", "/first") + request_head("GET", "/second") + third.substr(0, 9));
  ASSERT_TRUE(wait_until([&] { return backend.request_count() == 1; }));
  ASSERT_EQ(ringmaster.ctl({"reload"}).exit, kDone);
  go_on.set();
  EXPECT_EQ(client.receive().body, "/first");
  EXPECT_EQ(client.receive().body, "/second");
  client.send(std::string_view(third).substr(9));
  EXPECT_EQ(client.receive().body, "/third");
}

// A stop that comes upon a reload: which connections are with the old workers by then, which with
// the new ones and which in between is nobody's business but ours.
class StopDuringHandOver : public ::testing::Test {
 protected:
  static constexpr std::size_t kConnections = 400;

  void SetUp() override {
    for (std::size_t i = 0; i < kConnections; ++i) clients_.emplace_back(ringmaster_.endpoint());
    for (Client& client : clients_) ASSERT_EQ(client.get("/").status, 200);
  }
  bool comes_to_say(const std::string& words) {
    return wait_until([&] { return ringmaster_.process().log().find(words) != std::string::npos; });
  }
  // Every second client asks for something, and only then the service is told to stop.
  void ask_and_stop() {
    for (std::size_t i = 0; i < kConnections; i += 2) {
      clients_[i].send(request_head("GET", "/" + std::to_string(i)));
    }
    ringmaster_.process().signal(SIGTERM);
  }
  void expect_answers_and_orderly_ends() {
    for (std::size_t i = 0; i < kConnections; ++i) {
      try {
        if (i % 2 == 0) {
          EXPECT_EQ(clients_[i].receive().body, "/" + std::to_string(i));
        }
        EXPECT_TRUE(clients_[i].is_ended()) << i;
      } catch (const StreamError& error) {
        ADD_FAILURE() << "connection " << i << ": " << error.what();
      }
    }
    EXPECT_EQ(ringmaster_.process().wait_exit(), kDone);
    EXPECT_TRUE(ringmaster_.process().is_group_gone());
  }

  Backend backend_{"s1", [](const Request& request) { return Reply{.body = request.target}; }};
  Ringmaster ringmaster_{"[server]\nworkers = 2\n" + backend_.toml()};
  std::vector<Client> clients_;
};

class StopBehindAReload : public StopDuringHandOver,
                          public ::testing::WithParamInterface<const char*> {};
INSTANTIATE_TEST_SUITE_P(When, StopBehindAReload,
                         ::testing::Values("", "its generation starts", "reloaded: "),
                         [](const auto& row) {
                           const std::string words = row.param;
                           return words.empty()     ? "ItIsAskedFor"
                                  : words[0] == 'i' ? "TheNewImageStarts"
                                                    : "ConnectionsAreHandedOver";
                         });

TEST_P(StopBehindAReload, AnswersWhatWasAskedAndClosesTheRestInOrder) {
  ringmaster_.process().signal(SIGHUP);
  ASSERT_TRUE(comes_to_say(GetParam()));
  ask_and_stop();
  expect_answers_and_orderly_ends();
}

void stop_and_wait(const std::vector<pid_t>& workers) {
  for (const pid_t worker : workers) ::kill(worker, SIGSTOP);
  for (const pid_t worker : workers) {
    ASSERT_TRUE(wait_until([&] { return is_stopped(worker); }));
  }
}

// The old workers have given all away, and those that are to take it have not looked yet.
TEST_F(StopDuringHandOver, LosesNothingOfWhatIsBetweenTheWorkers) {
  const std::vector<pid_t> old = ringmaster_.workers();
  ringmaster_.process().signal(SIGHUP);
  ASSERT_TRUE(comes_to_say("its generation starts"));
  stop_and_wait(old);
  ASSERT_TRUE(comes_to_say("reloaded: "));
  std::vector<pid_t> fresh = ringmaster_.workers();
  std::erase_if(fresh, [&](pid_t pid) { return std::count(old.begin(), old.end(), pid) > 0; });
  ASSERT_EQ(fresh.size(), 2u);
  stop_and_wait(fresh);
  for (const pid_t worker : old) ::kill(worker, SIGCONT);
  ASSERT_TRUE(wait_until([&] {
    return ringmaster_.metrics().get("ringmaster_client_connections{state=\"idle\"}") <
           kConnections / 2.0;
  }));

  ask_and_stop();
  ASSERT_TRUE(comes_to_say("stopping: "));
  for (const pid_t worker : fresh) ::kill(worker, SIGCONT);

  expect_answers_and_orderly_ends();
}

void echo_and_part(Conversation& conversation) {
  echo(conversation);
  conversation.stream().send("goodbye");
}

TEST(HandOver, ATunnelGoesOnThroughManyReloads) {
  Backend backend("s1", Backend::Script(echo_and_part));
  Ringmaster ringmaster("[server]\nworkers = 2\n" + backend.toml());
  Client client(ringmaster.endpoint());
  client.send(request_head("GET", "/chat", kUpgrade));
  ASSERT_EQ(client.receive_head().status, 101);
  for (int round = 0; round < 4; ++round) {
    const std::string line = "line " + std::to_string(round) + "\n";
    client.send(line);
    EXPECT_EQ(client.stream().read_until("\n"), line);
    ASSERT_TRUE(is_reloaded(ringmaster));
    EXPECT_TRUE(wait_until([&] {
      const Metrics metrics = ringmaster.metrics();
      return metrics.get("ringmaster_client_connections{state=\"tunnel\"}") == 1 &&
             metrics.get("active_connections{backend=\"s1\"}") == 1;
    }));
  }
  client.stream().shutdown_write();
  EXPECT_EQ(client.stream().read_all(), "goodbye");
  EXPECT_TRUE(wait_until(
      [&] { return ringmaster.metrics().get("active_connections{backend=\"s1\"}") == 0; }));
}

// Those who wait in the kernel's queue get in first and fill the new worker: the limit is for them.
TEST(HandOver, TunnelsAreNotHeldUpByTheLimitOnConnections) {
  Backend backend("s1", Backend::Script(echo_and_part));
  Ringmaster ringmaster("[server]\nworkers = 1\nmax_connections = 2\nheader_timeout = \"60s\"\n" +
                        backend.toml());
  std::vector<Client> tunnels;
  for (int i = 0; i < 2; ++i) {
    tunnels.emplace_back(ringmaster.endpoint());
    tunnels.back().send(request_head("GET", "/chat", kUpgrade));
    ASSERT_EQ(tunnels.back().receive_head().status, 101);
  }
  // Whether these get in before the tunnels or behind them is not for sure.
  const Client newcomers[] = {Client(ringmaster.endpoint()), Client(ringmaster.endpoint())};
  ASSERT_EQ(ringmaster.ctl({"reload"}).exit, kDone);
  for (Client& tunnel : tunnels) {
    tunnel.send("still there?\n");
    EXPECT_EQ(tunnel.stream().read_until("\n"), "still there?\n");
  }
}

// Descriptors that find no number in the new worker would be closed by the kernel.
TEST(HandOver, TunnelsWaitForANewWorkerThatIsShortOfDescriptors) {
  Event may_answer;
  Backend echoing("s1", Backend::Script([&](Conversation& conversation) {
                    if (conversation.request().has("Upgrade")) return echo_and_part(conversation);
                    may_answer.wait();
                    conversation.stream().send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
                  }));
  StartOptions few;
  few.command = {"/bin/sh", "-c", "ulimit -n 200; exec \"$@\"", "sh", ringmaster_binary()};
  Ringmaster ringmaster("[server]\nworkers = 1\nheader_timeout = \"60s\"\n" + echoing.toml(), few);
  std::vector<Client> tunnels;
  for (int i = 0; i < 66; ++i) {
    tunnels.emplace_back(ringmaster.endpoint());
    tunnels.back().send(request_head("GET", "/chat", kUpgrade));
    ASSERT_EQ(tunnels.back().receive_head().status, 101);
  }
  // With these it is full: newcomers wait in the queue, and are all that the new worker can take.
  std::vector<Client> idle;
  for (int i = 0; i < 68 - 66; ++i) idle.emplace_back(ringmaster.endpoint());
  ASSERT_TRUE(wait_until([&] {
    return ringmaster.metrics().get("ringmaster_client_connections{state=\"idle\"}") == 68 - 66;
  }));
  const pid_t old = ringmaster.workers().at(0);
  std::vector<Client> newcomers;
  for (int i = 0; i < 68; ++i) {
    newcomers.emplace_back(ringmaster.endpoint());
    newcomers.back().send(request_head("GET", "/slow"));
  }
  ASSERT_EQ(ringmaster.ctl({"reload"}).exit, kDone);
  const auto hands_over = [&] {
    const nlohmann::json status = ringmaster.status();
    const auto& workers = status.at("workers");
    return std::all_of(workers.begin(), workers.end(), [&](const auto& worker) {
      return worker.at("pid") != old || worker.at("connections") < 68;
    });
  };
  ASSERT_TRUE(wait_until(hands_over));
  may_answer.set();
  idle.clear();
  for (Client& newcomer : newcomers) {
    EXPECT_EQ(newcomer.receive().status, 200);
    newcomer.stream().close();  // which makes room for the next
  }
  EXPECT_TRUE(wait_until([&] { return !is_alive(old); }));
  for (Client& tunnel : tunnels) {
    tunnel.send("still there?\n");
    EXPECT_EQ(tunnel.stream().read_until("\n"), "still there?\n");
  }
}

// The handshake was under way when the others were handed over.
TEST(HandOver, ATunnelThatBeginsMeanwhileFollows) {
  Event go_on;
  Backend backend("s1", Backend::Script([&](Conversation& conversation) {
                    go_on.wait();
                    echo_and_part(conversation);
                  }));
  Ringmaster ringmaster("[server]\nworkers = 1\n" + backend.toml());
  Client client(ringmaster.endpoint());
  client.send(request_head("GET", "/chat", kUpgrade));
  ASSERT_TRUE(wait_until([&] { return backend.request_count() == 1; }));
  ASSERT_EQ(ringmaster.ctl({"reload"}).exit, kDone);
  const auto draining = [&] {
    return ringmaster.metrics().get("ringmaster_workers{state=\"draining\"}");
  };
  ASSERT_TRUE(wait_until([&] { return draining() == 1; })) << "it was told, and says so itself";
  go_on.set();
  ASSERT_EQ(client.receive_head().status, 101);
  EXPECT_TRUE(wait_until([&] { return draining() == 0; }));
  client.send("still there?\n");
  EXPECT_EQ(client.stream().read_until("\n"), "still there?\n");
}

// A worker that was told to go keeps its tunnels, until there is a generation to take them over.
TEST(HandOver, TheTunnelsOfAWorkerThatDrainsByItselfFollowAtTheNextReload) {
  Backend backend("s1", Backend::Script(echo_and_part));
  Ringmaster ringmaster("[server]\nworkers = 1\n" + backend.toml());
  Client client(ringmaster.endpoint());
  client.send(request_head("GET", "/chat", kUpgrade));
  ASSERT_EQ(client.receive_head().status, 101);
  const auto draining = [&] {
    return ringmaster.metrics().get("ringmaster_workers{state=\"draining\"}");
  };
  ::kill(ringmaster.workers().at(0), SIGTERM);
  ASSERT_TRUE(wait_until([&] { return draining() == 1; }));
  ASSERT_TRUE(wait_until(
      [&] { return ringmaster.metrics().get("ringmaster_workers{state=\"serving\"}") == 1; }));
  ASSERT_EQ(ringmaster.ctl({"reload"}).exit, kDone);
  EXPECT_TRUE(wait_until([&] { return draining() == 0; }));
  client.send("still there?\n");
  EXPECT_EQ(client.stream().read_until("\n"), "still there?\n");
}

// Each side has sent more than the other reads: bytes are in every buffer on the way.
TEST(HandOver, ATunnelUnderBackPressureLosesNoByte) {
  std::string flood;
  for (int i = 0; flood.size() < 48 << 20; ++i) flood += "number " + std::to_string(i) + "\n";
  Event go_on;
  Backend backend("s1", Backend::Script([&](Conversation& conversation) {
                    Stream& stream = conversation.stream();
                    switch_protocols(conversation);
                    auto sent = std::async(std::launch::async, [&] { stream.send(flood); });
                    go_on.wait();
                    EXPECT_EQ(stream.read_exactly(flood.size()), flood);
                    sent.get();
                  }));
  Ringmaster ringmaster("[server]\nworkers = 1\n" + backend.toml());
  Client client(ringmaster.endpoint());
  client.send(request_head("GET", "/chat", kUpgrade));
  ASSERT_EQ(client.receive_head().status, 101);
  const std::size_t taken = client.stream().send_until_stalled(flood, milliseconds(200));
  ASSERT_LT(taken, flood.size());

  ASSERT_TRUE(is_reloaded(ringmaster));
  ASSERT_TRUE(is_reloaded(ringmaster));

  go_on.set();
  auto sent =
      std::async(std::launch::async, [&] { client.send(std::string_view(flood).substr(taken)); });
  EXPECT_EQ(client.stream().read_exactly(flood.size()), flood);
  sent.get();
}

// A request that is half read stays where it is, and is answered there.
TEST(HandOver, ARequestThatHasBegunIsServedToItsEnd) {
  Backend backend("s1", [](const Request& request) { return Reply{.body = request.body}; });
  Ringmaster ringmaster("[server]\nworkers = 1\n" + backend.toml());
  Client half_head(ringmaster.endpoint());
  half_head.send("GET / HT");
  Client half_body(ringmaster.endpoint());
  half_body.send(request_head("POST", "/", "Content-Length: 6\r\n") + "abc");
  ASSERT_TRUE(wait_until([&] { return backend.request_count() == 1; }));
  ASSERT_EQ(ringmaster.ctl({"reload"}).exit, kDone);
  half_head.send("TP/1.1\r\nHost: a\r\n\r\n");
  half_body.send("def");
  EXPECT_EQ(half_head.receive().status, 200);
  EXPECT_EQ(half_body.receive().body, "abcdef");
  EXPECT_EQ(half_head.get("/").status, 200);
}

}  // namespace
}  // namespace ringmaster::test
