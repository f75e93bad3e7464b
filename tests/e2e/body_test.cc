// Bodies pass both ways whatever their framing, piece by piece as they come, and one that was cut
// short is never seen as complete.
#include <gtest/gtest.h>

#include <csignal>
#include <string>

#include "tests/support/backend.h"
#include "tests/support/behaviour.h"
#include "tests/support/ringmaster.h"

namespace ringmaster::test {
namespace {

TEST(Body, ChunkedPassesBothWays) {
  Backend backend(
      "s1", [](const Request& request) { return Reply{.body = request.body, .chunked = true}; });
  Ringmaster ringmaster(backend.toml());

  Client client(ringmaster.endpoint());
  const std::string big = pattern(300'000);
  client.send(request_head("POST", "/", "Transfer-Encoding: chunked\r\n") + chunk("a") +
              chunk(big) + "5;name=value\r\nhello\r\n0\r\n\r\n");
  const Response response = client.receive();

  EXPECT_EQ(response.framing, Framing::kChunked);
  EXPECT_TRUE(response.body == "a" + big + "hello");
  EXPECT_EQ(client.get("/again").status, 200);
}

TEST(Body, AChunkIsNotHeldBackUntilTheNext) {
  Event client_has_it;
  Backend backend("s1", Backend::Script([&](Conversation& conversation) {
                    conversation.stream().send(
                        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunk("first"));
                    client_has_it.wait();
                    conversation.stream().send(chunk("second") + "0\r\n\r\n");
                  }));
  Ringmaster ringmaster(backend.toml());

  Client client(ringmaster.endpoint());
  client.send(request_head("GET", "/"));
  std::string body;
  const Response response = client.receive_into([&](std::string_view piece) {
    body += piece;
    if (body == "first") client_has_it.set();
  });

  EXPECT_EQ(response.status, 200);
  EXPECT_EQ(body, "firstsecond");
}

TEST(Body, TrailersPassBothWays) {
  Backend backend(
      "s1", Backend::Script([](Conversation& conversation) {
        conversation.read_body();
        conversation.stream().send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" +
                                   chunk("x") + "0\r\nX-Sum: 42\r\n\r\n");
      }));
  Ringmaster ringmaster(backend.toml());

  Client client(ringmaster.endpoint());
  client.send(request_head("POST", "/", "Transfer-Encoding: chunked\r\n") + chunk("y") +
              "0\r\nX-Check: 7\r\n\r\n");

  EXPECT_EQ(client.receive().trailers.get("X-Sum"), "42");
  EXPECT_EQ(backend.requests().at(0).trailers.get("X-Check"), "7");
}

TEST(Body, ABodyThatEndsWithItsConnectionIsGivenAnEnd) {
  Backend backend("s1", Backend::Script([](Conversation& conversation) {
                    conversation.stream().send("HTTP/1.1 200 OK\r\n\r\nuntil the end");
                  }));
  Ringmaster ringmaster(backend.toml());

  Client client(ringmaster.endpoint());
  const Response response = client.get("/");
  EXPECT_EQ(response.body, "until the end");
  EXPECT_EQ(response.framing, Framing::kChunked);
  EXPECT_EQ(client.get("/again").body, "until the end");
}

TEST(Body, AResponseCutShortIsNeverSeenAsComplete) {
  Backend backend(
      "s1", Backend::Script([](Conversation& conversation) {
        conversation.stream().send(
            conversation.request().target == "/length"
                ? "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly this"
                : "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nonly this\r\n");
      }));
  Ringmaster ringmaster(backend.toml());

  EXPECT_THROW(Client(ringmaster.endpoint()).get("/length"), StreamError);
  EXPECT_THROW(Client(ringmaster.endpoint()).get("/chunked"), StreamError);
}

TEST(Body, AnEarlyAnswerIsRelayedWhileTheBodyStillFlows) {
  Event answered;
  Backend backend("s1", Backend::Script([&](Conversation& conversation) {
                    conversation.reply({.status = 403, .body = "enough", .close = true});
                    answered.wait();
                  }));
  Ringmaster ringmaster(backend.toml());

  Client client(ringmaster.endpoint());
  client.send(request_head("POST", "/", "Content-Length: 1000000\r\n") + std::string(1000, 'x'));
  const Response response = client.receive();
  answered.set();

  EXPECT_EQ(response.status, 403);
  EXPECT_EQ(response.body, "enough");
}

// A backend that closes with bytes unread resets its connection, and a client that sends all before
// it reads would lose the answer if we did so too.
TEST(Body, AnEarlyAnswerReachesAClientThatSendsOnThoughTheBackendResets) {
  Backend backend("s1", Backend::Script([](Conversation& conversation) {
                    conversation.reply({.status = 403, .body = "enough", .close = true});
                  }));
  Ringmaster ringmaster(backend.toml());
  const std::string body(8 << 20, 'x');
  for (const std::string& request :
       {request_head("POST", "/", "Content-Length: 8388608\r\n") + body,
        request_head("PUT", "/", "Transfer-Encoding: chunked\r\n") + chunk(body) + "0\r\n\r\n"}) {
    for (int i = 0; i < 5; ++i) {
      Client client(ringmaster.endpoint());
      client.send(request);
      const Response response = client.receive();
      EXPECT_EQ(response.status, 403);
      EXPECT_EQ(response.body, "enough");
    }
  }
}

// What it offers is still known when its body has long taken the room of its head.
TEST(Body, OfAnUpgradeMayBeLong) {
  Backend backend("s1", Backend::Script([](Conversation& conversation) {
                    conversation.read_body();
                    echo(conversation);
                  }));
  for (const std::string log : {"off", "stderr"}) {
    Ringmaster ringmaster("[log]\naccess = \"" + log + "\"\n" + backend.toml());
    Client client(ringmaster.endpoint());
    const std::string body = pattern(100'000);
    client.send(
        request_head("POST", "/long", std::string(kUpgrade) + "Content-Length: 100000\r\n") + body);
    ASSERT_EQ(client.receive_head().status, 101) << "log.access = " << log;
    client.send("over it");
    EXPECT_EQ(client.stream().read_exactly(7), "over it");
    client.stream().shutdown_write();
    EXPECT_TRUE(client.is_ended());
    EXPECT_EQ(ringmaster.stop(SIGTERM), (Exit{0, 0}));
    const bool is_logged = ringmaster.process().log().find("\"/long\"") != std::string::npos;
    EXPECT_EQ(is_logged, log != "off") << ringmaster.process().log();
  }
}

}  // namespace
}  // namespace ringmaster::test
