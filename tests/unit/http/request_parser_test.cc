// What the request parser accepts, as what, and what it refuses, with which status: a row a case.
#include <gtest/gtest.h>

#include <array>
#include <memory>
#include <string>

#include "tests/unit/http/piecewise.h"
#include "worker/http/parser.h"

namespace ringmaster {
namespace {

using namespace std::string_literals;  // bytes with a NUL among them
using test::crlf;

struct Row {
  const char* rfc;
  std::string bytes;
  std::string expected;  // a status code, "more", or what summary() makes of the head
};

std::string body_of(const MessageHead& head) {
  switch (head.framing) {
    case BodyFraming::kNone:
      return "none";
    case BodyFraming::kLength:
      return "length=" + std::to_string(head.content_length);
    case BodyFraming::kChunked:
      return "chunked";
    case BodyFraming::kUntilClose:
      return "until-close";
  }
  return "?";
}

// "GET /path @authority body" and what is out of the ordinary.
std::string summary(const RequestHead& head) {
  std::string text(head.method);
  text.append(" ").append(head.path_and_query).append(" @").append(head.authority);
  text += " " + body_of(head);
  if (head.version == HttpVersion::k10) text += " 1.0";
  if (!head.keep_alive) text += " close";
  if (head.wants_upgrade) text += " upgrade";
  if (head.expects_continue) text += " expect";
  if (head.max_forwards >= 0) text += " max-forwards=" + std::to_string(head.max_forwards);
  return text;
}

constexpr ParseLimits kLimits{16384, "us-1"};

std::string outcome(RequestParser& parser, RequestHead& head, ParseStatus status) {
  switch (status) {
    case ParseStatus::kIncomplete:
      return "more";
    case ParseStatus::kError:
      return std::to_string(describe(parser.error().reason).status);
    case ParseStatus::kComplete:
      return summary(head);
  }
  return "?";
}

// `head` is another one in each call, as a worker may use one for all its connections.
std::string parse_as_it_arrives(std::string_view bytes, const test::Arrivals& arrivals,
                                const ParseLimits& limits) {
  RequestParser parser;
  auto head = std::make_unique<RequestHead>();
  auto status = ParseStatus::kIncomplete;
  for (const std::size_t end : arrivals) {
    head = std::make_unique<RequestHead>();
    status = parser.parse(bytes.substr(0, end), limits, *head);
    if (status != ParseStatus::kIncomplete) break;
  }
  return outcome(parser, *head, status);
}

void check(const Row& row, const ParseLimits& limits = kLimits) {
  SCOPED_TRACE(std::string(row.rfc) + " " + test::printable(row.bytes));
  const test::ExactBytes bytes(row.bytes);
  for (const auto& arrivals : test::every_arrival(row.bytes.size())) {
    const std::string result = parse_as_it_arrives(bytes.view(), arrivals, limits);
    ASSERT_EQ(result, row.expected)
        << "in " << arrivals.size() << " parts, the first of " << arrivals.front() << " bytes";
  }
}

template <class Rows>
void check_all(const Rows& rows) {
  for (const Row& row : rows) check(row);
}

// A request whose only point of interest is one field line, or several.
std::string with_fields(std::string_view fields, std::string_view method = "POST") {
  return std::string(method) + " / HTTP/1.1\r\nHost: h\r\n" + std::string(fields) + "\r\n\r\n";
}

TEST(RequestParser, ReadsRequestLinesExactly) {
  check_all(std::to_array<Row>({
      {"9112 3", "GET / HTTP/1.1\r\nHost: h\r\n\r\n", "GET / @h none"},
      {"9112 3.1", "M!#$%&'*+-.^_`|~9 /x HTTP/1.1\r\nHost: h\r\n\r\n",
       "M!#$%&'*+-.^_`|~9 /x @h none"},
      {"9112 3.1", "get / HTTP/1.1\r\nHost: h\r\n\r\n", "get / @h none"},
      {"9112 3.1", "BREW /pot HTTP/1.1\r\nHost: h\r\n\r\n", "BREW /pot @h none"},
      {"9112 3.1", "G@T / HTTP/1.1\r\nHost: h\r\n\r\n", "400"},
      {"9112 3.1", "G\x80T / HTTP/1.1\r\nHost: h\r\n\r\n", "400"},
      {"9112 3", "GET\t/ HTTP/1.1\r\nHost: h\r\n\r\n", "400"},
      {"9112 3", "GET  / HTTP/1.1\r\nHost: h\r\n\r\n", "400"},
      {"9112 3", "GET /  HTTP/1.1\r\nHost: h\r\n\r\n", "400"},
      {"9112 3", "GET / HTTP/1.1 \r\nHost: h\r\n\r\n", "400"},
      {"9112 3", "GET / HTTP/1.1\t\r\nHost: h\r\n\r\n", "400"},
      {"9112 3", " GET / HTTP/1.1\r\nHost: h\r\n\r\n", "400"},
      {"9112 3", "GET / HTTP/1.1 HTTP/1.1\r\nHost: h\r\n\r\n", "400"},
      {"9112 3", "GET /\r\nHost: h\r\n\r\n", "400"},
      {"9112 3", "GET\r\nHost: h\r\n\r\n", "400"},
      {"9112 3", "GET /\r\n\r\n", "400"},  // HTTP/0.9
      {"9112 3", "GET HTTP/1.1\r\nHost: h\r\n\r\n", "400"},
      {"9112 2.2", "\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n", "GET / @h none"},
      {"9112 2.2", "\r\n\r\n\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n", "400"},
      {"9112 2.2", "\nGET / HTTP/1.1\r\nHost: h\r\n\r\n", "400"},
      {"9112 2.2", "\rGET / HTTP/1.1\r\nHost: h\r\n\r\n", "400"},
      {"9112 2.2", "GET / HTTP/1.1\nHost: h\r\n\r\n", "400"},
      {"9112 2.2", "GET / HTTP/1.1\rHost: h\r\n\r\n", "400"},
      {"9112 2.2", "GET / HTTP/1.1\r\rHost: h\r\n\r\n", "400"},
      {"9112 2.2", "GET / HTTP/1.1\n\n", "400"},
      {"9112 3", "\x16\x03\x01\x02", "400"},  // TLS
      {"9112 3", "{}", "400"},
      {"9112 3", "GET /a", "more"},
      {"9112 3", "GET / HTTP/1.1\r\n", "more"},
  }));
}

TEST(RequestParser, KnowsItsVersions) {
  check_all(std::to_array<Row>({
      {"9112 2.3", "GET / HTTP/1.0\r\nHost: h\r\n\r\n", "GET / @h none 1.0 close"},
      {"9112 2.3", "GET / HTTP/1.2\r\nHost: h\r\n\r\n", "505"},
      {"9112 2.3", "GET / HTTP/1.9\r\nHost: h\r\n\r\n", "505"},
      {"9112 2.3", "GET / HTTP/2.0\r\nHost: h\r\n\r\n", "505"},
      {"9112 2.3", "GET / HTTP/3.0\r\nHost: h\r\n\r\n", "505"},
      {"9112 2.3", "GET / HTTP/0.9\r\nHost: h\r\n\r\n", "505"},
      {"9113 3.4", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "505"},
      {"9112 2.3", "GET / http/1.1\r\nHost: h\r\n\r\n", "400"},
      {"9112 2.3", "GET / HTTP/1\r\nHost: h\r\n\r\n", "400"},
      {"9112 2.3", "GET / HTTP/1.\r\nHost: h\r\n\r\n", "400"},
      {"9112 2.3", "GET / HTTP/1.10\r\nHost: h\r\n\r\n", "400"},
      {"9112 2.3", "GET / HTTP/01.1\r\nHost: h\r\n\r\n", "400"},
      {"9112 2.3", "GET / HTTP/1,1\r\nHost: h\r\n\r\n", "400"},
      {"9112 2.3", "GET / HTTP /1.1\r\nHost: h\r\n\r\n", "400"},
      {"9112 2.3", "GET / HTTPS/1.1\r\nHost: h\r\n\r\n", "400"},
      {"9112 2.3", "GET / HTTP/-1.1\r\nHost: h\r\n\r\n", "400"},
      {"9112 2.3", "GET / ICE/1.0\r\nHost: h\r\n\r\n", "400"},
      {"9112 2.3", "GET / HTTP/1.x\r\nHost: h\r\n\r\n", "400"},
  }));
}

TEST(RequestParser, TakesTargetsApart) {
  check_all(std::to_array<Row>({
      {"9112 3.2.1", "GET /a/b?c=d&e HTTP/1.1\r\nHost: h\r\n\r\n", "GET /a/b?c=d&e @h none"},
      {"9112 3.2.1", "GET //evil/x HTTP/1.1\r\nHost: h\r\n\r\n", "GET //evil/x @h none"},
      {"9112 3.2.1", "GET /../%2e%00\"<>\\^`{|} HTTP/1.1\r\nHost: h\r\n\r\n",
       "GET /../%2e%00\"<>\\^`{|} @h none"},
      {"9112 3.2.1", "GET /\xc3\xa4\xff HTTP/1.1\r\nHost: h\r\n\r\n", "GET /\xc3\xa4\xff @h none"},
      {"9112 3.2", "GET /a#b HTTP/1.1\r\nHost: h\r\n\r\n", "400"},
      {"9112 3.2", "GET /a b HTTP/1.1\r\nHost: h\r\n\r\n", "400"},
      {"9112 3.2", "GET /a\tb HTTP/1.1\r\nHost: h\r\n\r\n", "400"},
      {"9112 3.2", "GET /a\x7f HTTP/1.1\r\nHost: h\r\n\r\n", "400"},
      {"9112 3.2", "GET /a\0b HTTP/1.1\r\nHost: h\r\n\r\n"s, "400"},
      {"9112 3.2", "GET /a\rb HTTP/1.1\r\nHost: h\r\n\r\n", "400"},
      {"9112 3.2", "GET a/b HTTP/1.1\r\nHost: h\r\n\r\n", "400"},
      {"9112 3.2", "GET ?a HTTP/1.1\r\nHost: h\r\n\r\n", "400"},
      {"9112 3.2.2", "GET http://o.example/x?y HTTP/1.1\r\nHost: h\r\n\r\n",
       "GET /x?y @o.example none"},
      {"9112 3.2.2", "GET HTTPS://o:8443/x HTTP/1.1\r\nHost: h\r\n\r\n", "GET /x @o:8443 none"},
      {"9112 3.2.2", "GET http://o HTTP/1.1\r\nHost: h\r\n\r\n", "GET / @o none"},
      {"9112 3.2.2", "GET http://o?q HTTP/1.1\r\nHost: h\r\n\r\n", "GET ?q @o none"},
      {"9112 3.2.2", "GET http://o/ HTTP/1.0\r\n\r\n", "GET / @o none 1.0 close"},
      {"9112 3.2.2", "GET http://o/ HTTP/1.1\r\n\r\n", "400"},  // still no Host
      {"9112 3.2.2", "GET http://o/ HTTP/1.1\r\nHost: a b\r\n\r\n", "400"},
      {"9112 3.2.2", "GET http://o/ HTTP/1.1\r\nHost: h\r\nHost: o\r\n\r\n", "400"},
      {"9110 4.2.4", "GET http://user@o/ HTTP/1.1\r\nHost: h\r\n\r\n", "400"},
      {"9110 4.2.4", "GET http://u:p@o/ HTTP/1.1\r\nHost: h\r\n\r\n", "400"},
      {"9110 4.2.1", "GET http:/// HTTP/1.1\r\nHost: h\r\n\r\n", "400"},
      {"9110 4.2.1", "GET http://:80/ HTTP/1.1\r\nHost: h\r\n\r\n", "400"},
      {"9110 4.2.1", "GET http:/o/ HTTP/1.1\r\nHost: h\r\n\r\n", "400"},
      {"9110 4.2.1", "GET http://o\\x/ HTTP/1.1\r\nHost: h\r\n\r\n", "400"},
      {"9112 3.2.2", "GET ftp://o/ HTTP/1.1\r\nHost: h\r\n\r\n", "400"},
      {"9112 3.2.2", "GET file:///etc/passwd HTTP/1.1\r\nHost: h\r\n\r\n", "400"},
      {"9112 3.2.3", "CONNECT o:443 HTTP/1.1\r\nHost: o:443\r\n\r\n", "405"},
      {"9112 3.2.3", "CONNECT / HTTP/1.1\r\nHost: h\r\n\r\n", "405"},
      {"9112 3.2.3", "GET o:443 HTTP/1.1\r\nHost: o:443\r\n\r\n", "400"},
      {"9112 3.2.4", "OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n", "OPTIONS * @h none"},
      {"9112 3.2.4", "GET * HTTP/1.1\r\nHost: h\r\n\r\n", "400"},
      {"9112 3.2.4", "OPTIONS *x HTTP/1.1\r\nHost: h\r\n\r\n", "400"},
      {"9112 3.2.4", "OPTIONS http://o HTTP/1.1\r\nHost: h\r\n\r\n", "OPTIONS * @o none"},
      {"9112 3.2.4", "OPTIONS http://o/ HTTP/1.1\r\nHost: h\r\n\r\n", "OPTIONS / @o none"},
      {"9112 3.2.4", "OPTIONS /x HTTP/1.1\r\nHost: h\r\n\r\n", "OPTIONS /x @h none"},
  }));
}

TEST(RequestParser, WantsOneValidHost) {
  const auto host = [](std::string_view value) {
    return "GET / HTTP/1.1\r\nHost:" + std::string(value) + "\r\n\r\n";
  };
  check_all(std::to_array<Row>({
      {"9112 3.2", "GET / HTTP/1.1\r\n\r\n", "400"},
      {"9112 3.2", "GET / HTTP/1.1\r\nX: y\r\n\r\n", "400"},
      {"9112 3.2", "GET / HTTP/1.0\r\n\r\n", "GET / @ none 1.0 close"},
      {"9112 3.2", "GET / HTTP/1.1\r\nHost: h\r\nHost: h\r\n\r\n", "400"},
      {"9112 3.2", "GET / HTTP/1.1\r\nHost: h\r\nX: y\r\nhOST: i\r\n\r\n", "400"},
      {"9112 3.2", "GET / HTTP/1.0\r\nHost: h\r\nHost: i\r\n\r\n", "400"},
      {"9112 3.2", "GET / HTTP/1.0\r\nHost: a b\r\n\r\n", "400"},
      {"9110 4.2.1", host(""), "400"},
      {"9110 4.2.1", host("   "), "400"},
      {"9112 3.2", "GET / HTTP/1.0\r\nHost:\r\n\r\n", "GET / @ none 1.0 close"},
      {"9110 7.2", host("a,b"), "400"},
      {"9112 3.2", host("h"), "GET / @h none"},
      {"9112 3.2", host("\t h \t"), "GET / @h none"},
      {"9110 7.2", host(" h:"), "GET / @h: none"},
      {"9110 7.2", host(" h:8080"), "GET / @h:8080 none"},
      {"9110 7.2", host(" 192.0.2.1:80"), "GET / @192.0.2.1:80 none"},
      {"9110 7.2", host(" [2001:db8::1]:80"), "GET / @[2001:db8::1]:80 none"},
      {"9110 7.2", host(" [::ffff:192.0.2.1]"), "GET / @[::ffff:192.0.2.1] none"},
      {"3986 3.2.2", host(" [v1.a:b]"), "GET / @[v1.a:b] none"},
      {"3986 3.2.2", host(" a-b_c.~!$&'()*+;=%41"), "GET / @a-b_c.~!$&'()*+;=%41 none"},
      {"3986 3.2.2", host(" a%4"), "400"},
      {"3986 3.2.2", host(" a%zz"), "400"},
      {"3986 3.2.2", host(" [::1"), "400"},
      {"3986 3.2.2", host(" ::1"), "400"},
      {"3986 3.2.2", host(" [::1]x"), "400"},
      {"3986 3.2.2", host(" [::g]"), "400"},
      {"3986 3.2.2", host(" []"), "400"},
      {"3986 3.2.2", host(" [v.x]"), "400"},
      {"3986 3.2.3", host(" h:8a"), "400"},
      {"3986 3.2.3", host(" h:80:80"), "400"},
      {"3986 3.2.3", host(" h:99999"), "400"},
      {"3986 3.2.3", host(" h:-1"), "400"},
      {"9110 4.2.1", host(" :80"), "400"},
      {"9110 4.2.4", host(" user@h"), "400"},
      {"9110 4.2.4", host(" u:p@h"), "400"},
      {"9110 7.2", host(" h/path"), "400"},
      {"9110 7.2", host(" h?q"), "400"},
      {"9110 7.2", host(" h#f"), "400"},
      {"9110 7.2", host(" h\\x"), "400"},
      {"9110 7.2", host(" a b"), "400"},
      {"9110 7.2", host(" a, b"), "400"},
      {"9110 7.2", host(" http://h"), "400"},
      {"9110 7.2", host(" h\xc3\xa4"), "400"},
      {"9110 7.2", host(" \"h\""), "400"},
      {"9112 5.2", host(" h\r\n i"), "400"},
  }));
}

TEST(RequestParser, AccountsForEveryByteOfTheFields) {
  check_all(std::to_array<Row>({
      {"9112 5", with_fields("A:b", "GET"), "GET / @h none"},
      {"9112 5", with_fields("A:", "GET"), "GET / @h none"},
      {"9112 5", with_fields("A:  \t ", "GET"), "GET / @h none"},
      {"9112 5", with_fields("A: \t b \t ", "GET"), "GET / @h none"},
      {"9112 5", with_fields("A: b\tc : d", "GET"), "GET / @h none"},
      {"9112 5", with_fields("A: \x80\xff", "GET"), "GET / @h none"},
      {"9110 5.1", with_fields("!#$%&'*+-.^_`|~09azAZ: x", "GET"), "GET / @h none"},
      {"9112 5.1", with_fields("A : b"), "400"},
      {"9112 5.1", with_fields("A\t: b"), "400"},
      {"9112 5.1", with_fields("Content-Length : 5"), "400"},
      {"9112 5.1", with_fields("Transfer-Encoding : chunked"), "400"},
      {"9112 5.1", with_fields("Transfer-Encoding\t: chunked"), "400"},
      {"9112 5.1", with_fields(": b"), "400"},
      {"9112 5.1", with_fields(":"), "400"},
      {"9112 5.1", with_fields("A"), "400"},
      {"9112 5.1", with_fields("A b: c"), "400"},
      {"9110 5.1", with_fields("A(b): c"), "400"},
      {"9110 5.1", with_fields("A\x80: c"), "400"},
      {"9110 5.1", with_fields("A\0: c"s), "400"},
      {"9110 5.1", with_fields("A\x0b: c"), "400"},
      {"9110 5.1", with_fields("A/b: c"), "400"},
      {"9110 5.1", with_fields("\"A\": c"), "400"},
      {"9110 5.5", with_fields("A: b\0c"s), "400"},
      {"9110 5.5", with_fields("A: \0"s), "400"},
      {"9110 5.5", with_fields("A: b\x01"), "400"},
      {"9110 5.5", with_fields("A: \x0b"), "400"},
      {"9110 5.5", with_fields("A: b\x1f"), "400"},
      {"9110 5.5", with_fields("A: b\x7f"), "400"},
      {"9110 5.5", with_fields("A: b\x0c"), "400"},
      {"9110 5.5", with_fields("A: b\rc"), "400"},
      {"9110 5.5", with_fields("A: b\r\rc"), "400"},
      {"9110 5.5", with_fields("A:\r b"), "400"},
      {"9112 2.2", with_fields("A: b\nC: d"), "400"},
      {"9112 2.2", with_fields("A:\nC: d"), "400"},
      {"9112 2.2", with_fields("A: b\r\n\nC: d"), "400"},
      {"9112 2.2", "GET / HTTP/1.1\r\nHost: h\r\n\n", "400"},
      {"9112 2.2", "GET / HTTP/1.1\r\nHost: h\n\r\n", "400"},
      {"9112 2.2", "GET / HTTP/1.1\r\nHost: h\r\n\rX", "400"},
      {"9112 2.2", "GET / HTTP/1.1\r\n\nHost: h\r\n\r\n", "400"},
      {"9112 5.2", with_fields("A: b\r\n c"), "400"},
      {"9112 5.2", with_fields("A: b\r\n\tc"), "400"},
      {"9112 5.2", with_fields("A:\r\n b"), "400"},
      {"9112 5.2", with_fields("A: b\r\n \r\nC: d"), "400"},
      {"9112 5.2", with_fields("A:\r\n \r\nC: d"), "400"},
      {"9112 5.2", with_fields("A: b\r\n :c"), "400"},
      {"9112 5.2", with_fields("Transfer-Encoding:\r\n chunked"), "400"},
      {"9112 5.2", with_fields("Content-Length: 5\r\n 0"), "400"},
      {"9112 2.2", "GET / HTTP/1.1\r\n Host: h\r\n\r\n", "400"},
      {"9112 2.2", "GET / HTTP/1.1\r\n\tX: y\r\nHost: h\r\n\r\n", "400"},
      {"9112 2.2", "GET / HTTP/1.1\r\n \r\nHost: h\r\n\r\n", "400"},
  }));
}

TEST(RequestParser, ReadsContentLengthInOneWayOnly) {
  const auto length = [](std::string_view value) {
    return with_fields("Content-Length: " + std::string(value));
  };
  check_all(std::to_array<Row>({
      {"9112 6.3", with_fields("X: y"), "POST / @h none"},
      {"9110 8.6", length("0"), "POST / @h length=0"},
      {"9110 8.6", length("5"), "POST / @h length=5"},
      {"9110 8.6", length("007"), "POST / @h length=7"},
      {"9110 8.6", length("5 \t"), "POST / @h length=5"},
      {"9110 8.6", length("9223372036854775807"), "POST / @h length=9223372036854775807"},
      {"9110 8.6", length("9223372036854775808"), "400"},
      {"9110 8.6", length("18446744073709551615"), "400"},
      {"9110 8.6", length("18446744073709551616"), "400"},
      {"9110 8.6", length("99999999999999999999999999"), "400"},
      {"9110 8.6", length(""), "400"},
      {"9110 8.6", length("+5"), "400"},
      {"9110 8.6", length("-5"), "400"},
      {"9110 8.6", length("-0"), "400"},
      {"9110 8.6", length("0x5"), "400"},
      {"9110 8.6", length("5x"), "400"},
      {"9110 8.6", length("5 5"), "400"},
      {"9110 8.6", length("5.0"), "400"},
      {"9110 8.6", length("1e3"), "400"},
      {"9110 8.6", length("\"5\""), "400"},
      {"9110 8.6", length("five"), "400"},
      {"9110 8.6", length("1_000"), "400"},
      {"9110 8.6", length("5;x"), "400"},
      {"9112 6.3", length("5, 5"), "400"},
      {"9112 6.3", length("5, 6"), "400"},
      {"9112 6.3", length("5,"), "400"},
      {"9112 6.3", length(",5"), "400"},
      {"9112 6.3", length("5\r\nContent-Length: 5"), "400"},
      {"9112 6.3", length("5\r\nContent-Length: 6"), "400"},
      {"9112 6.3", length("5\r\ncontent-length: 0"), "400"},
      {"9112 6.3", length("\r\nContent-Length: 5"), "400"},
      {"9112 6.3", with_fields("Content-Length: x", "GET"), "400"},
      {"9112 6.3", with_fields("Content-Length: 3", "GET"), "GET / @h length=3"},
      {"9112 6.3", with_fields("Content_Length: 3"), "POST / @h none"},
      {"9110 9.3.8", with_fields("Content-Length: 3", "TRACE"), "400"},
      {"9110 9.3.8", with_fields("Transfer-Encoding: chunked", "TRACE"), "400"},
      {"9110 9.3.8", with_fields("Content-Length: 0", "TRACE"), "TRACE / @h length=0"},
  }));
}

TEST(RequestParser, KnowsChunkedAndNothingLikeIt) {
  const auto coding = [](std::string_view value) {
    return with_fields("Transfer-Encoding:" + std::string(value));
  };
  check_all(std::to_array<Row>({
      {"9112 6.1", coding(" chunked"), "POST / @h chunked"},
      {"9112 6.1", coding("Chunked"), "POST / @h chunked"},
      {"9112 6.1", coding("\tCHUNKED \t"), "POST / @h chunked"},
      {"9112 6.1", coding(" gzip, chunked"), "501"},
      {"9112 6.1", coding(" gzip,chunked"), "501"},
      {"9112 6.1", coding(" x-custom, deflate , chunked"), "501"},
      {"9112 6.1", coding(" identity, chunked"), "501"},
      {"9112 6.3", coding(" gzip"), "400"},
      {"9112 6.3", coding(" identity"), "400"},
      {"9112 6.3", coding(" chunked, gzip"), "400"},
      {"9112 6.3", coding(" chunked, identity"), "400"},
      {"9112 6.3", coding(" chunked, chunked"), "400"},
      {"9112 6.3", coding(" gzip, chunked, chunked"), "400"},
      {"9112 6.1", coding(""), "400"},
      {"9112 6.1", coding(" ,"), "400"},
      {"9112 6.1", coding(" ,chunked"), "400"},
      {"9112 6.1", coding(" chunked,"), "400"},
      {"9112 6.1", coding(" , chunked"), "400"},
      {"9112 6.1", coding(" chunked, "), "400"},
      {"9112 6.1", coding(" gzip,,chunked"), "400"},
      {"9112 6.1", coding(" chunked;q=1"), "400"},
      {"9112 6.1", coding(" chunked ; a=b"), "400"},
      {"9112 6.1", coding(" \"chunked\""), "400"},
      {"9112 6.1", coding(" 'chunked'"), "400"},
      {"9112 6.1", coding(" xchunked"), "400"},
      {"9112 6.1", coding(" chunkedx"), "400"},
      {"9112 6.1", coding(" chunked x"), "400"},
      {"9112 6.1", coding(" x chunked"), "400"},
      {"9112 6.1", coding(" chunk"), "400"},
      {"9112 6.1",
       coding(" chun\xe1\xba\xb9"
              "d"),
       "400"},
      {"9112 6.1",
       coding(" \x0b"
              "chunked"),
       "400"},
      {"9112 6.1", coding(" chunked\x0b"), "400"},
      {"9112 6.1", coding(" chunked\0"s), "400"},
      {"9112 6.1",
       coding(" \xa0"
              "chunked"),
       "400"},
      {"9112 6.1", coding(" [chunked]"), "400"},
      {"9112 6.1", coding(" cow"), "400"},
      {"9112 6.1", coding(" chunked\r\nTransfer-Encoding: chunked"), "400"},
      {"9112 6.1", coding(" gzip\r\nTransfer-Encoding: chunked"), "400"},
      {"9112 6.1", coding(" chunked\r\ntransfer-encoding: identity"), "400"},
      {"9112 6.1", coding(" chunked\r\nTransfer-encoding: cow"), "400"},
      {"9112 6.3", coding(" chunked\r\nContent-Length: 5"), "400"},
      {"9112 6.3", coding(" chunked\r\nContent-Length: 0"), "400"},
      {"9112 6.3", with_fields("Content-Length: 5\r\nTransfer-Encoding: chunked"), "400"},
      {"9112 6.3", with_fields("Content-Length: 5\r\nTransfer-Encoding: gzip, chunked"), "400"},
      {"9112 6.1", "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", "400"},
      {"9112 6.1",
       "POST / HTTP/1.0\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n", "400"},
      {"9112 6.1", with_fields("Transfer_Encoding: chunked"), "POST / @h none"},
      {"9112 6.1", with_fields("X-Transfer-Encoding: chunked"), "POST / @h none"},
      {"9112 6.1", with_fields("Transfer-Encoding: chunked\r\nConnection: Transfer-Encoding"),
       "POST / @h chunked"},
      {"9112 6.3", with_fields("Content-Length: 3\r\nConnection: Content-Length"),
       "POST / @h length=3"},
  }));
}

TEST(RequestParser, KnowsWhenTheConnectionEnds) {
  const auto old = [](std::string_view value) {
    return "GET / HTTP/1.0\r\nHost: h\r\nConnection: " + std::string(value) + "\r\n\r\n";
  };
  check_all(std::to_array<Row>({
      {"9112 9.3", with_fields("Connection: close", "GET"), "GET / @h none close"},
      {"9112 9.3", with_fields("Connection: CLOSE", "GET"), "GET / @h none close"},
      {"9112 9.3", with_fields("Connection: keep-alive", "GET"), "GET / @h none"},
      {"9112 9.3", with_fields("Connection: keep-alive, close", "GET"), "GET / @h none close"},
      {"9112 9.3", with_fields("Connection: x\r\nConnection: close", "GET"), "GET / @h none close"},
      {"9112 9.3", with_fields("Connection: closed", "GET"), "GET / @h none"},
      {"9112 9.3", old("keep-alive"), "GET / @h none 1.0"},
      {"9112 9.3", old("Keep-Alive, close"), "GET / @h none 1.0 close"},
      {"9112 9.3", old("x"), "GET / @h none 1.0 close"},
      {"9110 5.6.1", with_fields("Connection: ,, close ,", "GET"), "GET / @h none close"},
      {"9110 5.6.1", with_fields("Connection:", "GET"), "GET / @h none"},
      {"9110 7.6.1", with_fields("Connection: a b", "GET"), "400"},
      {"9110 7.6.1", with_fields("Connection: \"close\"", "GET"), "400"},
      {"9110 7.6.1", with_fields("Connection: close;x", "GET"), "400"},
      {"9112 C.2.2", with_fields("Proxy-Connection: close", "GET"), "GET / @h none"},
  }));
}

TEST(RequestParser, HearsUpgradesButNotH2c) {
  const auto ask = [](std::string_view upgrade, std::string_view connection = "Upgrade") {
    return with_fields(
        "Upgrade: " + std::string(upgrade) + "\r\nConnection: " + std::string(connection), "GET");
  };
  check_all(std::to_array<Row>({
      {"9110 7.8", ask("websocket"), "GET / @h none upgrade"},
      {"9110 7.8", ask("WebSocket", "keep-alive, upgrade"), "GET / @h none upgrade"},
      {"9110 7.8", ask("foo/2, bar"), "GET / @h none upgrade"},
      {"9110 7.8", ask("websocket", "keep-alive"), "GET / @h none"},
      {"9110 7.8", with_fields("Upgrade: websocket", "GET"), "GET / @h none"},
      {"9110 7.8", with_fields("Connection: upgrade", "GET"), "GET / @h none"},
      {"9110 7.8",
       "GET / HTTP/1.0\r\nUpgrade: websocket\r\nConnection: upgrade, keep-alive\r\n\r\n",
       "GET / @ none 1.0"},
      {"9110 7.8", ask("a b"), "GET / @h none"},
      {"9110 7.8", ask(""), "GET / @h none"},
      {"9113 3.1", ask("h2c", "Upgrade, HTTP2-Settings"), "GET / @h none"},
      {"9113 3.1", ask("H2C"), "GET / @h none"},
      {"9113 3.1", ask("websocket, h2c"), "GET / @h none"},
      {"9113 3.1", ask("websocket\r\nUpgrade: h2c"), "GET / @h none"},
  }));
}

TEST(RequestParser, KnowsOneExpectation) {
  const auto expect = [](std::string_view value) {
    return with_fields("Content-Length: 3\r\nExpect: " + std::string(value));
  };
  check_all(std::to_array<Row>({
      {"9110 10.1.1", expect("100-continue"), "POST / @h length=3 expect"},
      {"9110 10.1.1", expect("100-Continue"), "POST / @h length=3 expect"},
      {"9110 10.1.1", expect("100-continue, 100-continue"), "POST / @h length=3 expect"},
      {"9110 10.1.1", expect(""), "POST / @h length=3"},
      {"9110 10.1.1", expect("100-continued"), "417"},
      {"9110 10.1.1", expect("200-ok"), "417"},
      {"9110 10.1.1", expect("100-continue, x"), "417"},
      {"9110 10.1.1", expect("100-continue;a=b"), "417"},
      {"9110 10.1.1", expect("100-continue\r\nExpect: x"), "417"},
      {"9110 10.1.1", with_fields("Transfer-Encoding: chunked\r\nExpect: 100-continue"),
       "POST / @h chunked expect"},
      {"9110 10.1.1", with_fields("Expect: 100-continue", "GET"), "GET / @h none"},
      {"9110 10.1.1", "POST / HTTP/1.0\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n",
       "POST / @ length=3 1.0 close"},
  }));
}

TEST(RequestParser, CountsForwardsAndSeesLoops) {
  const auto options = [](std::string_view fields) { return with_fields(fields, "OPTIONS"); };
  const auto via = [](std::string_view value) {
    return with_fields("Via: " + std::string(value), "GET");
  };
  check_all(std::to_array<Row>({
      {"9110 7.6.2", options("Max-Forwards: 3"), "OPTIONS / @h none max-forwards=3"},
      {"9110 7.6.2", options("Max-Forwards: 0"), "OPTIONS / @h none max-forwards=0"},
      {"9110 7.6.2", with_fields("Max-Forwards: 10", "TRACE"), "TRACE / @h none max-forwards=10"},
      {"9110 7.6.2", with_fields("Max-Forwards: 10", "GET"), "GET / @h none"},
      {"9110 7.6.2", with_fields("Max-Forwards: x", "GET"), "GET / @h none"},
      {"9110 7.6.2", options("Max-Forwards: 99999999999999999999999"),
       "OPTIONS / @h none max-forwards=2147483647"},
      {"9110 7.6.2", options("Max-Forwards: -1"), "400"},
      {"9110 7.6.2", options("Max-Forwards: 1, 1"), "400"},
      {"9110 7.6.2", options("Max-Forwards:"), "400"},
      {"9110 7.6.2", options("Max-Forwards: 1\r\nMax-Forwards: 1"), "400"},
      {"9110 7.6.3", via("1.1 us-1"), "508"},
      {"9110 7.6.3", via("1.0 a, 1.1 us-1 (x, y)"), "508"},
      {"9110 7.6.3", via("1.1 a\r\nVia: HTTP/1.1 \t us-1"), "508"},
      {"9110 7.6.3", via("1.1 us-1(comment)"), "508"},
      {"9110 7.6.3", via("1.1 us-2"), "GET / @h none"},
      {"9110 7.6.3", via("1.1 us-11, 1.1 us"), "GET / @h none"},
      {"9110 7.6.3", via("1.1 a (, 1.1 us-1)"), "GET / @h none"},
      {"9110 7.6.3", via("1.1 a (\\), 1.1 us-1 )"), "GET / @h none"},
      {"9110 7.6.3", via("us-1"), "GET / @h none"},
      {"9110 7.6.3", via("1.1"), "GET / @h none"},
      {"9110 7.6.3", via(""), "GET / @h none"},
      {"9110 7.6.3", via("(((("), "GET / @h none"},
      {"9110 7.6.3", via("\\"), "GET / @h none"},
  }));
}

// A request of exactly `size` bytes whose target, or else a field, fills what is left.
std::string request_of(std::size_t size, bool long_target) {
  const std::string fill_target = "GET /", after_target = " HTTP/1.1\r\nHost: h\r\n";
  const std::string fill_field = "A: ", end = "\r\n\r\n";
  const std::size_t fixed =
      fill_target.size() + after_target.size() + fill_field.size() + end.size();
  const std::string fill(size - fixed, 'x');
  return long_target ? fill_target + fill + after_target + fill_field + end
                     : fill_target + after_target + fill_field + fill + end;
}

TEST(RequestParser, LimitsAreExact) {
  const ParseLimits limits{100};
  const std::string line_ok = "GET / @h none";
  check({"9112 3", request_of(100, false), line_ok}, limits);
  check({"9112 5", request_of(101, false), "431"}, limits);
  check({"9112 5", request_of(120, false), "431"}, limits);
  check({"9110 4.1", request_of(101, true), "431"}, limits);  // the line itself fits
  check({"9110 4.1", request_of(116, true), "431"}, limits);  // its CRLF ends at byte 100
  check({"9110 4.1", request_of(117, true), "414"}, limits);
  check({"9110 4.1", request_of(500, true), "414"}, limits);
  check({"9110 4.1", std::string(100, 'G'), "more"}, limits);
  check({"9112 3", std::string(101, 'G'), "501"}, limits);
  check({"9112 5", "GET / HTTP/1.1\r\nHost: h\r\nA:" + std::string(73, ' '), "more"}, limits);
  check({"9112 5", "GET / HTTP/1.1\r\nHost: h\r\nA:" + std::string(74, ' '), "431"}, limits);
}

TEST(RequestParser, SaysWhichRuleIsBroken) {
  struct FaultRow {
    std::string bytes;
    MessageFault fault;
  };
  const auto field = [](std::string_view line) { return with_fields(line); };
  for (const FaultRow& row : {
           FaultRow{"GET  / HTTP/1.1\r\n", MessageFault::kRequestLine},
           FaultRow{"GET / HTTP/1.x\r\n", MessageFault::kRequestLine},
           FaultRow{std::string("\x16\x03\x01\x02\x00\x01", 6), MessageFault::kTls},
           FaultRow{"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n", MessageFault::kProxyHeader},
           FaultRow{"GET ftp HTTP/1.1\r\n", MessageFault::kTarget},
           FaultRow{"GET * HTTP/1.1\r\n", MessageFault::kTarget},
           FaultRow{field("A : b"), MessageFault::kFieldLine},
           FaultRow{"GET / HTTP/1.1\r\nA: b\r\n\r\n", MessageFault::kNoHost},
           FaultRow{field("Host: h"), MessageFault::kManyHosts},
           FaultRow{"GET / HTTP/1.1\r\nHost: a b\r\n\r\n", MessageFault::kHost},
           FaultRow{field("Content-Length: 1\r\nTransfer-Encoding: chunked"),
                    MessageFault::kFraming},
           FaultRow{field("Transfer-Encoding: gzip"), MessageFault::kCoding},
           FaultRow{field("Content-Length: +1"), MessageFault::kLength},
           FaultRow{field("Connection: a b"), MessageFault::kConnection},
           FaultRow{with_fields("Content-Length: 1", "TRACE"), MessageFault::kTraceBody},
           FaultRow{with_fields("Max-Forwards: x", "OPTIONS"), MessageFault::kMaxForwards},
       }) {
    SCOPED_TRACE(test::printable(row.bytes));
    RequestParser parser;
    RequestHead head;
    ASSERT_EQ(parser.parse(row.bytes, kLimits, head), ParseStatus::kError);
    EXPECT_EQ(parser.error().reason, RejectReason::kBadRequest);
    EXPECT_EQ(parser.error().fault, row.fault) << describe(parser.error().fault);
  }
}

TEST(RequestParser, LimitsTheNumberOfFields) {
  std::string most = "GET / HTTP/1.1\r\nHost: h\r\n";
  for (std::size_t i = 1; i < kMaxFields; ++i) most += "A:b\r\n";
  RequestParser parser;
  RequestHead head;
  EXPECT_EQ(parser.parse(most + "\r\n", kLimits, head), ParseStatus::kComplete);
  EXPECT_EQ(head.field_count, kMaxFields);
  parser.reset();
  EXPECT_EQ(parser.parse(most + "A:b\r\n\r\n", kLimits, head), ParseStatus::kError);
  EXPECT_EQ(parser.error().reason, RejectReason::kHeaderTooLarge);
}

TEST(RequestParser, LimitsWhatConnectionMayName) {
  std::string list = "Connection: a";
  for (int i = 0; i < 63; ++i) list += ",a";
  check({"9110 7.6.1", with_fields(list, "GET"), "GET / @h none"});
  check({"9110 7.6.1", with_fields(list + ",a", "GET"), "400"});
}

TEST(RequestParser, SaysSoAsSoonAsTheBytesShowIt) {
  struct EarlyRow {
    std::string begin;  // the last byte of it is wrong
    int status;
  };
  const EarlyRow rows[] = {
      {"\x16", 400},
      {"\n", 400},
      {"\rG", 400},
      {"GET\r", 400},
      {"GET  ", 400},
      {"GET /#", 400},
      {"GET /\r", 400},
      {"GET / X", 400},
      {"GET / HTTP/1.1\n", 400},
      {"GET / HTTP/1.12", 400},
      {"GET / HTTP/2.0\r\n", 505},
      {"GET * HTTP/1.1\r\n", 400},
      {"CONNECT a:1 HTTP/1.1\r\n", 405},
      {"GET / HTTP/1.1\r\n ", 400},
      {"GET / HTTP/1.1\r\n:", 400},
      {"GET / HTTP/1.1\r\nA ", 400},
      {"GET / HTTP/1.1\r\nA: b\x01", 400},
      {"GET / HTTP/1.1\r\nA: b\n", 400},
      {"GET / HTTP/1.1\r\nA: b\rc", 400},
      {"GET / HTTP/1.1\r\nA: b\r\n ", 400},
      {"GET / HTTP/1.1\r\n\rx", 400},
  };
  for (const EarlyRow& row : rows) {
    check({"9112 2.2", row.begin, std::to_string(row.status)});
    check({"9112 2.2", row.begin.substr(0, row.begin.size() - 1), "more"});
  }
}

TEST(RequestParser, StopsWhereTheHeadEnds) {
  const std::string first = crlf("POST /a HTTP/1.1\nHost: h\nContent-Length: 2\n\n");
  const std::string bytes = first + "hiGET /b HTTP/1.1\r\nbroken\n";
  for (const auto& arrivals : test::every_arrival(bytes.size())) {
    RequestParser parser;
    RequestHead head;
    for (const std::size_t end : arrivals) {
      if (parser.parse(std::string_view(bytes).substr(0, end), kLimits, head) !=
          ParseStatus::kIncomplete) {
        break;
      }
    }
    ASSERT_EQ(summary(head), "POST /a @h length=2");
    ASSERT_EQ(head.size, first.size());
  }
}

TEST(RequestParser, CountsAnIgnoredEmptyLineToTheHead) {
  const std::string bytes = "\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\nGET";
  RequestParser parser;
  RequestHead head;
  ASSERT_EQ(parser.parse(bytes, kLimits, head), ParseStatus::kComplete);
  EXPECT_EQ(head.bytes, bytes.data());
  EXPECT_EQ(head.size, bytes.size() - 3);
  EXPECT_EQ(head.method, "GET");
}

TEST(RequestParser, ParsesOneRequestAfterAnother) {
  RequestParser parser;
  RequestHead head;
  const std::string first = with_fields("Content-Length: 3\r\nConnection: close");
  const std::string second = with_fields("A: b", "GET");
  ASSERT_EQ(parser.parse(first, kLimits, head), ParseStatus::kComplete);
  parser.reset();
  ASSERT_EQ(parser.parse(second, kLimits, head), ParseStatus::kComplete);
  EXPECT_EQ(summary(head), "GET / @h none");
  EXPECT_EQ(head.field_count, 2u);
}

TEST(RequestParser, StaysRefused) {
  RequestParser parser;
  RequestHead head;
  const std::string good = with_fields("A: b");
  ASSERT_EQ(parser.parse("\n", kLimits, head), ParseStatus::kError);
  EXPECT_EQ(parser.parse(good, kLimits, head), ParseStatus::kError);
  parser.reset();
  EXPECT_EQ(parser.parse(good, kLimits, head), ParseStatus::kComplete);
}

TEST(RequestParser, KnowsWhatMayBeSentTwice) {
  for (const char* method : {"GET", "HEAD", "PUT", "DELETE", "OPTIONS", "TRACE"}) {
    RequestParser parser;
    RequestHead head;
    const std::string bytes = with_fields("A: b", method);
    ASSERT_EQ(parser.parse(bytes, kLimits, head), ParseStatus::kComplete);
    EXPECT_TRUE(head.is_idempotent) << method;
    EXPECT_EQ(head.is_safe, method != "PUT"s && method != "DELETE"s) << method;
    EXPECT_EQ(head.is_head, method == "HEAD"s);
  }
  for (const char* method : {"POST", "PATCH", "get", "LOCK"}) {
    RequestParser parser;
    RequestHead head;
    const std::string bytes = with_fields("A: b", method);
    ASSERT_EQ(parser.parse(bytes, kLimits, head), ParseStatus::kComplete);
    EXPECT_FALSE(head.is_idempotent || head.is_safe) << method;
  }
}

}  // namespace
}  // namespace ringmaster
