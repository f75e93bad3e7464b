// What goes on to the other side, byte for byte: a row a case. "\n" stands for CRLF throughout.
#include <gtest/gtest.h>

#include <array>
#include <optional>
#include <string>

#include "tests/unit/http/piecewise.h"
#include "worker/http/forwarding.h"
#include "worker/http/parser.h"

namespace ringmaster {
namespace {

using test::crlf;

constexpr ParseLimits kLimits{16384};

struct RequestRow {
  const char* rfc;
  std::string in;
  std::string out;
  bool trusted = false;
};

// What is added to a request for the authority h from a peer that is not trusted.
const std::string kAdded =
    "X-Forwarded-For: 192.0.2.1\nX-Forwarded-Proto: http\nX-Forwarded-Host: h\nVia: 1.1 rm\n";

std::string rewritten_request(const std::string& in, bool trusted, bool keep_upgrade) {
  RequestParser parser;
  RequestHead head;
  if (parser.parse(in, kLimits, head) != ParseStatus::kComplete) return "not parsed";
  std::string out(head.size + kForwardingOverhead, '\0');
  const RequestForwarding how{.client_ip = "192.0.2.1",
                              .peer_is_trusted = trusted,
                              .keep_upgrade = keep_upgrade,
                              .via_name = "rm",
                              .default_host = "192.0.2.9:80"};
  out.resize(write_request_head(head, how, out.data(), out.size()));
  return out;
}

template <class Rows>
void check_requests(const Rows& rows, bool keep_upgrade = false) {
  for (const RequestRow& row : rows) {
    SCOPED_TRACE(std::string(row.rfc) + " " + test::printable(row.in));
    EXPECT_EQ(rewritten_request(crlf(row.in), row.trusted, keep_upgrade), crlf(row.out));
  }
}

// "GET / for h" with these lines, in and out.
std::string in(std::string_view lines) {
  return "GET / HTTP/1.1\nHost: h\n" + std::string(lines) + "\n";
}
std::string out(std::string_view lines) {
  return "GET / HTTP/1.1\nHost: h\n" + std::string(lines) + kAdded + "\n";
}

TEST(RequestForwarding, WritesTheRequestLineAnew) {
  const std::string host_h = " HTTP/1.1\nHost: h\n" + kAdded + "\n";
  check_requests(std::to_array<RequestRow>({
      {"9112 3", "GET /a?b HTTP/1.1\nHost: h\n\n", "GET /a?b" + host_h},
      {"9112 3", "BREW /%2e/\xff HTTP/1.1\nHost: h\n\n", "BREW /%2e/\xff" + host_h},
      {"9112 3.2.2", "GET http://h/a?b HTTP/1.1\nHost: other\n\n", "GET /a?b" + host_h},
      {"9112 3.2.2", "GET http://h HTTP/1.1\nHost: other\n\n", "GET /" + host_h},
      {"9112 3.2.2", "GET http://h?q HTTP/1.1\nHost: h\n\n", "GET /?q" + host_h},
      {"9112 3.2.4", "OPTIONS http://h HTTP/1.1\nHost: h\n\n", "OPTIONS *" + host_h},
      {"9112 3.2.4", "OPTIONS * HTTP/1.1\nHost: h\n\n", "OPTIONS *" + host_h},
      {"9112 2.2", "\nGET / HTTP/1.1\nHost: h\n\n", "GET /" + host_h},
      {"9110 2.5", "GET / HTTP/1.0\nHost: h\n\n",
       "GET / HTTP/1.1\nHost: h\nX-Forwarded-For: 192.0.2.1\nX-Forwarded-Proto: http\n"
       "X-Forwarded-Host: h\nVia: 1.0 rm\n\n"},
      {"9112 3.2", "GET / HTTP/1.0\n\n",
       "GET / HTTP/1.1\nHost: 192.0.2.9:80\nX-Forwarded-For: 192.0.2.1\n"
       "X-Forwarded-Proto: http\nVia: 1.0 rm\n\n"},
      {"9112 3.2", "GET / HTTP/1.0\nHost:\n\n",
       "GET / HTTP/1.1\nHost: 192.0.2.9:80\nX-Forwarded-For: 192.0.2.1\n"
       "X-Forwarded-Proto: http\nVia: 1.0 rm\n\n"},
      {"9112 3.2", "GET / HTTP/1.1\nA: b\nhOsT: \t h\nC: d\n\n", out("A: b\nC: d\n")},
  }));
}

TEST(RequestForwarding, KeepsEndToEndFieldsAsTheyCame) {
  check_requests(std::to_array<RequestRow>({
      {"9110 5.3", in("b: 1\nA: 2\nb: 3\n"), out("b: 1\nA: 2\nb: 3\n")},
      {"9110 5.5", in("A: \xc3\xa4\t\xff\n"), out("A: \xc3\xa4\t\xff\n")},
      {"9110 5.5", in("A:\nB:c\nC:  d \n"), out("A:\nB:c\nC:  d \n")},
      {"6265 5.4", in("Cookie: a=b\nCookie: c=d\n"), out("Cookie: a=b\nCookie: c=d\n")},
      {"9110 11.6.2", in("Authorization: Basic eA==\n"), out("Authorization: Basic eA==\n")},
      {"9110 12.5", in("Accept: */*\nPragma: x\n"), out("Accept: */*\nPragma: x\n")},
      {"9209 2", in("Proxy-Status: x\n"), out("Proxy-Status: x\n")},
  }));
}

TEST(RequestForwarding, DropsWhatIsHopByHop) {
  check_requests(std::to_array<RequestRow>({
      {"9110 7.6.1", in("Connection: keep-alive\nA: b\n"), out("A: b\n")},
      {"9110 7.6.1", in("A: b\nConnection: close\n"), out("A: b\n")},
      {"9110 7.6.1", in("X-Hop: 1\nA: b\nConnection: x-hop\n"), out("A: b\n")},
      {"9110 7.6.1", in("Connection: a,b\nA: 1\nB: 2\nC: 3\n"), out("C: 3\n")},
      {"9110 7.6.1", in("Connection: a\nA: 1\nC: 3\na: 2\nConnection: , c ,\n"), out("")},
      {"9110 7.6.1", in("Connection: X\nX-Y: 1\nXX: 2\n"), out("X-Y: 1\nXX: 2\n")},
      {"9110 7.6.1", in("Keep-Alive: timeout=5\nA: b\n"), out("A: b\n")},
      {"9110 10.1.4", in("TE: trailers\nConnection: TE\nA: b\n"), out("A: b\n")},
      {"9110 11.7", in("Proxy-Authorization: x\nProxy-Connection: close\nA: b\n"), out("A: b\n")},
      {"9110 11.7", in("proxy-anything: x\nA: b\n"), out("A: b\n")},
      {"9110 7.8", in("Upgrade: websocket\nConnection: upgrade\nA: b\n"), out("A: b\n")},
      {"9113 3.1", in("Upgrade: h2c\nHTTP2-Settings: x\nConnection: Upgrade, HTTP2-Settings\n"),
       out("")},
      {"9110 6.6.2", in("Trailer: X-Sum\n"), out("")},
  }));
}

// CGI and its heirs know no difference between '-' and '_'.
TEST(RequestForwarding, DropsWhatSomeTakeForAnotherField) {
  check_requests(std::to_array<RequestRow>({
      {"9112 6.1", in("Transfer_Encoding: chunked\nA: b\n"), out("A: b\n")},
      {"9112 6.2", in("content_length: 5\nX_Y: 1\nA_b: c\n"), out("X_Y: 1\nA_b: c\n")},
      {"7239 8.1", in("X_Forwarded_For: 1\nX-Forwarded_Port: 2\nX_Forwarded-Prefix: 3\n"), out("")},
      {"7239 8.1", in("X_Forwarded_For: 1\n"),
       "GET / HTTP/1.1\nHost: h\nX-Forwarded-For: 192.0.2.1\nX-Forwarded-Proto: http\n"
       "X-Forwarded-Host: h\nVia: 1.1 rm\n\n",
       true},
  }));
}

std::string with_forwarded(const std::string& lines, std::string_view client, bool trusted,
                           const std::string& host = "h") {
  const std::string bytes = crlf("GET / HTTP/1.1\nHost: " + host + "\n" + lines + "\n");
  RequestParser parser;
  RequestHead head;
  if (parser.parse(bytes, kLimits, head) != ParseStatus::kComplete) return "not parsed";
  std::string out(head.size + kForwardingOverhead, '\0');
  const RequestForwarding how{.client_ip = client,
                              .peer_is_trusted = trusted,
                              .keep_upgrade = false,
                              .via_name = "rm",
                              .forwarded = true};
  out.resize(write_request_head(head, how, out.data(), out.size()));
  const std::size_t begin = out.find("Forwarded: ", out.find("X-Forwarded-Proto: "));
  return out.substr(begin, out.find("\r\n", begin) - begin);
}

TEST(RequestForwarding, SaysItInTheStandardFieldToo) {
  EXPECT_EQ(with_forwarded("", "192.0.2.1", false),
            "Forwarded: for=192.0.2.1;host=h;proto=http;by=_rm");
  EXPECT_EQ(with_forwarded("", "2001:db8::1", false, "h:80"),
            "Forwarded: for=\"[2001:db8::1]\";host=\"h:80\";proto=http;by=_rm");
  EXPECT_EQ(with_forwarded("", "192.0.2.1", false, "[::1]"),
            "Forwarded: for=192.0.2.1;host=\"[::1]\";proto=http;by=_rm");
  EXPECT_EQ(with_forwarded("Forwarded: for=a\n", "192.0.2.1", false),
            "Forwarded: for=192.0.2.1;host=h;proto=http;by=_rm");
  EXPECT_EQ(with_forwarded("Forwarded: for=a, for=b\nforwarded: for=c\n", "192.0.2.1", true),
            "Forwarded: for=a, for=b, for=c, for=192.0.2.1;host=h;proto=http;by=_rm");
}

TEST(RequestForwarding, CannotBeToldToDropWhatOthersRelyOn) {
  check_requests(std::to_array<RequestRow>({
      {"9110 7.6.1", in("Connection: Host\n"), out("")},
      {"9110 7.6.1", in("Connection: Cookie, Authorization\nCookie: a=b\nAuthorization: c\n"),
       out("Cookie: a=b\nAuthorization: c\n")},
      {"9110 7.6.1", in("Connection: Content-Type\nContent-Type: x\n"), out("Content-Type: x\n")},
      {"9110 7.6.1", in("Connection: Via\nVia: 1.1 a\n"), out("Via: 1.1 a\n")},
      {"9110 7.6.1", in("Connection: X-Real-IP\nX-Real-IP: a\n"), out("X-Real-IP: a\n")},
      {"9110 7.6.1", in("Connection: close, X-Forwarded-For, X-Forwarded-Host\n"), out("")},
      {"9110 7.6.1",
       in("Connection: X-Forwarded-For, X-Forwarded-Proto, Forwarded\nX-Forwarded-For: 10.0.0.1\n"
          "X-Forwarded-Proto: https\nForwarded: for=x\n"),
       "GET / HTTP/1.1\nHost: h\nX-Forwarded-Proto: https\nForwarded: for=x\n"
       "X-Forwarded-For: 10.0.0.1, 192.0.2.1\nX-Forwarded-Host: h\nVia: 1.1 rm\n\n",
       true},
      {"9110 7.6.1", "POST / HTTP/1.1\nHost: h\nContent-Length: 3\nConnection: Content-Length\n\n",
       "POST / HTTP/1.1\nHost: h\n" + kAdded + "Content-Length: 3\n\n"},
      {"9110 7.6.1",
       "POST / HTTP/1.1\nHost: h\nTransfer-Encoding: chunked\nConnection: Transfer-Encoding\n\n",
       "POST / HTTP/1.1\nHost: h\n" + kAdded + "Transfer-Encoding: chunked\n\n"},
  }));
}

TEST(RequestForwarding, SaysWhoAsked) {
  const auto said = [](std::string_view x) {
    return "GET / HTTP/1.1\nHost: h\n" + std::string(x) + "Via: 1.1 rm\n\n";
  };
  check_requests(std::to_array<RequestRow>({
      {"7239 4", in("X-Forwarded-For: 10.0.0.1\nX-Forwarded-Proto: https\n"), out("")},
      {"7239 4", in("X-Forwarded-Host: evil\nX-Forwarded-Port: 1\nx-forwarded-prefix: /\n"),
       out("")},
      {"7239 8.1", in("Forwarded: for=10.0.0.1\nA: b\n"), out("A: b\n")},
      {"7239 4", in(""),
       said("X-Forwarded-For: 192.0.2.1\nX-Forwarded-Proto: http\nX-Forwarded-Host: h\n"), true},
      {"7239 4", in("X-Forwarded-For: 10.0.0.1\nA: b\nX-Forwarded-For: 10.0.0.2, 10.0.0.3\n"),
       said("A: b\nX-Forwarded-For: 10.0.0.1, 10.0.0.2, 10.0.0.3, 192.0.2.1\n"
            "X-Forwarded-Proto: http\nX-Forwarded-Host: h\n"),
       true},
      {"7239 4", in("X-Forwarded-For:\n"),
       said("X-Forwarded-For: 192.0.2.1\nX-Forwarded-Proto: http\nX-Forwarded-Host: h\n"), true},
      {"7239 4", in("X-Forwarded-Proto: https\nX-Forwarded-Host: o\nX-Forwarded-Port: 1\n"),
       said("X-Forwarded-Proto: https\nX-Forwarded-Host: o\nX-Forwarded-Port: 1\n"
            "X-Forwarded-For: 192.0.2.1\n"),
       true},
      {"7239 4", in("Forwarded: for=10.0.0.1\n"),
       said("Forwarded: for=10.0.0.1\nX-Forwarded-For: 192.0.2.1\nX-Forwarded-Proto: http\n"
            "X-Forwarded-Host: h\n"),
       true},
      {"9110 7.6.3", in("Via: 1.0 a, 1.1 b\nVia: 1.1 c\n"), out("Via: 1.0 a, 1.1 b\nVia: 1.1 c\n")},
  }));
}

TEST(RequestForwarding, WritesTheFramingAnew) {
  const auto post_in = [](std::string_view lines) {
    return "POST / HTTP/1.1\nHost: h\n" + std::string(lines) + "\n";
  };
  const auto post_out = [](std::string_view before, std::string_view after) {
    return "POST / HTTP/1.1\nHost: h\n" + std::string(before) + kAdded + std::string(after) + "\n";
  };
  check_requests(std::to_array<RequestRow>({
      {"9112 6", post_in(""), post_out("", "")},
      {"9112 6", post_in("Content-Length: 0\n"), post_out("", "Content-Length: 0\n")},
      {"9112 6", post_in("content-length:  007 \nA: b\n"),
       post_out("A: b\n", "Content-Length: 7\n")},
      {"9112 6", post_in("Content-Length: 9223372036854775807\n"),
       post_out("", "Content-Length: 9223372036854775807\n")},
      {"9112 6", post_in("transfer-encoding: CHUNKED\nA: b\n"),
       post_out("A: b\n", "Transfer-Encoding: chunked\n")},
      {"9110 6.6.2", post_in("Transfer-Encoding: chunked\nTrailer: X-Sum\n"),
       post_out("Trailer: X-Sum\n", "Transfer-Encoding: chunked\n")},
      {"9110 6.6.2", post_in("Transfer-Encoding: chunked\nTrailer: X\nConnection: y\n"),
       post_out("", "Transfer-Encoding: chunked\n")},
      {"9110 6.6.2", post_in("Transfer-Encoding: chunked\nTrailer: X\nConnection: trailer\n"),
       post_out("", "Transfer-Encoding: chunked\n")},
      {"9110 10.1.1", post_in("Content-Length: 3\nExpect: 100-continue\n"),
       post_out("Expect: 100-continue\n", "Content-Length: 3\n")},
      {"9110 10.1.1", post_in("Expect: 100-continue\n"), post_out("Expect: 100-continue\n", "")},
      {"9110 10.1.1", "POST / HTTP/1.0\nHost: h\nContent-Length: 3\nExpect: 100-continue\nA: b\n\n",
       "POST / HTTP/1.1\nHost: h\nA: b\nX-Forwarded-For: 192.0.2.1\nX-Forwarded-Proto: http\n"
       "X-Forwarded-Host: h\nVia: 1.0 rm\nContent-Length: 3\n\n"},
  }));
}

TEST(RequestForwarding, CountsForwardsDown) {
  const auto options = [](std::string_view before, std::string_view after) {
    return "OPTIONS / HTTP/1.1\nHost: h\n" + std::string(before) + std::string(after) + "\n";
  };
  check_requests(std::to_array<RequestRow>({
      {"9110 7.6.2", options("Max-Forwards: 3\nA: b\n", ""),
       options("A: b\n", kAdded + "Max-Forwards: 2\n")},
      {"9110 7.6.2", options("max-forwards: 001\n", ""), options("", kAdded + "Max-Forwards: 0\n")},
      {"9110 7.6.2", options("Max-Forwards: 1\nConnection: max-forwards\n", ""),
       options("", kAdded + "Max-Forwards: 0\n")},
      {"9110 7.6.2", in("Max-Forwards: 3\n"), out("Max-Forwards: 3\n")},
  }));
}

TEST(RequestForwarding, PassesUpgradesOn) {
  const auto upgraded = [](std::string_view lines) {
    return "GET / HTTP/1.1\nHost: h\n" + std::string(lines) + kAdded + "Connection: upgrade\n\n";
  };
  check_requests(std::to_array<RequestRow>({
                     {"6455 4.1", in("Upgrade: websocket\nConnection: keep-alive, Upgrade\nA: b\n"),
                      upgraded("Upgrade: websocket\nA: b\n")},
                     {"9110 7.8", in("Upgrade: websocket\nA: b\n"), out("A: b\n")},
                     {"9113 3.1", in("Upgrade: h2c\nConnection: Upgrade\nA: b\n"), out("A: b\n")},
                     {"9110 7.8", in("Connection: Upgrade\nA: b\n"), out("A: b\n")},
                 }),
                 /*keep_upgrade=*/true);
}

struct ResponseRow {
  const char* rfc;
  std::string in;
  std::string out;
};

constexpr auto kNewClient = HttpVersion::k11;
constexpr auto kOldClient = HttpVersion::k10;

// `framing`, unless given, is the backend's own.
struct Towards {
  HttpVersion version = kNewClient;
  bool keep_alive = true;
  bool keep_upgrade = false;
  std::string_view date = {};
  std::optional<BodyFraming> framing = std::nullopt;
  bool to_head = false;
};

std::string rewritten_response(const std::string& in, const Towards& client) {
  ResponseParser parser;
  ResponseHead head;
  if (parser.parse(in, kLimits, client.to_head, head) != ParseStatus::kComplete) {
    return "not parsed";
  }
  std::string out(head.size + kForwardingOverhead, '\0');
  const ResponseForwarding how{.client_version = client.version,
                               .framing = client.framing.value_or(head.framing),
                               .keep_alive = client.keep_alive,
                               .keep_upgrade = client.keep_upgrade,
                               .via_name = "rm",
                               .date = client.date};
  out.resize(write_response_head(head, how, out.data(), out.size()));
  return out;
}

void check(const ResponseRow& row, const Towards& client = {}) {
  SCOPED_TRACE(std::string(row.rfc) + " " + test::printable(row.in));
  EXPECT_EQ(rewritten_response(crlf(row.in), client), crlf(row.out));
}

TEST(ResponseForwarding, KeepsStatusAndFieldsAsTheyCame) {
  check({"9112 4", "HTTP/1.1 200 OK\nContent-Length: 3\n\n",
         "HTTP/1.1 200 OK\nVia: 1.1 rm\nContent-Length: 3\n\n"});
  check({"9112 4", "HTTP/1.1 404 Not  \xc3\xa4 Found\nContent-Length: 3\n\n",
         "HTTP/1.1 404 Not  \xc3\xa4 Found\nVia: 1.1 rm\nContent-Length: 3\n\n"});
  check({"9112 4", "HTTP/1.1 200 \nContent-Length: 3\n\n",
         "HTTP/1.1 200 \nVia: 1.1 rm\nContent-Length: 3\n\n"});
  check({"9112 4", "HTTP/1.1 200\nContent-Length: 3\n\n",
         "HTTP/1.1 200 \nVia: 1.1 rm\nContent-Length: 3\n\n"});
  check({"9110 2.5", "HTTP/1.0 200 OK\nContent-Length: 3\n\n",
         "HTTP/1.1 200 OK\nVia: 1.0 rm\nContent-Length: 3\n\n"});
  check(
      {"6265 3", "HTTP/1.1 200 OK\nSet-Cookie: a\nX: y\nset-cookie: b\nContent-Length: 0\n\n",
       "HTTP/1.1 200 OK\nSet-Cookie: a\nX: y\nset-cookie: b\nVia: 1.1 rm\nContent-Length: 0\n\n"});
  check({"9110 5.5", "HTTP/1.1 200 OK\nA: \xff\xfe\nContent-Length: 0\nB:c\n\n",
         "HTTP/1.1 200 OK\nA: \xff\xfe\nB:c\nVia: 1.1 rm\nContent-Length: 0\n\n"});
  check({"9110 7.6.3", "HTTP/1.1 200 OK\nVia: 1.1 a\nContent-Length: 0\n\n",
         "HTTP/1.1 200 OK\nVia: 1.1 a\nVia: 1.1 rm\nContent-Length: 0\n\n"});
}

TEST(ResponseForwarding, DropsWhatIsHopByHop) {
  const std::string rest = "HTTP/1.1 200 OK\nA: b\nVia: 1.1 rm\nContent-Length: 0\n\n";
  for (const char* lines :
       {"Connection: close\n", "Connection: X-Hop\nX-Hop: 1\n", "Keep-Alive: timeout=5\n",
        "Proxy-Authenticate: Basic\n", "Proxy-Connection: close\n", "Upgrade: h2c\n",
        "Connection: upgrade\nUpgrade: websocket\n", "Trailer: X-Sum\n", "TE: x\n",
        "Connection: no token, X-Hop\nX-Hop: 1\nConnection: X-Too\nX-Too: 2\n"}) {
    const std::string start = "HTTP/1.1 200 OK\n";
    check({"9110 7.6.1", start + lines + "A: b\nContent-Length: 0\n\n", rest});
    check({"9110 7.6.1", start + "A: b\nContent-Length: 0\n" + lines + "\n", rest});
  }
  check({"9110 7.6.1",
         "HTTP/1.1 200 OK\nConnection: Content-Type, Set-Cookie\nContent-Type: x\nSet-Cookie: y\n"
         "Content-Length: 0\n\n",
         "HTTP/1.1 200 OK\nContent-Type: x\nSet-Cookie: y\nVia: 1.1 rm\nContent-Length: 0\n\n"});
}

TEST(ResponseForwarding, WritesTheFramingAnew) {
  const std::string chunked = "HTTP/1.1 200 OK\nTransfer-Encoding: Chunked\nTrailer: X\n\n";
  const std::string endless = "HTTP/1.1 200 OK\n\n";
  check({"9112 6.1", chunked,
         "HTTP/1.1 200 OK\nTrailer: X\nVia: 1.1 rm\nTransfer-Encoding: chunked\n\n"});
  check({"9112 6.1", chunked, "HTTP/1.1 200 OK\nVia: 1.1 rm\nConnection: close\n\n"},
        {.version = kOldClient, .framing = BodyFraming::kUntilClose});
  check({"9112 6.1", endless, "HTTP/1.1 200 OK\nVia: 1.1 rm\nTransfer-Encoding: chunked\n\n"},
        {.framing = BodyFraming::kChunked});
  check({"9112 6.3", endless, "HTTP/1.1 200 OK\nVia: 1.1 rm\nConnection: close\n\n"},
        {.version = kOldClient});
  check({"9112 6.3", "HTTP/1.1 200 OK\nContent-Length: 5, 5\nContent-Length: 05\n\n",
         "HTTP/1.1 200 OK\nVia: 1.1 rm\nContent-Length: 5\n\n"});
}

TEST(ResponseForwarding, TellsLengthsWithoutABody) {
  const std::string five = "HTTP/1.1 200 OK\nContent-Length: 5\nContent-Length: 5\n\n";
  check({"9110 8.6", five, "HTTP/1.1 200 OK\nVia: 1.1 rm\nContent-Length: 5\n\n"},
        {.to_head = true});
  check({"9110 8.6", "HTTP/1.1 200 OK\nA: b\n\n", "HTTP/1.1 200 OK\nA: b\nVia: 1.1 rm\n\n"},
        {.to_head = true});
  check({"9110 8.6", "HTTP/1.1 304 x\nContent-Length: 5\n\n",
         "HTTP/1.1 304 x\nVia: 1.1 rm\nContent-Length: 5\n\n"});
  check({"9110 8.6", "HTTP/1.1 304 x\nContent-Length: 0\n\n",
         "HTTP/1.1 304 x\nVia: 1.1 rm\nContent-Length: 0\n\n"});
  check({"9110 8.6", "HTTP/1.1 304 x\n\n", "HTTP/1.1 304 x\nVia: 1.1 rm\n\n"});
  check({"9110 8.6", "HTTP/1.1 304 x\nTransfer-Encoding: chunked\n\n",
         "HTTP/1.1 304 x\nVia: 1.1 rm\n\n"});
  check({"9110 8.6", "HTTP/1.1 204 x\nContent-Length: 5\n\n", "HTTP/1.1 204 x\nVia: 1.1 rm\n\n"});
}

TEST(ResponseForwarding, SaysWhetherTheConnectionLivesOn) {
  const std::string one = "HTTP/1.1 200 OK\nContent-Length: 1\nConnection: close\n\n";
  const auto with = [](std::string_view connection) {
    return "HTTP/1.1 200 OK\nVia: 1.1 rm\nContent-Length: 1\n" + std::string(connection) + "\n";
  };
  check({"9112 9.3", one, with("")});
  check({"9112 9.6", one, with("Connection: close\n")}, {.keep_alive = false});
  check({"9112 9.3", one, with("Connection: keep-alive\n")}, {.version = kOldClient});
  check({"9112 9.3", one, with("Connection: close\n")},
        {.version = kOldClient, .keep_alive = false});
}

TEST(ResponseForwarding, DatesWhatHasNoDate) {
  const Towards now{.date = "now"};
  check({"9110 6.6.1", "HTTP/1.1 200 OK\nContent-Length: 0\n\n",
         "HTTP/1.1 200 OK\nVia: 1.1 rm\nDate: now\nContent-Length: 0\n\n"},
        now);
  check({"9110 6.6.1", "HTTP/1.1 200 OK\ndate: then\nConnection: date\nContent-Length: 0\n\n",
         "HTTP/1.1 200 OK\ndate: then\nVia: 1.1 rm\nContent-Length: 0\n\n"},
        now);
  check({"9110 6.6.1", "HTTP/1.1 103 x\n\n", "HTTP/1.1 103 x\nVia: 1.1 rm\n\n"}, now);
}

TEST(ResponseForwarding, SaysWhatToUpgradeTo) {
  check({"9110 15.5.22",
         "HTTP/1.1 426 x\nUpgrade: websocket\nConnection: Upgrade\nContent-Length: 0\n\n",
         "HTTP/1.1 426 x\nUpgrade: websocket\nVia: 1.1 rm\nContent-Length: 0\n"
         "Connection: upgrade\nConnection: close\n\n"},
        {.keep_alive = false, .keep_upgrade = true});
}

TEST(ResponseForwarding, PassesInterimResponsesOn) {
  check({"8297 2", "HTTP/1.1 103 Early Hints\nLink: x\nConnection: close\n\n",
         "HTTP/1.1 103 Early Hints\nLink: x\nVia: 1.1 rm\n\n"});
  check({"9110 15.2.1", "HTTP/1.1 100 Continue\n\n", "HTTP/1.1 100 Continue\nVia: 1.1 rm\n\n"},
        {.keep_alive = false});
  check({"9110 15.2", "HTTP/1.1 102 x\nContent-Length: 0\n\n", "HTTP/1.1 102 x\nVia: 1.1 rm\n\n"});
  check({"6455 4.2.2", "HTTP/1.1 101 Switching\nConnection: Upgrade\nUpgrade: websocket\nA: b\n\n",
         "HTTP/1.1 101 Switching\nUpgrade: websocket\nA: b\nVia: 1.1 rm\nConnection: upgrade\n\n"},
        {.keep_upgrade = true});
}

// What our own id and those of others become, both ways.
TEST(Forwarding, WritesTheRequestIdAnew) {
  const std::string request = crlf(in("A: b\nx-request-ID: forged\nX-Request-Id: twice\n"));
  RequestParser parser;
  RequestHead head;
  ASSERT_EQ(parser.parse(request, kLimits, head), ParseStatus::kComplete);
  std::string text(1024, '\0');
  const RequestForwarding to_backend{.client_ip = "192.0.2.1",
                                     .peer_is_trusted = true,
                                     .keep_upgrade = false,
                                     .via_name = "rm",
                                     .request_id = "our-id"};
  text.resize(write_request_head(head, to_backend, text.data(), text.size()));
  EXPECT_EQ(text, crlf("GET / HTTP/1.1\nHost: h\nA: b\nX-Forwarded-For: 192.0.2.1\n"
                       "X-Forwarded-Proto: http\nX-Forwarded-Host: h\nX-Request-Id: our-id\n"
                       "Via: 1.1 rm\n\n"));

  const std::string response = crlf("HTTP/1.1 204 x\nX-Request-Id: backend's\nA: b\n\n");
  ResponseParser response_parser;
  ResponseHead answer;
  ASSERT_EQ(response_parser.parse(response, kLimits, false, answer), ParseStatus::kComplete);
  const ResponseForwarding to_client{.client_version = HttpVersion::k11,
                                     .framing = BodyFraming::kNone,
                                     .keep_alive = true,
                                     .keep_upgrade = false,
                                     .via_name = "rm",
                                     .request_id = "our-id"};
  text.resize(1024);
  text.resize(write_response_head(answer, to_client, text.data(), text.size()));
  EXPECT_EQ(text, crlf("HTTP/1.1 204 x\nA: b\nX-Request-Id: our-id\nVia: 1.1 rm\n\n"));
}

TEST(Forwarding, SaysWhenItDoesNotFit) {
  const std::string bytes = crlf(in("A: b\n"));
  RequestParser parser;
  RequestHead head;
  ASSERT_EQ(parser.parse(bytes, kLimits, head), ParseStatus::kComplete);
  const RequestForwarding how{"192.0.2.1", false, false, "rm"};
  const std::string whole = crlf(out("A: b\n"));
  for (std::size_t capacity = 0; capacity <= whole.size(); ++capacity) {
    std::string room(capacity, '\0');
    const std::size_t fits = capacity == whole.size() ? capacity : 0;
    ASSERT_EQ(write_request_head(head, how, room.data(), capacity), fits);
  }
}

// What was forwarded is read again in the same way: nothing can be hidden in it.
TEST(Forwarding, IsReadAgainAsItWasMeant) {
  for (const char* text :
       {"POST http://o/x HTTP/1.1\nHost: h\nContent-Length: 3\nConnection: close, b\nB: c\n\n",
        "POST / HTTP/1.0\nHost: h\nContent-Length: 3\n\n",
        "PUT /y HTTP/1.1\nHost: h\nTransfer-Encoding: chunked\nExpect: 100-continue\n\n",
        "OPTIONS * HTTP/1.1\nHost: h\nMax-Forwards: 3\n\n"}) {
    RequestParser parser;
    RequestHead before, after;
    const std::string bytes = crlf(text);
    ASSERT_EQ(parser.parse(bytes, kLimits, before), ParseStatus::kComplete);
    const std::string again = rewritten_request(bytes, false, false);
    parser.reset();
    ASSERT_EQ(parser.parse(again, kLimits, after), ParseStatus::kComplete) << again;
    EXPECT_EQ(after.size, again.size());
    EXPECT_EQ(after.method, before.method);
    EXPECT_EQ(after.path_and_query, before.path_and_query);
    EXPECT_EQ(after.authority, before.authority);
    EXPECT_EQ(after.framing, before.framing);
    EXPECT_EQ(after.content_length, before.content_length);
    EXPECT_EQ(after.expects_continue, before.expects_continue);
  }
}

}  // namespace
}  // namespace ringmaster
