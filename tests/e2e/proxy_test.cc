// What a client and a backend see of each other's messages through the balancer.
#include <gtest/gtest.h>

#include "tests/support/backend.h"
#include "tests/support/ringmaster.h"

namespace ringmaster::test {
namespace {

TEST(Proxy, PassesAGetAndItsAnswerOn) {
  Backend backend("s1", [](const Request&) {
    return Reply{.status = 404, .body = "no such thing", .fields = {{"X-Answer", "a b"}}};
  });
  Ringmaster ringmaster(backend.toml());

  const Response response =
      Client(ringmaster.endpoint()).get("/a%20b/c?d=e&f", "X-Ask: one\r\nAccept: */*\r\n");

  EXPECT_EQ(response.status, 404);
  EXPECT_EQ(response.version, "HTTP/1.1");
  EXPECT_EQ(response.body, "no such thing");
  EXPECT_EQ(response.field("X-Answer"), "a b");
  ASSERT_EQ(backend.request_count(), 1u);
  const Request request = backend.requests()[0];
  EXPECT_EQ(request.method, "GET");
  EXPECT_EQ(request.target, "/a%20b/c?d=e&f");
  EXPECT_EQ(request.version, "HTTP/1.1");
  EXPECT_EQ(request.field("Host"), "test.example");
  EXPECT_EQ(request.field("X-Ask"), "one");
  EXPECT_EQ(request.field("Accept"), "*/*");
}

TEST(Proxy, PassesAPostAndItsBodyOn) {
  Backend backend("s1");
  Ringmaster ringmaster(backend.toml());

  const Response response =
      Client(ringmaster.endpoint()).post("/form", "a=1&b=2", "Content-Type: text/plain\r\n");

  EXPECT_EQ(response.status, 200);
  EXPECT_EQ(response.body, "s1 POST /form\n");
  ASSERT_EQ(backend.request_count(), 1u);
  EXPECT_EQ(backend.requests()[0].body, "a=1&b=2");
  EXPECT_EQ(backend.requests()[0].field("Content-Type"), "text/plain");
}

TEST(Proxy, PassesEveryMethodOn) {
  Backend backend("s1");
  Ringmaster ringmaster(backend.toml());
  Client client(ringmaster.endpoint());

  for (const std::string method : {"PUT", "DELETE", "PATCH", "OPTIONS", "PURGE"}) {
    client.send(request_head(method, "/x", "Content-Length: 3\r\n") + "abc");
    EXPECT_EQ(client.receive(method).body, "s1 " + method + " /x\n");
    EXPECT_EQ(backend.requests().back().body, "abc");
  }
}

TEST(Proxy, KeepsOrderAndRepetitionOfFields) {
  Backend backend("s1", [](const Request&) {
    return Reply{.fields = {{"Set-Cookie", "a=1"}, {"X-Z", "z"}, {"Set-Cookie", "b=2"}}};
  });
  Ringmaster ringmaster(backend.toml());

  const Response response =
      Client(ringmaster.endpoint()).get("/", "X-One: 1\r\nX-Two: 2\r\nX-One: 3\r\n");

  EXPECT_EQ(response.head.fields.count("Set-Cookie"), 2u);
  EXPECT_EQ(response.field("Set-Cookie"), "a=1, b=2");
  EXPECT_EQ(backend.requests().at(0).field("X-One"), "1, 3");
}

TEST(Proxy, TellsTheBackendWhoAsked) {
  Backend backend("s1");
  Ringmaster ringmaster(backend.toml());

  Client client(ringmaster.endpoint(), "127.0.0.9");
  const Response response = client.get("/", "X-Forwarded-For: 203.0.113.7\r\n");

  const Request request = backend.requests().at(0);
  EXPECT_EQ(request.field("X-Forwarded-For"),
            "127.0.0.9");  // the client's own claim is not believed
  EXPECT_EQ(request.field("X-Forwarded-Proto"), "http");
  EXPECT_EQ(request.field("X-Forwarded-Host"), "test.example");
  EXPECT_NE(request.field("Via").find("1.1 ringmaster"), std::string::npos);
  EXPECT_NE(response.field("Via").find("1.1 ringmaster"), std::string::npos);
}

TEST(Proxy, AppendsToWhatATrustedProxySays) {
  Backend backend("s1");
  Ringmaster ringmaster("[server]\ntrusted_proxies = [\"127.0.0.0/8\"]\n" + backend.toml());

  Client client(ringmaster.endpoint(), "127.0.0.9");
  client.get("/", "X-Forwarded-For: 203.0.113.7\r\nX-Forwarded-Proto: https\r\n");

  const Request request = backend.requests().at(0);
  EXPECT_EQ(request.field("X-Forwarded-For"), "203.0.113.7, 127.0.0.9");
  EXPECT_EQ(request.field("X-Forwarded-Proto"), "https");
}

// RFC 9110 section 7.6.3: who finds itself in Via has been there before.
TEST(Proxy, RefusesARequestThatCameRoundAgain) {
  Backend backend("s1");
  Ringmaster ringmaster(backend.toml());
  Client client(ringmaster.endpoint());
  client.get("/");
  const std::string via = backend.requests()[0].field("Via");  // "1.1 NAME"
  for (const std::string& others : {via, "1.0 fred, " + via + " (we)", "1.1 a\r\nVia: " + via}) {
    Client again(ringmaster.endpoint());
    EXPECT_EQ(again.get("/", "Via: " + others + "\r\n").status, 508) << others;
  }
  for (const std::string& others : {via + "0", "1.1 a (" + via + ")", via.substr(4) + " a"}) {
    EXPECT_EQ(client.get("/", "Via: " + others + "\r\n").status, 200) << others;
  }
  EXPECT_EQ(backend.request_count(), 4u);
  EXPECT_EQ(ringmaster.rejected("loop_detected"), 3);
}

TEST(Proxy, DropsHopByHopFields) {
  Backend backend("s1", [](const Request&) {
    return Reply{
        .fields = {{"Connection", "X-Private"}, {"X-Private", "1"}, {"Keep-Alive", "timeout=5"}}};
  });
  Ringmaster ringmaster(backend.toml());

  const Response response =
      Client(ringmaster.endpoint())
          .get("/",
               "Connection: X-Secret, keep-alive\r\nX-Secret: 1\r\nProxy-Authorization: x\r\n");

  EXPECT_FALSE(response.has("X-Private"));
  EXPECT_FALSE(response.has("Keep-Alive"));
  const Request request = backend.requests().at(0);
  EXPECT_FALSE(request.has("X-Secret"));
  EXPECT_FALSE(request.has("Proxy-Authorization"));
}

TEST(Proxy, KnowsWhichAnswersHaveNoBody) {
  Backend backend("s1", [](const Request& request) {
    const int status = request.target == "/204" ? 204 : request.target == "/304" ? 304 : 200;
    return Reply{.status = status, .body = "0123456789"};
  });
  Ringmaster ringmaster(backend.toml());
  Client client(ringmaster.endpoint());

  const Response to_head = client.head("/");
  EXPECT_EQ(to_head.status, 200);
  EXPECT_EQ(to_head.field("Content-Length"), "10");
  EXPECT_EQ(client.get("/204").status, 204);
  EXPECT_EQ(client.get("/304").status, 304);
  EXPECT_EQ(client.get("/").body, "0123456789");  // nothing of the above is still on the line
}

TEST(Proxy, RelaysA100AndThenTheAnswer) {
  Backend backend("s1");
  Ringmaster ringmaster(backend.toml());

  Client client(ringmaster.endpoint());
  client.send(request_head("POST", "/", "Content-Length: 4\r\nExpect: 100-continue\r\n"));
  EXPECT_EQ(client.receive_head().status, 100);
  client.send("body");

  EXPECT_EQ(client.receive().status, 200);
  EXPECT_EQ(backend.requests().at(0).body, "body");
}

TEST(Proxy, RelaysARefusalInsteadOfA100) {
  Backend backend("s1", Backend::Script([](Conversation& conversation) {
                    conversation.reply({.status = 403, .body = "no", .close = true});
                  }));
  Ringmaster ringmaster(backend.toml());

  Client client(ringmaster.endpoint());
  client.send(request_head("POST", "/", "Content-Length: 4\r\nExpect: 100-continue\r\n"));

  const Response response = client.receive();
  EXPECT_TRUE(response.interim.empty());
  EXPECT_EQ(response.status, 403);
  EXPECT_EQ(response.body, "no");
}

}  // namespace
}  // namespace ringmaster::test
