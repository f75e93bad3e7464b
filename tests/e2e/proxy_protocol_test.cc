// With server.proxy_protocol the client is whom the header names: for limits, hashing, forwarding
// and trust; and who sends no header is served nothing.
#include <gtest/gtest.h>

#include <string>

#include "tests/support/backend.h"
#include "tests/support/ringmaster.h"

namespace ringmaster::test {
namespace {

using namespace std::string_literals;

const std::string kOn = "[server]\nworkers = 1\nproxy_protocol = true\n";

std::string v1(const std::string& client) {
  const bool v6 = client.find(':') != std::string::npos;
  return std::string("PROXY ") + (v6 ? "TCP6 " : "TCP4 ") + client + (v6 ? " ::1" : " 127.0.0.1") +
         " 1000 80\r\n";
}

// Of 192.0.2.`last`, who came over TLS.
std::string v2_over_tls(char last) {
  return "\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x14\xc0\x00\x02"s + last +
         "\xc6\x33\x64\x01\xdc\x04\x01\xbb\x20\x00\x05\x01\0\0\0\0"s;
}

std::string v2_local() {
  return "\r\n\r\n\0\r\nQUIT\n\x20\x00\x00\x00"s;
}

bool is_counted(const Ringmaster& ringmaster, int times) {
  return wait_until([&] { return ringmaster.rejected("bad_proxy_header") == times; });
}

TEST(ProxyProtocol, TheClientIsWhomTheHeaderNames) {
  Backend backend("s1");
  Ringmaster ringmaster(kOn + backend.toml());

  for (const std::string client : {"192.0.2.1", "2001:db8::1"}) {
    Client connection(ringmaster.endpoint());
    connection.send(v1(client) + request_head("GET", "/"));
    EXPECT_EQ(connection.receive().status, 200);
    EXPECT_EQ(connection.get("/again").status, 200);
    EXPECT_EQ(backend.requests().back().field("X-Forwarded-For"), client);
  }
}

TEST(ProxyProtocol, AClientThatCameOverTlsAsksByHttps) {
  Backend backend("s1");
  Ringmaster ringmaster(kOn + "forwarded = true\ntrusted_proxies = [\"192.0.2.9\"]\n" +
                        backend.toml());
  Client over_tls(ringmaster.endpoint()), plain(ringmaster.endpoint());
  over_tls.send(v2_over_tls(1));
  plain.send(v1("192.0.2.2"));
  const auto scheme = [&](Client& client) {
    EXPECT_EQ(client.get("/").status, 200);
    const Request request = backend.requests().back();
    EXPECT_NE(request.field("Forwarded").find("proto=" + request.field("X-Forwarded-Proto")),
              std::string::npos);
    return request.field("X-Forwarded-Proto");
  };
  EXPECT_EQ(scheme(over_tls), "https");
  EXPECT_EQ(scheme(plain), "http");
  ASSERT_EQ(ringmaster.ctl({"reload"}).exit, (Exit{0, 0}));
  EXPECT_EQ(scheme(over_tls), "https") << "in the worker that took the connection over";
  EXPECT_EQ(scheme(plain), "http");

  Client of_a_proxy(ringmaster.endpoint());
  of_a_proxy.send(v2_over_tls(9));
  EXPECT_EQ(of_a_proxy.get("/", "X-Forwarded-Proto: http\r\n").status, 200);
  EXPECT_EQ(backend.requests().back().field("X-Forwarded-Proto"), "http") << "it knows better";
}

TEST(ProxyProtocol, HalfAHeaderIsNoIdleConnectionAfterAReload) {
  Backend backend("s1");
  Ringmaster ringmaster(kOn + "header_timeout = \"2s\"\n" + backend.toml());
  Client connection(ringmaster.endpoint());
  connection.send(v1("192.0.2.1").substr(0, 10));
  ASSERT_TRUE(wait_until([&] {
    return ringmaster.metrics().get("ringmaster_client_connections{state=\"idle\"}") == 1;
  }));
  ASSERT_EQ(ringmaster.ctl({"reload"}).exit, (Exit{0, 0}));

  EXPECT_TRUE(connection.is_ended());
  EXPECT_TRUE(is_counted(ringmaster, 1));
}

TEST(ProxyProtocol, AHeaderMayComeInPieces) {
  Backend backend("s1");
  Ringmaster ringmaster(kOn + backend.toml());
  const std::string bytes = v1("192.0.2.1") + request_head("GET", "/");

  for (std::size_t cut = 1; cut < bytes.size(); ++cut) {
    Client connection(ringmaster.endpoint());
    connection.send(bytes.substr(0, cut));
    std::this_thread::yield();
    connection.send(bytes.substr(cut));
    ASSERT_EQ(connection.receive().status, 200) << cut;
    ASSERT_EQ(backend.requests().back().field("X-Forwarded-For"), "192.0.2.1") << cut;
  }
}

TEST(ProxyProtocol, AHeaderThatNamesNobodyLeavesThePeer) {
  Backend backend("s1");
  Ringmaster ringmaster(kOn + backend.toml());

  for (const std::string& header : {"PROXY UNKNOWN\r\n"s, v2_local()}) {
    Client connection(ringmaster.endpoint(), "127.0.0.9");
    connection.send(header);
    EXPECT_EQ(connection.get("/").status, 200);
    EXPECT_EQ(backend.requests().back().field("X-Forwarded-For"), "127.0.0.9");
  }
}

TEST(ProxyProtocol, TrustAndLimitsGoByTheClientItNames) {
  Backend backend("s1");
  Ringmaster ringmaster(kOn + "trusted_proxies = [\"192.0.2.1\"]\n" +
                        "[rate_limit]\nrequests_per_second = 1\n" + backend.toml());
  const auto ask = [&](const std::string& client, const std::string& named = "203.0.113.99") {
    Client connection(ringmaster.endpoint());
    connection.send(v1(client) + request_head("GET", "/", "X-Forwarded-For: " + named + "\r\n"));
    return connection.receive().status;
  };

  EXPECT_EQ(ask("198.51.100.1"), 200);
  EXPECT_EQ(backend.requests().back().field("X-Forwarded-For"), "198.51.100.1");
  EXPECT_TRUE(wait_until([&] { return ask("198.51.100.1") == 429; }));
  EXPECT_EQ(ask("198.51.100.2"), 200);

  // Charged to whom a trusted proxy names; who has asked for nothing else is refused then. On a
  // machine that stood still for a second in between, another one is.
  bool is_charged = false;
  for (int i = 1; i <= 10 && !is_charged; ++i) {
    const std::string named = "203.0.113." + std::to_string(i);
    EXPECT_EQ(ask("192.0.2.1", named), 200);
    EXPECT_EQ(backend.requests().back().field("X-Forwarded-For"), named + ", 192.0.2.1");
    is_charged = ask(named) == 429;
  }
  EXPECT_TRUE(is_charged);
}

TEST(ProxyProtocol, WhoSendsNoValidHeaderIsClosedAndCounted) {
  Backend backend("s1");
  Ringmaster ringmaster(kOn + backend.toml());

  int refused = 0;
  for (const std::string& bytes :
       {request_head("GET", "/"), "PROXY TCP4 nowhere 127.0.0.1 1 2\r\n" + request_head("GET", "/"),
        "\r\n\r\n\0\r\nQUIT\n\x31\x11\x00\x00"s}) {
    Client connection(ringmaster.endpoint());
    connection.send(bytes);
    try {
      EXPECT_EQ(connection.stream().read_all(), "");
    } catch (const StreamError& error) {
      EXPECT_EQ(error.kind, StreamError::Kind::kReset);
    }
    EXPECT_TRUE(is_counted(ringmaster, ++refused));
  }
  {
    Client connection(ringmaster.endpoint());
    connection.send("PROXY TC");
  }
  EXPECT_TRUE(is_counted(ringmaster, ++refused));
  EXPECT_NE(ringmaster.process().log().find(
                "a connection from 127.0.0.1 had no valid PROXY header and was closed"),
            std::string::npos);
  { Client connection(ringmaster.endpoint()); }  // somebody looked whether the port is open
  Client connection(ringmaster.endpoint());
  connection.send(v1("192.0.2.1"));
  EXPECT_EQ(connection.get("/").status, 200);
  EXPECT_TRUE(is_counted(ringmaster, refused));
  EXPECT_EQ(backend.request_count(), 1u);
}

TEST(ProxyProtocol, AHeaderThatDoesNotComeInTimeIsClosedAndCounted) {
  Backend backend("s1");
  Ringmaster ringmaster(kOn + "header_timeout = \"200ms\"\n" + backend.toml());

  Client silent(ringmaster.endpoint());
  Client halfway(ringmaster.endpoint());
  halfway.send("PROXY TCP4 192.0.2.1 ");

  EXPECT_TRUE(silent.is_ended());
  EXPECT_TRUE(halfway.is_ended());
  EXPECT_TRUE(is_counted(ringmaster, 2));
}

TEST(ProxyProtocol, AHeaderWithoutTheOptionIsABadRequest) {
  Backend backend("s1");
  Ringmaster ringmaster(backend.toml());

  Client connection(ringmaster.endpoint());
  connection.send(v1("192.0.2.1") + request_head("GET", "/"));
  const Response response = connection.receive();
  EXPECT_EQ(response.status, 400);
  EXPECT_NE(response.body.find("looks like a PROXY header"), std::string::npos) << response.body;
  EXPECT_EQ(backend.request_count(), 0u);
}

}  // namespace
}  // namespace ringmaster::test
