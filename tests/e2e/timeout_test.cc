// No one may keep a connection waiting for longer than the config allows: not a client, not a
// backend.
#include <gtest/gtest.h>
#include <poll.h>

#include "tests/support/backend.h"
#include "tests/support/behaviour.h"
#include "tests/support/ringmaster.h"

namespace ringmaster::test {
namespace {

bool comes_to_reject(const Ringmaster& ringmaster, const std::string& reason, double count) {
  return wait_until([&] { return ringmaster.rejected(reason) == count; });
}

TEST(Timeout, AHeadThatNeverEndsIsA408) {
  Backend backend("s1");
  Ringmaster ringmaster("[server]\nheader_timeout = \"500ms\"\n" + backend.toml());

  const Stopwatch watch;
  Client client(ringmaster.endpoint());
  client.send("GET / HTTP/1.1\r\nHost: te");
  const Response response = client.receive();

  EXPECT_EQ(response.status, 408);
  EXPECT_TRUE(client.is_ended());
  EXPECT_GE(watch.elapsed(), milliseconds(450));
  EXPECT_LT(watch.elapsed(), milliseconds(1500) + noise());
  EXPECT_TRUE(comes_to_reject(ringmaster, "header_timeout", 1));
  EXPECT_EQ(backend.request_count(), 0u);
}

// Old clients send one behind a body (RFC 9112 section 2.2).
TEST(Timeout, AStrayLineEndIsNoRequestThatIsLate) {
  Backend backend("s1");
  Ringmaster ringmaster("[server]\nheader_timeout = \"500ms\"\n" + backend.toml());

  Client client(ringmaster.endpoint());
  client.send(request_head("POST", "/", "Content-Length: 4\r\n") + "body\r\n");

  EXPECT_EQ(client.receive().status, 200);
  EXPECT_TRUE(client.is_ended()) << "and not told 408";
  EXPECT_EQ(ringmaster.rejected("header_timeout"), 0);
}

TEST(Timeout, TheHeadAsAWholeIsTimedNotEachByte) {
  Backend backend("s1");
  Ringmaster ringmaster("[server]\nheader_timeout = \"1s\"\n" + backend.toml());

  const Stopwatch watch;
  Client client(ringmaster.endpoint());
  client.send("GET / HTTP/1.1\r\nX-Drip: ");
  while (!client.stream().is_readable(milliseconds(100)) && watch.elapsed() < kPatience) {
    client.send("x");
  }

  EXPECT_EQ(client.receive().status, 408);
  EXPECT_LT(watch.elapsed(), seconds(2) + noise());
}

TEST(Timeout, ABodyThatStopsComingIsA408) {
  Backend backend("s1");
  Ringmaster ringmaster("[server]\nbody_timeout = \"500ms\"\n" + backend.toml());

  Client client(ringmaster.endpoint());
  client.send(request_head("POST", "/", "Content-Length: 100\r\n") + "some");

  EXPECT_EQ(client.receive().status, 408);
  EXPECT_TRUE(client.is_ended());
  EXPECT_TRUE(comes_to_reject(ringmaster, "body_timeout", 1));
}

TEST(Timeout, ASlowBodyThatKeepsComingIsServed) {
  Backend backend("s1");
  Ringmaster ringmaster("[server]\nbody_timeout = \"2s\"\n" + backend.toml());

  Client client(ringmaster.endpoint());
  client.send(request_head("POST", "/", "Content-Length: 6\r\n"));
  for (const char byte : std::string("abcdef")) {
    EXPECT_FALSE(client.stream().is_readable(milliseconds(500)));  // 3 s in all
    client.send({&byte, 1});
  }

  EXPECT_EQ(client.receive().status, 200);
  EXPECT_EQ(backend.requests().at(0).body, "abcdef");
}

// The answer has begun and says no more before it has all of the body.
TEST(Timeout, ASlowBodyBehindAnEarlyAnswerIsServed) {
  Backend backend("s1", Backend::Script([](Conversation& conversation) {
                    conversation.stream().send("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n");
                    conversation.read_body();
                    conversation.stream().send(conversation.request().body);
                  }));
  Ringmaster ringmaster("[server]\nbody_timeout = \"2s\"\n" + backend.toml());
  Client client(ringmaster.endpoint());
  client.send(request_head("POST", "/", "Content-Length: 6\r\n"));
  Response response = client.receive_head();
  EXPECT_EQ(response.status, 200);
  for (const char byte : std::string("abcdef")) {
    EXPECT_FALSE(client.stream().is_readable(milliseconds(500)));  // 3 s in all
    client.send({&byte, 1});
  }
  EXPECT_EQ(client.stream().read_exactly(6), "abcdef");
}

// A backend need not end its answer before it has the request.
TEST(Timeout, ABodyThatStopsComingBehindAnEarlyAnswerIsTheClientsFault) {
  Backend backend("s1", Backend::Script([](Conversation& conversation) {
                    conversation.stream().send("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n");
                    conversation.read_body();
                  }));
  Ringmaster ringmaster("[server]\nbody_timeout = \"500ms\"\n" + backend.toml());
  Client client(ringmaster.endpoint());
  client.send(request_head("POST", "/", "Content-Length: 6\r\n") + "abc");
  ASSERT_EQ(client.receive_head().status, 200);
  EXPECT_THROW(client.stream().read_all(), StreamError);
  EXPECT_EQ(ringmaster.rejected("body_timeout"), 1);
  EXPECT_EQ(ringmaster.rejected("response_cut"), 0);
}

// A backend at work for long says so; only many at once are no answer.
TEST(Timeout, InterimAnswersNowAndThenMayBeMany) {
  Backend backend("s1", Backend::Script([](Conversation& conversation) {
                    for (int i = 0; i < 20; ++i) {
                      conversation.stream().send("HTTP/1.1 102 Processing\r\n\r\n");
                      ::poll(nullptr, 0, 80);
                    }
                    conversation.reply({});
                  }));
  Ringmaster ringmaster(backend.toml());
  Client client(ringmaster.endpoint());
  const Response response = client.post("/", "x");
  EXPECT_EQ(response.status, 200);
  EXPECT_EQ(response.interim.size(), 20u);
}

// Other interim answers do not say that the body may come.
TEST(Timeout, WhoWaitsToBeToldToContinueIsNotLate) {
  Backend backend("s1", Backend::Script([](Conversation& conversation) {
                    conversation.stream().send("HTTP/1.1 103 Early Hints\r\n\r\n");
                    ::poll(nullptr, 0, 1500);
                    conversation.read_body();
                    conversation.reply({.body = conversation.request().body});
                  }));
  Ringmaster ringmaster("[server]\nbody_timeout = \"500ms\"\n" + backend.toml());
  Client client(ringmaster.endpoint());
  client.send(request_head("POST", "/", "Content-Length: 4\r\nExpect: 100-continue\r\n"));
  EXPECT_EQ(client.receive_head().status, 103);
  EXPECT_EQ(client.receive_head().status, 100);
  client.send("body");
  EXPECT_EQ(client.receive().body, "body");
}

TEST(Timeout, ABackendThatDoesNotAnswerIsA504) {
  Event done;
  Backend backend("s1", Backend::Script([&](Conversation&) { done.wait(); }));
  Ringmaster ringmaster("[upstream]\nresponse_timeout = \"500ms\"\n" + backend.toml());

  const Stopwatch watch;
  Client client(ringmaster.endpoint());
  const Response response = client.post("/", "x");
  done.set();

  EXPECT_EQ(response.status, 504);
  EXPECT_GE(watch.elapsed(), milliseconds(450));
  EXPECT_LT(watch.elapsed(), milliseconds(1500) + noise());
  EXPECT_TRUE(comes_to_reject(ringmaster, "response_timeout", 1));
}

TEST(Timeout, ASlowResponseThatHasBegunIsServed) {
  Backend backend("s1", Backend::Script([](Conversation& conversation) {
                    conversation.stream().send("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n");
                    ::poll(nullptr, 0, 1500);
                    conversation.stream().send("x");
                  }));
  Ringmaster ringmaster("[upstream]\nresponse_timeout = \"500ms\"\n" + backend.toml());

  EXPECT_EQ(get(ringmaster.endpoint(), "/").body, "x");
}

// Nobody can say any more that all is well: the client must see that it is not.
TEST(Timeout, AResponseThatStopsComingIsCut) {
  Event done;
  Backend backend(
      "s1", Backend::Script([&](Conversation& conversation) {
        const bool chunked = conversation.request().target == "/chunked";
        conversation.stream().send("HTTP/1.1 200 OK\r\n");
        conversation.stream().send(chunked ? "Transfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n"
                                           : "Content-Length: 8\r\n\r\nhalf");
        done.wait();
      }));
  Ringmaster ringmaster("[server]\nbody_timeout = \"500ms\"\n" + backend.toml());

  EXPECT_THROW(get(ringmaster.endpoint(), "/length"), StreamError);
  EXPECT_THROW(get(ringmaster.endpoint(), "/chunked"), StreamError);
  done.set();
  EXPECT_TRUE(comes_to_reject(ringmaster, "response_cut", 2));
}

TEST(Timeout, ABackendThatDoesNotTakeTheConnectionIsA504) {
  // A listener that accepts nobody and whose queue is full drops what else wants to connect. The
  // queue has room for the probes at the start and is filled afterwards.
  UniqueFd listener = listen_at({own_loopback(), 0}, 4);
  const Endpoint full = local_endpoint(listener.get());
  Ringmaster ringmaster(
      "[health]\npath = \"\"\ninterval = \"60s\"\ntimeout = \"30s\"\n"
      "[upstream]\nconnect_timeout = \"500ms\"\n" +
      backend_table("s1", full));
  std::vector<UniqueFd> waiting;
  for (int i = 0; i < 16; ++i) waiting.push_back(begin_connect(full));

  const Stopwatch watch;
  EXPECT_EQ(get(ringmaster.endpoint(), "/").status, 504);
  EXPECT_LT(watch.elapsed(), seconds(3) + noise());
  EXPECT_TRUE(comes_to_reject(ringmaster, "connect_timeout", 1));
}

TEST(Timeout, AnIdleConnectionIsClosedWithoutAWord) {
  Backend backend("s1");
  Ringmaster ringmaster("[server]\nkeepalive_timeout = \"500ms\"\n" + backend.toml());

  Client client(ringmaster.endpoint());
  EXPECT_EQ(client.get("/").status, 200);
  const Stopwatch watch;
  EXPECT_TRUE(client.is_ended());
  EXPECT_GE(watch.elapsed(), milliseconds(400));
  EXPECT_LT(watch.elapsed(), milliseconds(1500) + noise());
}

TEST(Timeout, AnIdleBackendConnectionIsClosed) {
  Event closed;
  Backend backend("s1", Backend::Script([&](Conversation& conversation) {
                    conversation.reply({});
                    if (!conversation.next()) closed.set();
                  }));
  Ringmaster ringmaster("[upstream]\nidle_timeout = \"500ms\"\n" + backend.toml());

  EXPECT_EQ(get(ringmaster.endpoint(), "/").status, 200);
  EXPECT_TRUE(closed.wait(milliseconds(2000) + noise()));
}

// Neither side would ever speak again: that one has gone is learnt by writing to it.
TEST(Timeout, ATunnelWhoseBackendIsGoneEndsWithItsClient) {
  Backend backend("s1", Backend::Script(switch_protocols));
  Ringmaster ringmaster("[server]\nworkers = 1\n" + backend.toml());
  Client client(ringmaster.endpoint());
  client.send(request_head("GET", "/", kUpgrade));
  ASSERT_EQ(client.receive_head().status, 101);
  EXPECT_TRUE(client.is_ended());  // the backend's end is passed on
  const auto is_over = [&] {
    try {
      client.send("anybody?\n");
    } catch (const StreamError&) {
    }
    return ringmaster.metrics().get("active_connections{backend=\"s1\"}") == 0;
  };
  EXPECT_TRUE(wait_until(is_over));
}

// Starts the balancer as a socket unit would, on a listener whose connections have small buffers:
// as on a slow and long way, most of an answer waits in the worker.
std::vector<std::string> on_narrow_listener(const Endpoint& where) {
  const std::string script =
      "import os, socket, sys\n"
      "s = socket.socket()\n"
      "s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)\n"
      "s.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 16384)\n"
      "s.bind((sys.argv[1], int(sys.argv[2])))\n"
      "s.listen()\n"
      "os.dup2(s.fileno(), 3)\n"
      "os.set_inheritable(3, True)\n"  // which dup2() leaves as it is where that was its number
      "os.environ.update(LISTEN_FDS='1', LISTEN_PID=str(os.getpid()))\n"
      "os.execv(sys.argv[3], sys.argv[3:])\n";
  return {"/usr/bin/python3", "-c", script, where.ip, std::to_string(where.port),
          ringmaster_binary()};
}

TEST(Timeout, AClientThatTakesALongAnswerSlowlyGetsItAll) {
  const std::string body = pattern(4 << 20);
  Backend backend("s1", [&](const Request&) { return Reply{200, body}; });
  const Endpoint where = free_endpoint();
  Ringmaster ringmaster("[server]\nworkers = 1\nbody_timeout = \"1s\"\nlisten = \"" +
                            where.to_string() + "\"\n" + backend.toml(),
                        {.command = on_narrow_listener(where)});
  Client client(Stream::connect(where, "", 8192));
  client.send(request_head("GET", "/"));
  Response response = client.receive_head();
  std::size_t received = 0;
  const Stopwatch watch;
  client.receive_body(response, [&](std::string_view bytes) {
    received += bytes.size();
    // What a worker reads at once takes longer than its timeout; then as fast as can be.
    if (watch.elapsed() < seconds(4)) ::poll(nullptr, 0, static_cast<int>(bytes.size() / 100));
  });
  EXPECT_EQ(received, body.size());
  EXPECT_GE(watch.elapsed(), seconds(4)) << "too quick to prove anything";
}

// Bytes that move slowly are no silence.
TEST(Timeout, ATunnelWhoseClientReadsSlowlyLivesOn) {
  const std::string flood = pattern(4 << 20);
  Backend backend("s1", Backend::Script([&](Conversation& conversation) {
                    switch_protocols(conversation);
                    conversation.stream().send(flood);
                  }));
  const Endpoint where = free_endpoint();
  Ringmaster ringmaster("[server]\nworkers = 1\nlisten = \"" + where.to_string() +
                            "\"\n[upstream]\ntunnel_timeout = \"1s\"\n" + backend.toml(),
                        {.command = on_narrow_listener(where)});
  Client client(Stream::connect(where, "", 8192));
  client.send(request_head("GET", "/", kUpgrade));
  ASSERT_EQ(client.receive_head().status, 101);
  const Stopwatch watch;
  std::string received;
  while (received.size() < flood.size()) {
    const std::string bytes = client.stream().read_some();
    ASSERT_FALSE(bytes.empty()) << "ended after " << received.size();
    received += bytes;
    if (watch.elapsed() < seconds(4)) ::poll(nullptr, 0, static_cast<int>(bytes.size() / 100));
  }
  EXPECT_EQ(received, flood);
  EXPECT_GE(watch.elapsed(), seconds(4)) << "too quick to prove anything";
}

// What is left of its body is read and dropped, so that the connection lives on.
TEST(Timeout, ASlowBodyBehindARefusalIsTakenToItsEnd) {
  Ringmaster ringmaster("[server]\nbody_timeout = \"2s\"\n" + Backend("gone").toml());
  Client client(ringmaster.endpoint());
  client.send(request_head("POST", "/", "Content-Length: 6\r\n"));
  const Response response = client.receive();
  EXPECT_GE(response.status, 502);
  ASSERT_FALSE(response.says_close());
  for (const char byte : std::string("abcdef")) {
    EXPECT_FALSE(client.stream().is_readable(milliseconds(500)));  // 3 s in all
    client.send({&byte, 1});
  }
  EXPECT_GE(client.get("/").status, 502) << "on the same connection";
}

TEST(Timeout, ABodyThatStopsComingBehindARefusalEndsItsConnectionInOrder) {
  Ringmaster ringmaster("[server]\nbody_timeout = \"500ms\"\n" + Backend("gone").toml());
  Client client(ringmaster.endpoint());
  client.send(request_head("POST", "/", "Content-Length: 600\r\n"));
  EXPECT_GE(client.receive().status, 502);
  EXPECT_TRUE(client.is_ended());
  // What had been on its way is no reason for a reset: the second would meet it, once the worker is
  // done with the connection.
  client.send("some");
  EXPECT_TRUE(
      wait_until([&] { return ringmaster.metrics().sum("ringmaster_client_connections") == 0; }));
  EXPECT_NO_THROW(client.send("more"));
}

// Requests that are pipelined, and so much of interim answers before the answer to each that the
// kernel has no room for those of all.
class SlowHints : public ::testing::Test {
 protected:
  Backend backend_{"s1", Backend::Script([](Conversation& conversation) {
                     const std::string hint =
                         "HTTP/1.1 103 Early Hints\r\nLink: " + std::string(16'000, 'x') +
                         "\r\n\r\n";
                     do {
                       for (int i = 0; i < 12; ++i) conversation.stream().send(hint);
                       conversation.reply({.body = "answer"});
                     } while (conversation.next());
                   })};
  const Endpoint where_ = free_endpoint();
  Ringmaster ringmaster_{
      "[server]\nworkers = 1\nlisten = \"" + where_.to_string() +
          "\"\nbody_timeout = \"2s\"\n[upstream]\nresponse_timeout = \"500ms\"\n" + backend_.toml(),
      {.command = on_narrow_listener(where_)}};
  Client client_{Stream::connect(where_, "", 8192)};

  static constexpr int kRequests = 12;
  void ask() {
    for (int i = 0; i < kRequests; ++i) client_.send(request_head("GET", "/"));
  }
};

TEST_F(SlowHints, WhoTakesThemIsGivenTheTime) {
  ask();
  const Stopwatch watch;
  for (int i = 0; i < kRequests; ++i) {
    std::string received;
    while (!received.ends_with("answer")) {
      received += client_.stream().read_exactly(1);
      // One takes longer than the backend is given; then as fast as can be.
      if (received.size() % 4096 == 0 && watch.elapsed() < seconds(4)) ::poll(nullptr, 0, 200);
    }
  }
  EXPECT_GE(watch.elapsed(), seconds(4)) << "too quick to prove anything";
  EXPECT_EQ(ringmaster_.metrics().sum("ringmaster_rejected_total"), 0);
}

TEST_F(SlowHints, WhoTakesNoneIsGoneAndItIsNotTheBackendsFault) {
  ask();
  EXPECT_TRUE(comes_to_reject(ringmaster_, "client_gone", 1));
  EXPECT_EQ(ringmaster_.rejected("response_timeout"), 0);
  EXPECT_EQ(backend_.connection_count(), 1u) << "nor is it asked again";
}

}  // namespace
}  // namespace ringmaster::test
