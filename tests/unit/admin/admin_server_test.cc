// The admin endpoint as seen by clients on raw sockets: good ones, slow ones, hostile ones.
#include "master/admin/admin_server.h"

#include <gtest/gtest.h>
#include <sys/socket.h>

#include <cerrno>
#include <memory>
#include <random>
#include <stdexcept>
#include <string>
#include <vector>

#include "shared/base/socket_address.h"
#include "tests/unit/master/test_loop.h"

namespace ringmaster::test {
namespace {

class RawClient {
 public:
  explicit RawClient(const SocketAddress& address, int receive_buffer = 0)
      : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    if (receive_buffer != 0) {
      ::setsockopt(fd_.get(), SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof receive_buffer);
    }
    if (::connect(fd_.get(), address.get(), address.size()) != 0) std::abort();
  }

  void send(std::string_view bytes) {
    ::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
  }
  void finish() { ::shutdown(fd_.get(), SHUT_WR); }
  // All that has come so far.
  const std::string& received() {
    char bytes[65'536];
    ssize_t size;
    while ((size = ::recv(fd_.get(), bytes, sizeof bytes, MSG_DONTWAIT)) > 0) {
      received_.append(bytes, static_cast<std::size_t>(size));
    }
    if (size == 0) closed_ = true;
    if (size < 0 && errno != EAGAIN) reset_ = true;
    return received_;
  }
  bool is_closed() { return received(), closed_ || reset_; }
  bool was_reset() const { return reset_; }

 private:
  UniqueFd fd_;
  std::string received_;
  bool closed_ = false;
  bool reset_ = false;
};

class AdminServerTest : public testing::Test {
 protected:
  AdminServerTest() {
    routes_["/"] = [](const AdminRequest&) { return AdminResponse{.body = "root\n"}; };
    routes_["/echo"] = [](const AdminRequest& request) {
      return AdminResponse{.body = request.path + "|" + request.query + "|" +
                                   std::string(request.field("x-test")) + "\n"};
    };
    routes_["/large"] = [this](const AdminRequest&) {
      ++made_;
      return AdminResponse{.body = large_};
    };
    routes_["/throws"] = [](const AdminRequest&) -> AdminResponse {
      throw std::runtime_error("oh");
    };
    routes_["/busy"] = [](const AdminRequest&) {
      return AdminResponse{.status = 503,
                           .content_type = "application/json",
                           .body = "{}",
                           .fields = {{"X-A", "b"}}};
    };
  }
  void start() {
    UniqueFd listener(::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    const auto any = *SocketAddress::parse("127.0.0.1:0");
    ASSERT_EQ(::bind(listener.get(), any.get(), any.size()), 0);
    ASSERT_EQ(::listen(listener.get(), 128), 0);
    sockaddr_storage bound{};
    socklen_t size = sizeof bound;
    ::getsockname(listener.get(), reinterpret_cast<sockaddr*>(&bound), &size);
    address_ = SocketAddress::from(reinterpret_cast<sockaddr*>(&bound));
    auto server = AdminServer::start(loop_.get(), std::move(listener), routes_, limits_);
    ASSERT_TRUE(server.ok());
    server_ = *std::move(server);
  }
  RawClient& connect(int receive_buffer = 0) {
    if (!server_) start();
    clients_.push_back(std::make_unique<RawClient>(address_, receive_buffer));
    return *clients_.back();
  }
  // Sends it, reads to the end of the connection.
  std::string exchange(std::string_view request) {
    RawClient& client = connect();
    client.send(request);
    EXPECT_TRUE(loop_.run_until([&] { return client.is_closed(); })) << client.received();
    EXPECT_FALSE(client.was_reset()) << "the answer could have been lost";
    return client.received();
  }
  bool comes(RawClient& client, std::string_view end) {
    return loop_.run_until([&] { return client.received().ends_with(end); });
  }
  bool has_connections(std::size_t count) {
    return loop_.run_until([&] { return server_->connection_count() == count; });
  }

  CapturedLog log_;
  TestLoop loop_;
  AdminRoutes routes_;
  AdminLimits limits_;
  SocketAddress address_;
  std::unique_ptr<AdminServer> server_;
  std::vector<std::unique_ptr<RawClient>> clients_;
  std::string large_ = std::string(8 << 20, 'x') + "end";
  int made_ = 0;  // of large_
};

int status_of(const std::string& response) {
  return response.starts_with("HTTP/1.1 ") ? std::stoi(response.substr(9, 3)) : 0;
}
int count(const std::string& text, std::string_view what) {
  int found = 0;
  for (auto at = text.find(what); at != text.npos; at = text.find(what, at + 1)) ++found;
  return found;
}

TEST_F(AdminServerTest, AnswersWithACompleteHead) {
  const std::string response = exchange("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  EXPECT_EQ(status_of(response), 200);
  EXPECT_NE(response.find("\r\nContent-Type: text/plain; charset=utf-8\r\n"), response.npos);
  EXPECT_NE(response.find("\r\nContent-Length: 5\r\n"), response.npos);
  EXPECT_NE(response.find("\r\nConnection: close\r\n"), response.npos);
  EXPECT_NE(response.find("\r\nDate: "), response.npos);
  EXPECT_TRUE(response.ends_with("\r\n\r\nroot\n")) << response;
}

TEST_F(AdminServerTest, PassesOnWhatTheHandlerSays) {
  const std::string response =
      exchange("GET /busy HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  EXPECT_TRUE(response.starts_with("HTTP/1.1 503 Service Unavailable\r\n"));
  EXPECT_NE(response.find("\r\nContent-Type: application/json\r\n"), response.npos);
  EXPECT_NE(response.find("\r\nX-A: b\r\n"), response.npos);
}

TEST_F(AdminServerTest, RoutesWithoutTheQueryAndInAbsoluteForm) {
  const std::string end = " HTTP/1.1\r\nHost: x\r\nX-TEST: yes\r\nConnection: close\r\n\r\n";
  EXPECT_TRUE(exchange("GET /echo?a=1&b" + end).ends_with("\r\n\r\n/echo|a=1&b|yes\n"));
  EXPECT_TRUE(exchange("GET http://y:1/echo?c" + end).ends_with("\r\n\r\n/echo|c|yes\n"));
  EXPECT_TRUE(exchange("GET http://y" + end).ends_with("\r\n\r\nroot\n"));
  EXPECT_EQ(status_of(exchange("GET /echo/" + end)), 404);
  EXPECT_EQ(status_of(exchange("GET /nothing?/echo" + end)), 404);
}

TEST_F(AdminServerTest, HeadHasTheLengthAndNoBody) {
  const std::string response = exchange("HEAD / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  EXPECT_EQ(status_of(response), 200);
  EXPECT_NE(response.find("\r\nContent-Length: 5\r\n"), response.npos);
  EXPECT_TRUE(response.ends_with("\r\n\r\n"));
}

TEST_F(AdminServerTest, OtherMethodsAreNotAllowed) {
  for (const char* method : {"POST", "PUT", "DELETE", "OPTIONS", "CONNECT"}) {
    const std::string target = method == std::string("CONNECT") ? "x:1" : "/";
    const std::string response =
        exchange(std::string(method) + " " + target + " HTTP/1.1\r\nHost: x\r\n\r\n");
    EXPECT_EQ(status_of(response), 405) << method;
    EXPECT_NE(response.find("\r\nAllow: GET, HEAD\r\n"), response.npos);
  }
}

TEST_F(AdminServerTest, APostWithABodyGetsItsAnswerAndNoReset) {
  const std::string response = exchange(
      "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10000\r\n\r\n" + std::string(10'000, 'b'));
  EXPECT_EQ(status_of(response), 405);
}

TEST_F(AdminServerTest, KeepsTheConnection) {
  RawClient& client = connect();
  for (int i = 1; i <= 3; ++i) {
    client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    ASSERT_TRUE(loop_.run_until([&] { return count(client.received(), "root\n") == i; }));
  }
  EXPECT_FALSE(client.is_closed());
  EXPECT_EQ(count(client.received(), "Connection:"), 0);
}

TEST_F(AdminServerTest, Http10ClosesUnlessAskedToStay) {
  EXPECT_TRUE(exchange("GET / HTTP/1.0\r\n\r\n").ends_with("root\n"));
  RawClient& client = connect();
  client.send("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
  ASSERT_TRUE(comes(client, "root\n"));
  EXPECT_NE(client.received().find("\r\nConnection: keep-alive\r\n"), std::string::npos);
  EXPECT_FALSE(client.is_closed());
}

TEST_F(AdminServerTest, RequestsMayComeByteByByte) {
  RawClient& client = connect();
  for (const char byte : std::string("GET /echo?q HTTP/1.1\r\nHost: x\r\nx-test: abc\r\n\r\n")) {
    client.send({&byte, 1});
    loop_.turn();
  }
  EXPECT_TRUE(comes(client, "/echo|q|abc\n")) << client.received();
}

TEST_F(AdminServerTest, PipelinedRequestsAreAnsweredInOrder) {
  RawClient& client = connect();
  std::string requests;
  for (int i = 0; i < 200; ++i) {
    requests += "GET /echo?" + std::to_string(i) + " HTTP/1.1\r\nHost: x\r\n\r\n";
  }
  client.send(requests + "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  ASSERT_TRUE(loop_.run_until([&] { return client.is_closed(); }));
  std::size_t at = 0;
  for (int i = 0; i < 200; ++i) {
    at = client.received().find("/echo|" + std::to_string(i) + "|\n", at);
    ASSERT_NE(at, std::string::npos) << i;
  }
  EXPECT_TRUE(client.received().ends_with("root\n"));
}

TEST_F(AdminServerTest, UpgradesAreIgnored) {
  RawClient& client = connect();
  const std::string request =
      "GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n";
  client.send(request + request);
  ASSERT_TRUE(loop_.run_until([&] { return count(client.received(), "root\n") == 2; }));
}

TEST_F(AdminServerTest, AHandlerThatThrowsCostsOnlyItsRequest) {
  const std::string response =
      exchange("GET /throws HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  EXPECT_EQ(status_of(response), 500);
  EXPECT_EQ(log_.count("error admin: /throws failed: oh; please report this"), 1);
}

TEST_F(AdminServerTest, AHeadOfTheLimitPassesAndOneByteMoreDoesNot) {
  const std::string begin = "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX: ";
  const std::string end = "\r\n\r\n";
  const std::string exact = begin + std::string(8192 - begin.size() - end.size(), 'a') + end;
  EXPECT_EQ(status_of(exchange(exact)), 200);
  EXPECT_EQ(status_of(exchange(begin + std::string(8193 - begin.size() - end.size(), 'a') + end)),
            431);
  EXPECT_EQ(status_of(exchange("GET /" + std::string(100'000, 'a'))), 431);
}

TEST_F(AdminServerTest, RefusesWhatIsNotARequest) {
  EXPECT_EQ(status_of(exchange("rubbish\r\n\r\n")), 400);
  EXPECT_EQ(status_of(exchange(std::string("\x16\x03\x01\x02\x00\x01", 6))), 400) << "TLS";
  EXPECT_EQ(status_of(exchange("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")), 400);
  EXPECT_EQ(status_of(exchange("GET / HTTP/1.1\r\n\r\n")), 400) << "no Host";
  EXPECT_EQ(status_of(exchange("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n")), 400);
  EXPECT_EQ(status_of(exchange("GET / HTTP/1.1\r\nHost : a\r\n\r\n")), 400);
  EXPECT_EQ(status_of(exchange("GET / HTTP/2.0\r\nHost: a\r\n\r\n")), 505);
  EXPECT_EQ(status_of(exchange("GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc")), 413);
  EXPECT_EQ(status_of(exchange(
                "GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")),
            413);
  EXPECT_EQ(status_of(exchange("GET / HTTP/1.1\r\nHost: a\r\nContent-Length: "
                               "99999999999999999999999\r\n\r\n")),
            400);
}

TEST_F(AdminServerTest, SurvivesAnythingAtAll) {
  limits_.linger_timeout = std::chrono::milliseconds(10);
  start();
  std::minstd_rand random(20240501);
  const std::string seed =
      "GET /echo?x HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nX-Test: b\r\n\r\n";
  for (int round = 0; round < 500; ++round) {
    RawClient client(address_);
    std::string bytes = seed + seed;
    for (int change = 0; change < 1 + round % 6; ++change) {
      bytes[random() % bytes.size()] = static_cast<char>(random());
    }
    client.send(bytes);
    loop_.turn();
    loop_.turn();
  }
  ASSERT_TRUE(has_connections(0)) << "all clients are gone";
  EXPECT_EQ(status_of(exchange("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")), 200);
}

TEST_F(AdminServerTest, AClientThatClosesItsEndStillGetsItsAnswer) {
  RawClient& client = connect();
  client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  client.finish();
  EXPECT_TRUE(comes(client, "root\n"));
  EXPECT_TRUE(has_connections(0));
}

TEST_F(AdminServerTest, LargeResponsesArriveWhole) {
  const std::string response =
      exchange("GET /large HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  EXPECT_TRUE(response.ends_with("\r\n\r\n" + large_));
}

TEST_F(AdminServerTest, ASlowReaderNeitherStopsOthersNorStaysForEver) {
  limits_.write_timeout = std::chrono::milliseconds(1500);  // the quick one has that long
  RawClient& slow = connect(4096);
  slow.send("GET /large HTTP/1.1\r\nHost: x\r\n\r\n");
  ASSERT_TRUE(has_connections(1));
  RawClient& quick = connect();
  quick.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  ASSERT_TRUE(comes(quick, "root\n"));
  EXPECT_EQ(server_->connection_count(), 2u);
  EXPECT_TRUE(has_connections(1)) << "the slow one was dropped";
  EXPECT_FALSE(quick.is_closed());
}

TEST_F(AdminServerTest, ManySlowReadersHoldNoMoreThanTheirShareOfMemory) {
  limits_.max_unsent_bytes = 3 * large_.size();
  constexpr std::string_view kLarge = "GET /large HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
  for (int i = 0; i < 3; ++i) connect(4096).send(kLarge);
  ASSERT_TRUE(loop_.run_until([&] {
    return std::all_of(clients_.begin(), clients_.end(),
                       [](const auto& slow) { return !slow->received().empty(); });
  }));
  EXPECT_TRUE(exchange(kLarge).starts_with("HTTP/1.1 503 "));
  EXPECT_EQ(made_, 3) << "what is refused need not be made";
  EXPECT_TRUE(exchange("GET /echo HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
                  .starts_with("HTTP/1.1 200 "));
  clients_.clear();
  ASSERT_TRUE(has_connections(0));
  EXPECT_TRUE(exchange(kLarge).starts_with("HTTP/1.1 200 "));
}

TEST_F(AdminServerTest, AnAnswerThatWasTooLargeByItselfMayBeSmallerTheNextTime) {
  limits_.max_unsent_bytes = large_.size() - 1;
  constexpr std::string_view kLarge = "GET /large HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
  EXPECT_TRUE(exchange(kLarge).starts_with("HTTP/1.1 503 "));
  large_ = "small";
  EXPECT_TRUE(exchange(kLarge).starts_with("HTTP/1.1 200 "));
}

TEST_F(AdminServerTest, AnIdleConnectionIsClosed) {
  limits_.idle_timeout = std::chrono::milliseconds(50);
  RawClient& client = connect();
  client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  ASSERT_TRUE(comes(client, "root\n"));
  EXPECT_TRUE(loop_.run_until([&] { return client.is_closed(); }));
  EXPECT_EQ(count(client.received(), "HTTP/1.1"), 1);
}

TEST_F(AdminServerTest, ARequestThatDripsInIsGivenUp) {
  limits_.request_timeout = std::chrono::milliseconds(100);
  limits_.max_head_bytes = 1 << 20;
  RawClient& client = connect();
  client.send("GET / HTTP/1.1\r\nX: ");
  ASSERT_TRUE(loop_.run_until([&] {
    client.send("x");  // each byte in time, the whole never
    return client.is_closed() || status_of(client.received()) != 0;
  }));
  EXPECT_EQ(status_of(client.received()), 408);
  RawClient& half = connect();
  half.send("GET / HTTP/1.1\r\nHost:");
  ASSERT_TRUE(loop_.run_until([&] { return half.is_closed(); }));
  EXPECT_EQ(status_of(half.received()), 408);
}

TEST_F(AdminServerTest, BeyondTheLimitTheLongestIdleGoes) {
  limits_.max_connections = 3;
  for (int i = 0; i < 3; ++i) {
    connect().send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    ASSERT_TRUE(comes(*clients_.back(), "root\n"));
    loop_.run_until([] { return false; }, std::chrono::milliseconds(5));  // tells them apart
  }
  connect().send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  ASSERT_TRUE(comes(*clients_.back(), "root\n"));
  EXPECT_TRUE(loop_.run_until([&] { return clients_[0]->is_closed(); }));
  EXPECT_FALSE(clients_[1]->is_closed());
  EXPECT_EQ(server_->connection_count(), 3u);
}

TEST_F(AdminServerTest, BeyondTheLimitWithAllBusyTheNewcomerGoes) {
  limits_.max_connections = 2;
  for (int i = 0; i < 2; ++i) {
    connect().send("GET / HTTP/1.1\r\n");
    ASSERT_TRUE(has_connections(static_cast<std::size_t>(i) + 1));
    loop_.turn();
    loop_.turn();
  }
  RawClient& newcomer = connect();
  EXPECT_TRUE(loop_.run_until([&] { return newcomer.is_closed(); }));
  clients_[0]->send("Host: x\r\n\r\n");
  EXPECT_TRUE(comes(*clients_[0], "root\n"));
}

TEST_F(AdminServerTest, MayBeDestroyedAtAnyTime) {
  for (int turns = 0; turns < 6; ++turns) {
    connect(4096).send("GET /large HTTP/1.1\r\nHost: x\r\n\r\n");
    connect().send("GET / HTT");
    connect().send("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    for (int i = 0; i < turns; ++i) loop_.turn();
    server_.reset();
    loop_.turn();
  }
}

TEST_F(AdminServerTest, ADescriptorThatDoesNotListenIsAnError) {
  auto server = AdminServer::start(loop_.get(), UniqueFd(), routes_, limits_);
  EXPECT_FALSE(server.ok());
}

}  // namespace
}  // namespace ringmaster::test
