// What the response parser accepts, as what, and what it refuses (which makes a 502): a row a case.
#include <gtest/gtest.h>

#include <array>
#include <memory>
#include <string>

#include "tests/unit/http/piecewise.h"
#include "worker/http/parser.h"

namespace ringmaster {
namespace {

using namespace std::string_literals;  // bytes with a NUL among them

struct Row {
  const char* rfc;
  std::string bytes;
  std::string expected;  // "502", "more", or what summary() makes of the head
  bool to_head = false;
};

std::string body_of(const ResponseHead& head) {
  switch (head.framing) {
    case BodyFraming::kNone:
      return head.content_length == 0 ? "none" : "none of " + std::to_string(head.content_length);
    case BodyFraming::kLength:
      return "length=" + std::to_string(head.content_length);
    case BodyFraming::kChunked:
      return "chunked";
    case BodyFraming::kUntilClose:
      return "until-close";
  }
  return "?";
}

// "200 (OK) body" and what is out of the ordinary.
std::string summary(const ResponseHead& head) {
  std::string text = std::to_string(head.status) + " (" + std::string(head.reason) + ") ";
  text += body_of(head);
  if (head.version == HttpVersion::k10) text += " 1.0";
  if (!head.keep_alive) text += " close";
  if (head.wants_upgrade) text += " upgrade";
  return text;
}

constexpr ParseLimits kLimits{16384};

std::string repeated(std::string_view text, int times) {
  std::string all;
  for (int i = 0; i < times; ++i) all += text;
  return all;
}

std::string parse_as_it_arrives(std::string_view bytes, bool to_head,
                                const test::Arrivals& arrivals, const ParseLimits& limits) {
  ResponseParser parser;
  for (const std::size_t end : arrivals) {
    // Another one in each call, as a worker may use one for all its connections.
    const auto head = std::make_unique<ResponseHead>();
    const auto status = parser.parse(bytes.substr(0, end), limits, to_head, *head);
    if (status == ParseStatus::kError) return "502";
    if (status == ParseStatus::kComplete) return summary(*head);
  }
  return "more";
}

void check(const Row& row, const ParseLimits& limits = kLimits) {
  SCOPED_TRACE(std::string(row.rfc) + " " + test::printable(row.bytes));
  const test::ExactBytes bytes(row.bytes);
  for (const auto& arrivals : test::every_arrival(row.bytes.size())) {
    ASSERT_EQ(parse_as_it_arrives(bytes.view(), row.to_head, arrivals, limits), row.expected)
        << "in " << arrivals.size() << " parts, the first of " << arrivals.front() << " bytes";
  }
}

template <class Rows>
void check_all(const Rows& rows) {
  for (const Row& row : rows) check(row);
}

std::string with_fields(std::string_view fields, std::string_view status = "200 OK",
                        std::string_view version = "1.1") {
  return "HTTP/" + std::string(version) + " " + std::string(status) + "\r\n" + std::string(fields) +
         "\r\n\r\n";
}

TEST(ResponseParser, ReadsStatusLinesExactly) {
  check_all(std::to_array<Row>({
      {"9112 4", "HTTP/1.1 200 OK\r\n\r\n", "200 (OK) until-close close"},
      {"9112 4", "HTTP/1.1 200 \r\n\r\n", "200 () until-close close"},
      {"9112 4", "HTTP/1.1 200\r\n\r\n", "200 () until-close close"},
      {"9112 4", "HTTP/1.1 404 Not  Found\there \r\n\r\n",
       "404 (Not  Found\there ) until-close close"},
      {"9112 4", "HTTP/1.1 200 \xc3\xa4\xff\r\n\r\n", "200 (\xc3\xa4\xff) until-close close"},
      {"9112 4", "HTTP/1.0 200 OK\r\n\r\n", "200 (OK) until-close 1.0 close"},
      {"9110 2.5", "HTTP/1.7 200 OK\r\n\r\n", "200 (OK) until-close close"},
      {"9110 15", "HTTP/1.1 599 x\r\n\r\n", "599 (x) until-close close"},
      {"9110 15", "HTTP/1.1 100 Continue\r\n\r\n", "100 (Continue) none"},
      {"9110 15", "HTTP/1.1 099 x\r\n\r\n", "502"},
      {"9110 15", "HTTP/1.1 000 x\r\n\r\n", "502"},
      {"9110 15", "HTTP/1.1 600 x\r\n\r\n", "502"},
      {"9110 15", "HTTP/1.1 999 x\r\n\r\n", "502"},
      {"9112 4", "HTTP/1.1 20 OK\r\n\r\n", "502"},
      {"9112 4", "HTTP/1.1 2000 OK\r\n\r\n", "502"},
      {"9112 4", "HTTP/1.1 2x0 OK\r\n\r\n", "502"},
      {"9112 4", "HTTP/1.1 -20 OK\r\n\r\n", "502"},
      {"9112 4", "HTTP/1.1 OK\r\n\r\n", "502"},
      {"9112 4", "HTTP/1.1\r\n\r\n", "502"},
      {"9112 4", "HTTP/1.1  200 OK\r\n\r\n", "502"},
      {"9112 4", "HTTP/1.1\t200 OK\r\n\r\n", "502"},
      {"9112 4", "HTTP/1.1 200\tOK\r\n\r\n", "502"},
      {"9112 4", "HTTP/1.1 200OK\r\n\r\n", "502"},
      {"9112 4", "HTTP/1.1 200 O\0K\r\n\r\n"s, "502"},
      {"9112 4", "HTTP/1.1 200 O\x01K\r\n\r\n", "502"},
      {"9112 4", "HTTP/1.1 200 O\x7fK\r\n\r\n", "502"},
      {"9112 2.2", "HTTP/1.1 200 OK\n\r\n", "502"},
      {"9112 2.2", "HTTP/1.1 200 OK\rX\r\n\r\n", "502"},
      {"9112 2.2", "HTTP/1.1 200\n\r\n", "502"},
      {"9112 2.2", "HTTP/1.1 200\rX\n\r\n", "502"},
      {"9112 2.2", "\r\nHTTP/1.1 200 OK\r\n\r\n", "502"},
      {"9112 2.2", " HTTP/1.1 200 OK\r\n\r\n", "502"},
      {"9112 2.3", "http/1.1 200 OK\r\n\r\n", "502"},
      {"9112 2.3", "HTTP/2.0 200 OK\r\n\r\n", "502"},
      {"9112 2.3", "HTTP/0.9 200 OK\r\n\r\n", "502"},
      {"9112 2.3", "HTTP/11 200 OK\r\n\r\n", "502"},
      {"9112 2.3", "HTTP/1.10 200 OK\r\n\r\n", "502"},
      {"9112 2.3", "HTTP/1.x 200 OK\r\n\r\n", "502"},
      {"9112 4", "ICY 200 OK\r\n\r\n", "502"},
      {"9112 4", "<html>", "502"},
      {"9112 4", "\0\0"s, "502"},
      {"9112 4", "SSH-2.0-OpenSSH\r\n", "502"},
      {"9112 4", "GET / HTTP/1.1\r\nHost: h\r\n\r\n", "502"},
      {"9112 4", "HTTP/1.1 200 OK", "more"},
      {"9112 4", "HTTP/1.1 200 OK\r\nA: b\r\n", "more"},
  }));
}

TEST(ResponseParser, AccountsForEveryByteOfTheFields) {
  const std::string ok = "200 (OK) length=3";
  const auto with = [](std::string_view fields) {
    return with_fields(std::string(fields) + "\r\nContent-Length: 3");
  };
  check_all(std::to_array<Row>({
      {"9112 5", with("A:b"), ok},
      {"9112 5", with("A:"), ok},
      {"9112 5", with("Set-Cookie: a\r\nSet-Cookie: b"), ok},
      {"9110 5.5", with("A: \x80\xff\tb"), ok},
      {"9112 5.1", with("A : b"), "502"},
      {"9112 5.1", with("Content-Length : 3"), "502"},
      {"9112 5.1", with(": b"), "502"},
      {"9112 5.1", with("A"), "502"},
      {"9112 5.1", with("A b: c"), "502"},
      {"9112 5.1", with("A\x80: c"), "502"},
      {"9110 5.5", with("A: \0"s), "502"},
      {"9110 5.5", with("A: b\x02"), "502"},
      {"9110 5.5", with("A: b\x7f"), "502"},
      {"9110 5.5", with("A: b\rc"), "502"},
      {"9112 2.2", with("A: b\nC: d"), "502"},
      {"9112 5.2", with("A: b\r\n c"), "502"},
      {"9112 5.2", with("A:\r\n\tc"), "502"},
      {"9112 2.2", "HTTP/1.1 200 OK\r\n A: b\r\n\r\n", "502"},
      {"9112 2.2", "HTTP/1.1 200 OK\r\nA: b\r\n\n", "502"},
      {"9112 2.2", "HTTP/1.1 200 OK\r\nA: b\n\n", "502"},
  }));
}

TEST(ResponseParser, FindsTheFramingOrRefuses) {
  check_all(std::to_array<Row>({
      {"9112 6.3", with_fields("A: b"), "200 (OK) until-close close"},
      {"9112 6.3", with_fields("Connection: keep-alive"), "200 (OK) until-close close"},
      {"9112 6.3", with_fields("Content-Length: 0"), "200 (OK) length=0"},
      {"9112 6.3", with_fields("Content-Length: 42"), "200 (OK) length=42"},
      {"9112 6.3", with_fields("Content-Length: 5\r\nContent-Length: 5"), "200 (OK) length=5"},
      {"9112 6.3", with_fields("Content-Length: 5, 5 ,05"), "200 (OK) length=5"},
      {"9112 6.3", with_fields("Content-Length: 5\r\nContent-Length: 6"), "502"},
      {"9112 6.3", with_fields("Content-Length: 5, 6"), "502"},
      {"9112 6.3", with_fields("Content-Length: 5,"), "502"},
      {"9112 6.3", with_fields("Content-Length: ,5"), "502"},
      {"9112 6.3", with_fields("Content-Length:"), "502"},
      {"9112 6.3", with_fields("Content-Length: 5\r\nContent-Length:"), "502"},
      {"9112 6.3", with_fields("Content-Length: +5"), "502"},
      {"9112 6.3", with_fields("Content-Length: -5"), "502"},
      {"9112 6.3", with_fields("Content-Length: 0x5"), "502"},
      {"9112 6.3", with_fields("Content-Length: 5 5"), "502"},
      {"9112 6.3", with_fields("Content-Length: abc"), "502"},
      {"9112 6.3", with_fields("Content-Length: 9223372036854775807"),
       "200 (OK) length=9223372036854775807"},
      {"9112 6.3", with_fields("Content-Length: 9223372036854775808"), "502"},
      {"9112 6.3", with_fields("Content-Length: 18446744073709551616"), "502"},
      {"9112 6.3", with_fields("Transfer-Encoding: chunked"), "200 (OK) chunked"},
      {"9112 6.3", with_fields("Transfer-Encoding: CHUNKED"), "200 (OK) chunked"},
      {"9112 6.3", with_fields("Transfer-Encoding: gzip, chunked"), "502"},
      {"9112 6.3", with_fields("Transfer-Encoding: gzip"), "502"},
      {"9112 6.3", with_fields("Transfer-Encoding: identity"), "502"},
      {"9112 6.3", with_fields("Transfer-Encoding: chunked, identity"), "502"},
      {"9112 6.3", with_fields("Transfer-Encoding:"), "502"},
      {"9112 6.3", with_fields("Transfer-Encoding: ,chunked"), "502"},
      {"9112 6.3", with_fields("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked"), "502"},
      {"9112 6.3", with_fields("Transfer-Encoding: xchunked"), "502"},
      {"9112 6.3", with_fields("Transfer-Encoding: chunked\r\nContent-Length: 5"), "502"},
      {"9112 6.3", with_fields("Content-Length: 5\r\nTransfer-Encoding: chunked"), "502"},
      {"9112 6.1", with_fields("Transfer-Encoding: chunked", "200 OK", "1.0"), "502"},
  }));
}

TEST(ResponseParser, KnowsWhatNeverHasABody) {
  check_all(std::to_array<Row>({
      {"9112 6.3", with_fields("Content-Length: 5"), "200 (OK) none of 5", true},
      {"9112 6.3", with_fields("Transfer-Encoding: chunked"), "200 (OK) none", true},
      {"9112 6.3", with_fields("A: b"), "200 (OK) none", true},
      {"9112 6.3", with_fields("Content-Length: 5, 6"), "502", true},
      {"9112 6.3", with_fields("Content-Length: 5\r\nTransfer-Encoding: chunked"), "502", true},
      {"9110 15.4.5", with_fields("Content-Length: 5", "304 Not Modified"),
       "304 (Not Modified) none of 5"},
      {"9110 15.4.5", with_fields("Transfer-Encoding: chunked", "304 x"), "304 (x) none"},
      {"9110 15.3.5", with_fields("A: b", "204 No Content"), "204 (No Content) none"},
      {"9110 15.3.5", with_fields("Content-Length: 5", "204 x"), "204 (x) none of 5 close"},
      {"9112 6.1", with_fields("Transfer-Encoding: chunked", "204 x"), "502"},
      {"9112 6.1", with_fields("Transfer-Encoding: chunked", "100 x"), "502"},
      {"9112 6.1", with_fields("Transfer-Encoding: chunked", "101 x"), "502"},
      {"9110 15.2", with_fields("Link: </s.css>", "103 Early Hints"), "103 (Early Hints) none"},
      {"9110 15.2", with_fields("Content-Length: 0", "102 x"), "102 (x) none"},
      {"9110 15.3.6", with_fields("Content-Length: 0", "205 x"), "205 (x) length=0"},
      {"9110 15.2.2", with_fields("Upgrade: websocket\r\nConnection: Upgrade", "101 x"),
       "101 (x) none upgrade"},
      {"9110 15.2.2", with_fields("Upgrade: websocket", "101 x"), "101 (x) none"},
      {"9110 15.2.2", with_fields("Connection: upgrade", "101 x"), "101 (x) none"},
  }));
}

TEST(ResponseParser, KnowsWhenTheConnectionEnds) {
  const auto with = [](std::string_view connection, std::string_view version = "1.1") {
    return with_fields("Content-Length: 1\r\nConnection: " + std::string(connection), "200 OK",
                       version);
  };
  check_all(std::to_array<Row>({
      {"9112 9.3", with("close"), "200 (OK) length=1 close"},
      {"9112 9.3", with("x, Close"), "200 (OK) length=1 close"},
      {"9112 9.3", with("keep-alive"), "200 (OK) length=1"},
      {"9112 9.3", with("keep-alive", "1.0"), "200 (OK) length=1 1.0"},
      {"9112 9.3", with("x", "1.0"), "200 (OK) length=1 1.0 close"},
      {"9112 9.3", with_fields("Content-Length: 1", "200 OK", "1.0"),
       "200 (OK) length=1 1.0 close"},
      {"9110 7.6.1", with("a b"), "200 (OK) length=1 close"},  // sound but for this: not reused
  }));
  // More names than are looked up: some field of one hop would get by.
  std::string options = "a";
  for (int i = 1; i < 64; ++i) options += ",a";
  check({"9110 7.6.1", with(options), "200 (OK) length=1"});
  check({"9110 7.6.1", with(options + ",a"), "502"});
}

TEST(ResponseParser, LimitsAreExact) {
  const ParseLimits limits{60};
  const std::string begin = "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nA: ";
  const auto of = [&](std::size_t size) {
    return begin + std::string(size - begin.size() - 4, 'x') + "\r\n\r\n";
  };
  check({"9112 5", of(60), "200 (OK) length=1"}, limits);
  check({"9112 5", of(61), "502"}, limits);
  check({"9112 4", "HTTP/1.1 200 " + std::string(47, 'x'), "more"}, limits);
  check({"9112 4", "HTTP/1.1 200 " + std::string(48, 'x'), "502"}, limits);
}

TEST(ResponseParser, StaysRefused) {
  ResponseParser parser;
  ResponseHead head;
  const std::string good = with_fields("Content-Length: 1");
  ASSERT_EQ(parser.parse("\n", kLimits, false, head), ParseStatus::kError);
  EXPECT_EQ(parser.parse(good, kLimits, false, head), ParseStatus::kError);
  parser.reset();
  EXPECT_EQ(parser.parse(good, kLimits, false, head), ParseStatus::kComplete);
}

TEST(ResponseParser, StopsWhereTheHeadEnds) {
  const std::string head_bytes = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n";
  const std::string bytes = head_bytes + "hiHTTP/1.1 what\n";
  ResponseParser parser;
  ResponseHead head;
  ASSERT_EQ(parser.parse(bytes, kLimits, false, head), ParseStatus::kComplete);
  EXPECT_EQ(head.size, head_bytes.size());
}

TEST(ResponseParser, SaysWhatIsWrong) {
  const std::string head = "HTTP/1.1 200 OK\r\n";
  const std::pair<std::string, AnswerFault> rows[] = {
      {"HTTP/2 200\r\n\r\n", AnswerFault::kStatusLine},
      {"HTTP/1.1 600 X\r\n\r\n", AnswerFault::kStatusLine},
      {"HTTP/1.1 200 \x01\r\n\r\n", AnswerFault::kStatusLine},
      {"\x15\x03\x03\x00\x02\x02\x46"s, AnswerFault::kTls},
      {head + "A : b\r\n\r\n", AnswerFault::kFieldLine},
      {head + "A: " + std::string(20'000, 'x'), AnswerFault::kHeadTooLong},
      {head + repeated("A: b\r\n", 300) + "\r\n", AnswerFault::kHeadTooLong},
      {head + "Transfer-Encoding: gzip\r\n\r\n", AnswerFault::kFraming},
      {head + "Content-Length: 1\r\nContent-Length: 2\r\n\r\n", AnswerFault::kLength},
      {head + "Connection: " + repeated("a,", 300) + "b\r\n\r\n", AnswerFault::kConnection},
  };
  for (const auto& [bytes, fault] : rows) {
    ResponseParser parser;
    const auto parsed = std::make_unique<ResponseHead>();
    EXPECT_EQ(parser.parse(bytes, kLimits, false, *parsed), ParseStatus::kError) << bytes;
    EXPECT_EQ(describe(parser.fault()), describe(fault)) << bytes;
  }
}

}  // namespace
}  // namespace ringmaster
