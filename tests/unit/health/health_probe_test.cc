// One probe against a backend on the same loop.
#include "master/health/health_probe.h"

#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <thread>

#include "tests/unit/health/fake_backend.h"
#include "tests/unit/master/test_loop.h"

namespace ringmaster::test {
namespace {

class HealthProbeTest : public testing::Test, protected HealthProbe::Owner {
 protected:
  void on_probe_done(const ProbeResult& result) override {
    EXPECT_FALSE(result_) << "told twice";
    result_ = result;
    if (destroy_when_done_) probe_.reset();
  }
  void start(const SocketAddress& address) {
    HealthProbe::Owner& owner = *this;
    BackendConfig config;
    config.host = "127.0.0.1";
    config.port = address.port();
    probe_ = std::make_unique<HealthProbe>(loop_.get(), health_, address,
                                           make_probe_request(health_, config), owner);
    EXPECT_FALSE(result_) << "told out of the constructor";
  }
  ProbeResult probe() {
    start(backend_.address());
    EXPECT_TRUE(loop_.run_until([this] { return result_.has_value(); }));
    return result_.value_or(ProbeResult{HealthCause::kNone, "nothing came", true});
  }
  void expect(HealthCause cause, const std::string& detail) {
    const ProbeResult result = probe();
    EXPECT_EQ(result.cause, cause) << result.detail;
    EXPECT_EQ(result.detail, detail);
    EXPECT_FALSE(result.is_ours);
  }

