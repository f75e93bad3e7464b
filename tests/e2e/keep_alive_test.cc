// Connections live on and are used again on both sides, each for its own reasons; requests that
// come together on one are answered in their order.
#include <gtest/gtest.h>

#include <future>
#include <vector>

#include "tests/support/backend.h"
#include "tests/support/ringmaster.h"
#include "tests/support/wait.h"

namespace ringmaster::test {
namespace {

TEST(KeepAlive, KeepsBothConnectionsAliveAndUsesThemAgain) {
  Backend backend("s1");
  Ringmaster ringmaster("[server]\nworkers = 1\n" + backend.toml());
  Client client(ringmaster.endpoint());

  for (int i = 0; i < 20; ++i) {
    const Response response = client.get("/" + std::to_string(i));
    ASSERT_EQ(response.status, 200);
    ASSERT_FALSE(response.says_close());
  }

  EXPECT_EQ(backend.request_count(), 20u);
  EXPECT_EQ(backend.connection_count(), 1u);
}

TEST(KeepAlive, AWaveOfRequestsLeavesNoMoreThanMaxIdleConnections) {
  constexpr std::int64_t kWave = 12;
  Backend* all = nullptr;
  Backend backend("s1", [&all](const Request&) {
    EXPECT_TRUE(
        wait_until([&] { return all->in_flight() == kWave || all->request_count() >= kWave; }));
    return Reply{};
  });
  all = &backend;
  Ringmaster ringmaster("[server]\nworkers = 1\n[upstream]\nmax_idle = 3\n" + backend.toml());

  std::vector<std::future<int>> wave;
  for (int i = 0; i < kWave; ++i) {
    wave.push_back(std::async(std::launch::async,
                              [&ringmaster] { return get(ringmaster.endpoint(), "/").status; }));
  }
  for (auto& answer : wave) EXPECT_EQ(answer.get(), 200);

  const std::string idle = "ringmaster_upstream_connections{backend=\"s1\",state=\"idle\"}";
  EXPECT_TRUE(wait_until([&] { return ringmaster.metrics().get(idle) == 3; }));
  EXPECT_EQ(get(ringmaster.endpoint(), "/").status, 200);
  EXPECT_EQ(backend.connection_count(), static_cast<std::uint64_t>(kWave));
}

TEST(KeepAlive, ClosesWhenTheClientSaysClose) {
  Backend backend("s1");
  Ringmaster ringmaster("[server]\nworkers = 1\n" + backend.toml());

  for (int i = 0; i < 3; ++i) {
    Client client(ringmaster.endpoint());
    EXPECT_TRUE(client.get("/", "Connection: close\r\n").says_close());
    EXPECT_TRUE(client.is_ended());
  }

  EXPECT_EQ(backend.connection_count(), 1u);  // the backend's connection is not the client's
}

TEST(KeepAlive, AnswersOnWhenTheBackendSaysClose) {
  Backend backend("s1", [](const Request&) { return Reply{.body = "x", .close = true}; });
  Ringmaster ringmaster("[server]\nworkers = 1\n" + backend.toml());
  Client client(ringmaster.endpoint());

  for (int i = 0; i < 5; ++i) {
    const Response response = client.get("/");
    EXPECT_EQ(response.status, 200);
    EXPECT_FALSE(response.says_close());
  }

  EXPECT_EQ(backend.connection_count(), 5u);
}

TEST(KeepAlive, ServesHttp10Clients) {
  Backend backend("s1", [](const Request&) { return Reply{.body = "hello", .chunked = true}; });
  Ringmaster ringmaster(backend.toml());

  Client client(ringmaster.endpoint());
  client.send("GET /old HTTP/1.0\r\n\r\n");
  const Response response = client.receive();

  EXPECT_EQ(response.status, 200);
  EXPECT_EQ(response.body, "hello");
  EXPECT_NE(response.framing, Framing::kChunked);
  EXPECT_TRUE(client.is_ended());
  EXPECT_EQ(backend.requests().at(0).version, "HTTP/1.1");
}

TEST(KeepAlive, KeepsAliveForHttp10ClientsThatAsk) {
  Backend backend("s1");
  Ringmaster ringmaster(backend.toml());

  Client client(ringmaster.endpoint());
  for (int i = 0; i < 3; ++i) {
    client.send("GET /old HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n");
    const Response response = client.receive();
    EXPECT_TRUE(equal_ignoring_case(response.field("Connection"), "keep-alive"));
    EXPECT_EQ(response.framing, Framing::kLength);
  }
}

TEST(KeepAlive, AnswersPipelinedRequestsInTheirOrder) {
  Event first_may_answer;
  Backend backend("s1", [&](const Request& request) {
    if (request.target == "/0") first_may_answer.wait();
    return Reply{.body = request.target};
  });
  Ringmaster ringmaster(backend.toml());

  Client client(ringmaster.endpoint());
  std::string requests;
  for (int i = 0; i < 10; ++i) requests += request_head("GET", "/" + std::to_string(i));
  client.send(requests);
  ASSERT_TRUE(wait_until([&] { return backend.in_flight() >= 1; }));
  EXPECT_FALSE(client.stream().is_readable());
  first_may_answer.set();

  for (int i = 0; i < 10; ++i) EXPECT_EQ(client.receive().body, "/" + std::to_string(i));
}

TEST(KeepAlive, AnswersPipelinedPostsWithTheirBodies) {
  Backend backend("s1", [](const Request& request) { return Reply{.body = request.body}; });
  Ringmaster ringmaster(backend.toml());

  Client client(ringmaster.endpoint());
  client.send(request_head("POST", "/1", "Content-Length: 3\r\n") + "one" +
              request_head("POST", "/2", "Transfer-Encoding: chunked\r\n") + chunk("two") +
              "0\r\n\r\n" + request_head("POST", "/3", "Content-Length: 5\r\n") + "three");

  EXPECT_EQ(client.receive().body, "one");
  EXPECT_EQ(client.receive().body, "two");
  EXPECT_EQ(client.receive().body, "three");
}

// The buffer of a long request may be given back before its answer: not if there is more in it.
TEST(KeepAlive, ServesWhatComesBehindALongRequest) {
  const std::string body = pattern(40'000);
  const std::string post = request_head("POST", "/post", "Content-Length: 40000\r\n") + body;
  Event may_answer;
  Backend backend("s1", [&](const Request& request) {
    if (request.method == "POST") may_answer.wait();
    return Reply{.body = request.body + " for " + request.target};
  });
  Ringmaster ringmaster(backend.toml());
  Client together(ringmaster.endpoint()), behind(ringmaster.endpoint());

  together.send(post + request_head("GET", "/get"));
  behind.send(post);
  ASSERT_TRUE(wait_until([&] { return backend.request_count() == 2; }));
  behind.send(request_head("GET", "/get"));
  may_answer.set();
  for (Client* client : {&together, &behind}) {
    EXPECT_TRUE(client->receive().body == body + " for /post");
    EXPECT_EQ(client->receive().body, " for /get");
  }
}

TEST(KeepAlive, TakesRequestsByteByByte) {
  Backend backend("s1");
  Ringmaster ringmaster(backend.toml());

  Client client(ringmaster.endpoint());
  const std::string request = request_head("POST", "/slow", "Content-Length: 2\r\n") + "ab";
  for (const char byte : request) client.send({&byte, 1});

  EXPECT_EQ(client.receive().status, 200);
  EXPECT_EQ(backend.requests().at(0).body, "ab");
}

}  // namespace
}  // namespace ringmaster::test
