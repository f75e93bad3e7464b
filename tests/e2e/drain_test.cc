// Nobody is cut off by a stop: what is in flight is answered, what comes new is refused, and the
// exit code tells whether anything had to be cut.
#include <gtest/gtest.h>

#include <csignal>
#include <tuple>

#include "tests/support/backend.h"
#include "tests/support/behaviour.h"
#include "tests/support/ringmaster.h"
#include "tests/support/unburied.h"

namespace ringmaster::test {
namespace {

constexpr Exit kClean{0, 0};
constexpr Exit kCut{3, 0};

// The test's name for "no new connection is taken".
bool comes_to_refuse(const Ringmaster& ringmaster) {
  return wait_until([&] { return is_refused(ringmaster.endpoint()); });
}

class Drain : public ::testing::TestWithParam<int> {};

TEST_P(Drain, FiftyRequestsInFlightSurviveTheShutdown) {
  Event may_answer;
  Backend backend("s1", answers_after(may_answer, "I survived the shutdown"));
  Ringmaster ringmaster("[server]\nworkers = 2\n" + backend.toml());
  std::vector<Client> clients;
  for (int i = 0; i < 50; ++i) {
    clients.emplace_back(ringmaster.endpoint());
    clients.back().send(request_head("GET", "/" + std::to_string(i)));
  }
  ASSERT_TRUE(wait_until([&] { return backend.request_count() == 50; }));

  ringmaster.process().signal(GetParam());

  EXPECT_TRUE(comes_to_refuse(ringmaster));
  EXPECT_EQ(backend.in_flight(), 50);
  may_answer.set();
  for (Client& client : clients) {
    const Response response = client.receive();
    EXPECT_EQ(response.status, 200);
    EXPECT_EQ(response.body, "I survived the shutdown");
    EXPECT_TRUE(response.says_close());
  }
  EXPECT_EQ(ringmaster.process().wait_exit(), kClean);
  EXPECT_TRUE(ringmaster.process().is_group_gone());
}

INSTANTIATE_TEST_SUITE_P(By, Drain, ::testing::Values(SIGINT, SIGTERM, SIGQUIT),
                         [](const auto& row) {
                           return std::string("SIG") + ::sigabbrev_np(row.param);
                         });

TEST(Stop, WithNothingToDoIsImmediateAndClean) {
  Backend backend("s1");
  Ringmaster ringmaster("[server]\ndrain_timeout = \"60s\"\n" + backend.toml());
  Client idle(ringmaster.endpoint());
  EXPECT_EQ(idle.get("/").status, 200);

  EXPECT_EQ(ringmaster.stop(SIGTERM, seconds(10)), kClean);
  EXPECT_TRUE(idle.is_ended());
}

// Those who wait to be accepted are taken up before the listener closes, and are too many.
TEST(Stop, AWorkerThatIsFullStopsInOrder) {
  Backend backend("s1");
  Ringmaster ringmaster("[server]\nworkers = 1\nmax_connections = 20\n" + backend.toml());
  const pid_t worker = ringmaster.workers().at(0);
  ::kill(worker, SIGSTOP);
  std::vector<Client> waiting;
  for (int i = 0; i < 40; ++i) waiting.emplace_back(ringmaster.endpoint());
  ringmaster.process().signal(SIGTERM);
  ASSERT_TRUE(
      wait_until([&] { return ringmaster.process().log().find("stopping") != std::string::npos; }));
  ::kill(worker, SIGCONT);

  EXPECT_EQ(ringmaster.process().wait_exit(), kClean);
  EXPECT_NE(ringmaster.process().log().find("worker 0 is done"), std::string::npos)
      << ringmaster.process().log();
}

TEST(Stop, DoesNotWaitForAWorkerThatWasKilledAndDoesNotEnd) {
  Event never;
  Backend backend("s1", answers_after(never));
  Ringmaster ringmaster("[server]\nworkers = 1\ndrain_timeout = \"100ms\"\n" + backend.toml());
  Client client(ringmaster.endpoint());
  client.send(request_head("GET", "/"));
  ASSERT_TRUE(wait_until([&] { return backend.in_flight() == 1; }));
  const pid_t worker = ringmaster.workers().at(0);
  Unburied held(worker);
  if (!held.is_held()) GTEST_SKIP() << "nobody may trace here";
  ::kill(worker, SIGKILL);

  EXPECT_EQ(ringmaster.stop(SIGTERM), kCut) << "its request was";
  EXPECT_NE(ringmaster.process().log().find("1 request cut"), std::string::npos)
      << ringmaster.process().log();
  never.set();
}

TEST(Stop, DoesNotWaitForAWorkerThatWasGivenUpBefore) {
  Backend backend("s1");
  Ringmaster ringmaster("[server]\nworkers = 1\n" + backend.toml());
  const pid_t worker = ringmaster.workers().at(0);
  Unburied held(worker);
  if (!held.is_held()) GTEST_SKIP() << "nobody may trace here";
  ::kill(worker, SIGKILL);
  ASSERT_TRUE(wait_until([&] {
    return ringmaster.process().log().find("does not end, 0 requests") != std::string::npos;
  })) << ringmaster.process().log();

  EXPECT_EQ(ringmaster.stop(SIGTERM, seconds(10)), kClean) << "well within the drain_timeout";
}

// It did all that it was told, but for its very end: its access log lies on a disk that hangs.
TEST(Stop, CountsWhatAWorkerCutThatThenDoesNotEnd) {
  Event never;
  Backend backend("s1", answers_after(never));
  Ringmaster ringmaster("[server]\nworkers = 1\n" + backend.toml());
  Client client(ringmaster.endpoint());
  client.send(request_head("GET", "/"));
  ASSERT_TRUE(wait_until([&] { return backend.in_flight() == 1; }));
  Unburied held(ringmaster.workers().at(0));
  if (!held.is_held()) GTEST_SKIP() << "nobody may trace here";
  ringmaster.process().signal(SIGTERM);
  ASSERT_TRUE(comes_to_refuse(ringmaster));

  EXPECT_EQ(ringmaster.stop(SIGINT), kCut);
  EXPECT_NE(ringmaster.process().log().find("it is left behind"), std::string::npos)
      << ringmaster.process().log();
  never.set();
}

TEST(Stop, SaysThatItDoesNotReloadAnyMore) {
  Event never;
  Backend backend("s1", answers_after(never));
  Ringmaster ringmaster(backend.toml());
  Client client(ringmaster.endpoint());
  client.send(request_head("GET", "/"));
  ASSERT_TRUE(wait_until([&] { return backend.in_flight() == 1; }));
  const auto says = [&](const char* what) {
    return wait_until([&] { return ringmaster.process().log().find(what) != std::string::npos; });
  };
  ringmaster.process().signal(SIGTERM);
  ASSERT_TRUE(says("stopping")) << ringmaster.process().log();
  ringmaster.process().signal(SIGHUP);
  EXPECT_TRUE(says("SIGHUP: no reload")) << ringmaster.process().log();
  EXPECT_EQ(ringmaster.stop(SIGINT), kCut);
  never.set();
}

// What a stop is at when the second signal comes.
struct Stage {
  const char* name;
  const char* config;  // of [server]
  bool (*is_reached)(const Ringmaster&);
};
constexpr Stage kStages[] = {
    {"InItsPreDrain", "pre_drain = \"60s\"\n",
     [](const Ringmaster& ringmaster) { return ringmaster.ready_status() == 503; }},
    {"WhileItDrains", "",
     [](const Ringmaster& ringmaster) { return is_refused(ringmaster.endpoint()); }},
};

class StopTwice : public ::testing::TestWithParam<std::tuple<int, Stage>> {};
INSTANTIATE_TEST_SUITE_P(After, StopTwice,
                         ::testing::Combine(::testing::Values(SIGINT, SIGTERM),
                                            ::testing::ValuesIn(kStages)),
                         [](const auto& row) {
                           return std::string("SIG") + ::sigabbrev_np(std::get<int>(row.param)) +
                                  std::get<Stage>(row.param).name;
                         });

TEST_P(StopTwice, AnInterruptCutsAtOnce) {
  const auto& [signal, stage] = GetParam();
  Event never;
  Backend backend("s1", answers_after(never));
  Ringmaster ringmaster("[server]\ndrain_timeout = \"60s\"\n" + std::string(stage.config) +
                        backend.toml());
  Client client(ringmaster.endpoint());
  client.send(request_head("GET", "/"));
  ASSERT_TRUE(wait_until([&] { return backend.in_flight() == 1; }));

  ringmaster.process().signal(signal);
  ASSERT_TRUE(wait_until([&] { return stage.is_reached(ringmaster); }));
  EXPECT_FALSE(client.stream().is_readable());
  const Stopwatch watch;
  EXPECT_EQ(ringmaster.stop(SIGINT), kCut);
  EXPECT_LT(watch.elapsed(), seconds(1) + noise());
  EXPECT_THROW(client.receive(), StreamError);
  never.set();
}

TEST(Stop, WhatExceedsTheDrainTimeoutIsCut) {
  Event never;
  Backend backend("s1", answers_after(never));
  Ringmaster ringmaster("[server]\ndrain_timeout = \"1s\"\n" + backend.toml());
  Client client(ringmaster.endpoint());
  client.send(request_head("GET", "/"));
  ASSERT_TRUE(wait_until([&] { return backend.in_flight() == 1; }));

  const Stopwatch watch;
  EXPECT_EQ(ringmaster.stop(SIGTERM), kCut);
  EXPECT_GE(watch.elapsed(), milliseconds(900));
  EXPECT_LT(watch.elapsed(), seconds(2) + noise());
  EXPECT_TRUE(ringmaster.process().is_group_gone());
  never.set();
}

// Nor for the threads in which libuv has host names looked up.
TEST(Stop, DoesNotWaitForADnsServerThatIsSilent) {
  if (binary_is_sanitized()) GTEST_SKIP() << "its runtime must be loaded first";
  Backend backend("s1");
  StartOptions options;
  options.environment = {"LD_PRELOAD=" + own_dns_library()};
  Ringmaster ringmaster(
      backend.toml() + "[[backend]]\nname = \"s2\"\naddress = \"named.invalid:80\"\n", options);
  EXPECT_EQ(get(ringmaster.endpoint(), "/").status, 200);
  EXPECT_EQ(ringmaster.ctl({"reload"}).exit, (Exit{0, 0}));
  EXPECT_EQ(get(ringmaster.endpoint(), "/").status, 200);
  EXPECT_EQ(ringmaster.stop(SIGTERM), (Exit{0, 0}));
}

TEST(Stop, ARequestSentInThatVeryMomentIsAnswered) {
  Backend backend("s1");
  Ringmaster ringmaster("[server]\nworkers = 2\n" + backend.toml());
  std::vector<Client> clients;
  for (int i = 0; i < 40; ++i) {
    clients.emplace_back(ringmaster.endpoint());
    ASSERT_EQ(clients.back().get("/").status, 200);
  }

  for (std::size_t i = 0; i < clients.size(); ++i) {
    if (i == clients.size() / 2) ringmaster.process().signal(SIGTERM);
    clients[i].send(request_head("GET", "/last"));
  }

  for (Client& client : clients) EXPECT_EQ(client.receive().status, 200);
  EXPECT_EQ(ringmaster.process().wait_exit(), kClean);
}

TEST(Stop, ARequestHalfSentInThatVeryMomentIsAnswered) {
  Backend backend("s1");
  Ringmaster ringmaster(backend.toml());
  Client client(ringmaster.endpoint());
  ASSERT_EQ(client.get("/").status, 200);
  const std::string request = request_head("GET", "/half");
  client.send(request.substr(0, request.size() / 2));

  ringmaster.process().signal(SIGTERM);
  ASSERT_TRUE(comes_to_refuse(ringmaster));
  client.send(request.substr(request.size() / 2));

  EXPECT_EQ(client.receive().status, 200);
  EXPECT_EQ(ringmaster.process().wait_exit(), kClean);
}

TEST(Stop, ABodyOnItsWayComesWholeInBothDirections) {
  Event may_finish;
  Backend backend("s1", Backend::Script([&](Conversation& conversation) {
                    conversation.read_body();
                    conversation.stream().send(
                        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunk("begun "));
                    may_finish.wait();
                    conversation.stream().send(chunk("and ended") + "0\r\n\r\n");
                  }));
  Ringmaster ringmaster(backend.toml());
  Client down(ringmaster.endpoint());
  down.send(request_head("GET", "/"));
  Response response = down.receive_head();
  Client up(ringmaster.endpoint());
  up.send(request_head("POST", "/", "Content-Length: 10\r\n") + "01234");
  ASSERT_TRUE(wait_until([&] { return backend.request_count() == 2; }));

  ringmaster.process().signal(SIGTERM);
  ASSERT_TRUE(comes_to_refuse(ringmaster));
  up.send("56789");
  may_finish.set();

  std::string body;
  down.receive_body(response, [&](std::string_view piece) { body += piece; });
  EXPECT_EQ(body, "begun and ended");
  EXPECT_EQ(up.receive().body, "begun and ended");
  EXPECT_EQ(ringmaster.process().wait_exit(), kClean);
}

TEST(Stop, PipelinedRequestsInFlightAreAllAnswered) {
  Event may_answer;
  Backend backend("s1", answers_after(may_answer));
  Ringmaster ringmaster(backend.toml());
  Client client(ringmaster.endpoint());
  client.send(request_head("GET", "/1") + request_head("GET", "/2") + request_head("GET", "/3"));
  ASSERT_TRUE(wait_until([&] { return backend.in_flight() >= 1; }));

  ringmaster.process().signal(SIGTERM);
  ASSERT_TRUE(comes_to_refuse(ringmaster));
  may_answer.set();

  for (const bool is_last : {false, false, true}) {
    const Response response = client.receive();
    EXPECT_EQ(response.status, 200);
    EXPECT_EQ(response.says_close(), is_last);
  }
  EXPECT_TRUE(client.is_ended());
  EXPECT_EQ(ringmaster.process().wait_exit(), kClean);
}

TEST(Stop, MasterTellsTheTruthWhileItDrains) {
  Event may_answer;
  Backend backend("s1", answers_after(may_answer));
  Ringmaster ringmaster(backend.toml());
  Client client(ringmaster.endpoint());
  client.send(request_head("GET", "/"));
  ASSERT_TRUE(wait_until([&] { return backend.in_flight() == 1; }));

  ringmaster.process().signal(SIGTERM);
  ASSERT_TRUE(comes_to_refuse(ringmaster));

  EXPECT_EQ(ringmaster.ready_status(), 503);
  EXPECT_EQ(get(ringmaster.admin(), "/healthz").status, 200);
  EXPECT_EQ(ringmaster.metrics().get("active_connections{backend=\"s1\"}"), 1);
  may_answer.set();
  EXPECT_EQ(client.receive().status, 200);
  EXPECT_EQ(ringmaster.process().wait_exit(), kClean);
}

TEST(Stop, ThePortCanBeBoundAtOnce) {
  Backend backend("s1");
  std::string listen;
  {
    Ringmaster first(backend.toml());
    Client client(first.endpoint());
    EXPECT_EQ(client.get("/").status, 200);
    listen = "[server]\nlisten = \"" + first.endpoint().to_string() + "\"\n";
    EXPECT_EQ(first.stop(SIGTERM), kClean);
  }
  Ringmaster second(listen + backend.toml());
  EXPECT_EQ(get(second.endpoint(), "/").status, 200);
}

}  // namespace
}  // namespace ringmaster::test