  TestLoop loop_;
  HealthConfig health_;
  FakeBackend backend_{loop_.get()};
  std::unique_ptr<HealthProbe> probe_;
  std::optional<ProbeResult> result_;
  bool destroy_when_done_ = false;
};

TEST_F(HealthProbeTest, ExpectedStatusIsHealthy) {
  expect(HealthCause::kNone, "200");
}

TEST_F(HealthProbeTest, AsksAsConfigured) {
  health_.path = "/health?deep=1";
  probe();
  ASSERT_EQ(backend_.requests.size(), 1u);
  const std::string& request = backend_.requests[0];
  EXPECT_TRUE(request.starts_with("GET /health?deep=1 HTTP/1.1\r\n")) << request;
  EXPECT_NE(request.find("\r\nHost: " + backend_.address().to_string() + "\r\n"), request.npos);
  EXPECT_NE(request.find("\r\nUser-Agent: ringmaster-health/"), request.npos);
  EXPECT_NE(request.find("\r\nConnection: close\r\n"), request.npos);
}

TEST_F(HealthProbeTest, NamesTheHostThatItIsTold) {
  health_.host = "app.example.com:8080";
  probe();
  ASSERT_EQ(backend_.requests.size(), 1u);
  EXPECT_NE(backend_.requests[0].find("\r\nHost: app.example.com:8080\r\n"), std::string::npos);
}

TEST_F(HealthProbeTest, UnexpectedStatusIsNot) {
  backend_.reply = "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n";
  expect(HealthCause::kStatus, "503");
}

TEST_F(HealthProbeTest, TheConfigSaysWhatIsExpected) {
  health_.expect = {{200, 200}, {503, 504}};
  backend_.reply = "HTTP/1.0 503 Busy but alive\r\n\r\n";
  expect(HealthCause::kNone, "503");
}

TEST_F(HealthProbeTest, InterimResponsesArePassedOver) {
  backend_.reply = "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n";
  expect(HealthCause::kNone, "204");
}

TEST_F(HealthProbeTest, RefusedConnection) {
  backend_.refuse();
  expect(HealthCause::kConnect, "connection refused");
}

TEST_F(HealthProbeTest, NoAnswerInTime) {
  health_.timeout = Duration{50};
  backend_.hangs = true;
  expect(HealthCause::kTimeout, "no answer within 50 ms");
}

TEST_F(HealthProbeTest, HeadWithoutEndInTime) {
  health_.timeout = Duration{50};
  backend_.closes_after = false;
  backend_.reply = "HTTP/1.1 200 OK\r\nX-More: ";
  expect(HealthCause::kTimeout, "no answer within 50 ms");
}

TEST_F(HealthProbeTest, ClosedWithoutAnAnswer) {
  backend_.reply.clear();
  expect(HealthCause::kProtocol, "closed without an answer");
}

TEST_F(HealthProbeTest, ClosedInTheMiddle) {
  backend_.reply = "HTTP/1.1 200 OK\r\nContent-Le";
  expect(HealthCause::kProtocol, "closed in the middle of its answer");
}

TEST_F(HealthProbeTest, WhatIsNotHttp) {
  backend_.reply = "220 mail.example ESMTP\r\n";
  const ProbeResult result = probe();
  EXPECT_EQ(result.cause, HealthCause::kProtocol);
  EXPECT_TRUE(result.detail.starts_with("not HTTP: ")) << result.detail;
}

TEST_F(HealthProbeTest, HeadWithoutEndIsNotReadForEver) {
  backend_.reply = "HTTP/1.1 200 OK\r\nX-Long: " + std::string(1 << 20, 'a');
  expect(HealthCause::kProtocol, "no end of the response head in 64 KiB");
}

TEST_F(HealthProbeTest, ConnectionAloneWherePathIsEmpty) {
  health_.path.clear();
  backend_.hangs = true;
  expect(HealthCause::kNone, "connected");
  EXPECT_TRUE(backend_.requests.empty());
}

TEST_F(HealthProbeTest, ReadsTheBodySoThatTheBackendSeesAnOrderlyClose) {
  backend_.reply = "HTTP/1.1 200 OK\r\nContent-Length: 200000\r\n\r\n" + std::string(200'000, 'b');
  expect(HealthCause::kNone, "200");
  EXPECT_TRUE(loop_.run_until([this] { return backend_.open_connections() == 0; }));
  EXPECT_EQ(backend_.resets, 0);
}

TEST_F(HealthProbeTest, AnEndlessBodyIsLeftAtTheDeadline) {
  health_.timeout = Duration{50};
  backend_.closes_after = false;
  backend_.reply = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n";
  expect(HealthCause::kNone, "200");
  EXPECT_TRUE(loop_.run_until([this] { return backend_.open_connections() == 0; }));
}

// A stopped or busy master finds the answer in the socket when its own deadline is long over.
TEST_F(HealthProbeTest, OwnDelayIsNotTheBackendsFault) {
  health_.timeout = Duration{50};
  backend_.refuse();
  UniqueFd listener(::socket(AF_INET, SOCK_STREAM, 0));
  const int yes = 1;
  ::setsockopt(listener.get(), SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  ASSERT_EQ(::bind(listener.get(), backend_.address().get(), backend_.address().size()), 0);
  ASSERT_EQ(::listen(listener.get(), 1), 0);

  start(backend_.address());
  UniqueFd peer(::accept(listener.get(), nullptr, nullptr));
  char request[1024];
  const auto asked = [&] { return ::recv(peer.get(), request, sizeof request, MSG_DONTWAIT) > 0; };
  ASSERT_TRUE(loop_.run_until(asked));
  constexpr std::string_view kReply = "HTTP/1.1 200 OK\r\n\r\n";
  ASSERT_EQ(::send(peer.get(), kReply.data(), kReply.size(), 0),
            static_cast<ssize_t>(kReply.size()));
  std::this_thread::sleep_for(std::chrono::milliseconds(100));  // the delay itself, no waiting
  ASSERT_TRUE(loop_.run_until([this] { return result_.has_value(); }));
  EXPECT_EQ(result_->cause, HealthCause::kNone) << result_->detail;
}

TEST_F(HealthProbeTest, MayBeDestroyedWhenItIsDone) {
  destroy_when_done_ = true;
  expect(HealthCause::kNone, "200");
}

TEST_F(HealthProbeTest, MayBeDestroyedAfterAnyTurn) {
  for (int turns = 0; turns < 8; ++turns) {
    result_.reset();
    start(backend_.address());
    for (int i = 0; i < turns; ++i) loop_.turn();
    probe_.reset();
    loop_.turn();
  }
}

}  // namespace
}  // namespace ringmaster::test
