// Where bodies end, in every framing, and what of the chunked coding is refused: a row a case.
#include <gtest/gtest.h>

#include <array>
#include <string>

#include "tests/unit/http/piecewise.h"
#include "worker/http/framing.h"

namespace ringmaster {
namespace {

using namespace std::string_literals;  // bytes with a NUL among them
using Status = BodyDecoder::Status;

// All that a decoder made of some input.
struct Outcome {
  std::string data;
  std::string trailers;
  std::size_t consumed = 0;
  Status status = Status::kMore;
};

// Takes `input` in as a relay does: piece after piece, until nothing is left or the body is over.
void decode(BodyDecoder& decoder, std::string_view input, Outcome& so_far) {
  while (so_far.status == Status::kMore) {
    const auto piece = decoder.next(input);
    so_far.data += piece.data;
    so_far.trailers += piece.trailer;
    so_far.consumed += piece.consumed;
    so_far.status = piece.status;
    input.remove_prefix(piece.consumed);
    if (input.empty()) break;
  }
}

Outcome decode_as_it_arrives(BodyFraming framing, std::uint64_t length, std::string_view bytes,
                             const test::Arrivals& arrivals) {
  BodyDecoder decoder;
  decoder.start(framing, length);
  Outcome outcome;
  std::size_t begin = 0;
  for (const std::size_t end : arrivals) {
    // A copy that dies after the call: nothing may depend on earlier input.
    const test::ExactBytes input(bytes.substr(begin, end - begin));
    decode(decoder, input.view(), outcome);
    begin = end;
  }
  EXPECT_EQ(decoder.is_done(), outcome.status == Status::kDone);
  return outcome;
}

struct Row {
  const char* rfc;
  std::string bytes;
  std::string expected;  // the data, or "!" where the coding is broken, or data and "…" for more
  std::string trailers = "";
};

std::string told(const Outcome& outcome) {
  switch (outcome.status) {
    case Status::kMore:
      return outcome.data + "…";
    case Status::kDone:
      return outcome.data;
    case Status::kError:
      return "!";
  }
  return "?";
}

void check_chunked(const Row& row) {
  SCOPED_TRACE(std::string(row.rfc) + " " + test::printable(row.bytes));
  for (const auto& arrivals : test::every_arrival(row.bytes.size())) {
    const auto outcome = decode_as_it_arrives(BodyFraming::kChunked, 0, row.bytes, arrivals);
    ASSERT_EQ(told(outcome), row.expected) << "cut at " << arrivals.front();
    if (outcome.status == Status::kError) continue;
    ASSERT_EQ(outcome.consumed, row.bytes.size()) << "cut at " << arrivals.front();
    ASSERT_EQ(outcome.trailers, row.trailers) << "cut at " << arrivals.front();
  }
}

template <class Rows>
void check_all(const Rows& rows) {
  for (const Row& row : rows) check_chunked(row);
}

TEST(ChunkedBody, HandsOutItsData) {
  check_all(std::to_array<Row>({
      {"9112 7.1", "0\r\n\r\n", ""},
      {"9112 7.1", "5\r\nhello\r\n0\r\n\r\n", "hello"},
      {"9112 7.1", "5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n", "hello world"},
      {"9112 7.1", "a\r\n0123456789\r\n0\r\n\r\n", "0123456789"},
      {"9112 7.1", "A\r\n0123456789\r\n000\r\n\r\n", "0123456789"},
      {"9112 7.1", "0000000000000003\r\nabc\r\n0\r\n\r\n", "abc"},
      {"9112 7.1", "2\r\n\r\n\r\n0\r\n\r\n", "\r\n"},
      {"9112 7.1", "5\r\n0\r\n\r\n\r\n0\r\n\r\n", "0\r\n\r\n"},
      {"9112 7.1", "1\r\n\0\r\n0\r\n\r\n"s, "\0"s},
      {"9112 7.1", "5\r\nhel", "hel…"},
      {"9112 7.1", "5\r\nhello\r\n0\r\n", "hello…"},
      {"9112 7.1", "5\r\nhello\r\n0\r\n\r", "hello…"},
      {"9112 7.1", "7fffffffffffffff\r\nabc", "abc…"},
  }));
}

TEST(ChunkedBody, RefusesOddSizes) {
  check_all(std::to_array<Row>({
      {"9112 7.1", "\r\n", "!"},
      {"9112 7.1", " 5\r\nhello\r\n0\r\n\r\n", "!"},
      {"9112 7.1", "\t5\r\nhello\r\n0\r\n\r\n", "!"},
      {"9112 7.1", "5 \r\nhello\r\n0\r\n\r\n", "!"},
      {"9112 7.1", "5\t\r\nhello\r\n0\r\n\r\n", "!"},
      {"9112 7.1", "0x5\r\nhello\r\n0\r\n\r\n", "!"},
      {"9112 7.1", "+5\r\nhello\r\n0\r\n\r\n", "!"},
      {"9112 7.1", "-5\r\nhello\r\n0\r\n\r\n", "!"},
      {"9112 7.1", "5g\r\nhello\r\n0\r\n\r\n", "!"},
      {"9112 7.1", "g\r\nhello\r\n0\r\n\r\n", "!"},
      {"9112 7.1", "5,\r\nhello\r\n0\r\n\r\n", "!"},
      {"9112 7.1", "5_0\r\nhello\r\n0\r\n\r\n", "!"},
      {"9112 7.1", "5.0\r\nhello\r\n0\r\n\r\n", "!"},
      {"9112 7.1", "\"5\"\r\nhello\r\n0\r\n\r\n", "!"},
      {"9112 7.1", "5\0\r\nhello\r\n0\r\n\r\n"s, "!"},
      {"9112 7.1", "10000000000000000\r\n", "!"},
      {"9112 7.1", "00000000000000005\r\nhello\r\n0\r\n\r\n", "!"},
      {"9112 7.1", "fffffffffffffffff\r\n", "!"},
      {"9112 7.1", "8000000000000000\r\n", "!"},
      {"9112 7.1", "ffffffffffffffff\r\n", "!"},
      {"9112 7.1", "5\r\nhello\r\n\r\n", "!"},
      {"9112 7.1", "5\r\nhello\r\n 0\r\n\r\n", "!"},
  }));
}

TEST(ChunkedBody, RefusesOddLineEnds) {
  check_all(std::to_array<Row>({
      {"9112 2.2", "5\nhello\r\n0\r\n\r\n", "!"},
      {"9112 2.2", "5\rhello\r\n0\r\n\r\n", "!"},
      {"9112 2.2", "5\r\rhello\r\n0\r\n\r\n", "!"},
      {"9112 2.2", "5\r\nhello\n0\r\n\r\n", "!"},
      {"9112 2.2", "5\r\nhello\r0\r\n\r\n", "!"},
      {"9112 2.2", "5\r\nhello0\r\n\r\n", "!"},
      {"9112 2.2", "5\r\nhelloXX0\r\n\r\n", "!"},
      {"9112 2.2", "5\r\nhelloX\n0\r\n\r\n", "!"},
      {"9112 2.2", "5\r\nhello\r\r\n0\r\n\r\n", "!"},
      {"9112 2.2", "3\r\nhello\r\n0\r\n\r\n", "!"},
      {"9112 2.2", "0\n\r\n", "!"},
      {"9112 2.2", "0\r\n\n", "!"},
      {"9112 2.2", "0\r\n\rX", "!"},
      {"9112 2.2", "0\r\n\r\r\n", "!"},
      {"9112 2.2", "0\r\nX\r\n", "!"},
  }));
}

TEST(ChunkedBody, ChecksAndDropsExtensions) {
  const auto chunk = [](std::string_view extension) {
    return "1" + std::string(extension) + "\r\nx\r\n0\r\n\r\n";
  };
  check_all(std::to_array<Row>({
      {"9112 7.1.1", chunk(";a"), "x"},
      {"9112 7.1.1", chunk(";a=b"), "x"},
      {"9112 7.1.1", chunk(";a=\"b c;\\\"=\""), "x"},
      {"9112 7.1.1", chunk(";a=\"\""), "x"},
      {"9112 7.1.1", chunk(";a;b=c;d"), "x"},
      {"9112 7.1.1", chunk(" ; a = b ; c"), "x"},
      {"9112 7.1.1", chunk("\t;\ta\t=\t\"b\"\t;c"), "x"},
      {"9112 7.1.1", "1\r\nx\r\n0;last=1\r\n\r\n", "x"},
      {"9112 7.1.1", chunk(";"), "!"},
      {"9112 7.1.1", chunk("; "), "!"},
      {"9112 7.1.1", chunk(";;a"), "!"},
      {"9112 7.1.1", chunk(";=b"), "!"},
      {"9112 7.1.1", chunk(";a="), "!"},
      {"9112 7.1.1", chunk(";a=;b"), "!"},
      {"9112 7.1.1", chunk(";a "), "!"},
      {"9112 7.1.1", chunk(";a=b "), "!"},
      {"9112 7.1.1", chunk(";a=b c"), "!"},
      {"9112 7.1.1", chunk(";a b"), "!"},
      {"9112 7.1.1", chunk(";a=\"b"), "!"},
      {"9112 7.1.1", chunk(";a=\"b\"c"), "!"},
      {"9112 7.1.1", chunk(";a=b\"c\""), "!"},
      {"9112 7.1.1", chunk(";a=\"\x01\""), "!"},
      {"9112 7.1.1", chunk(";a=\"\\\x01\""), "!"},
      {"9112 7.1.1", chunk(";a\0"s), "!"},
      {"9112 7.1.1", chunk(";a=\"\xff\""), "x"},
      {"9112 7.1.1", chunk(";a\xff"), "!"},
      {"9112 7.1.1", chunk(";a\nb"), "!"},
      {"9112 7.1.1", chunk(";a\n"), "!"},
      {"9112 7.1.1", chunk(";a=\"\n\""), "!"},
      {"9112 7.1.1", chunk(";a=\"\r\n\""), "!"},
      {"9112 7.1.1", chunk(";a\rb"), "!"},
      {"9112 7.1.1", chunk(" a"), "!"},
      {"9112 7.1.1", chunk(";" + std::string(BodyDecoder::kMaxChunkLine - 4, 'a')), "x"},
      {"9112 7.1.1", chunk(";" + std::string(BodyDecoder::kMaxChunkLine - 3, 'a')), "!"},
      {"9112 7.1.1", "1\r\nx\r\n" + chunk(";" + std::string(BodyDecoder::kMaxChunkLine - 4, 'a')),
       "xx"},
  }));
}

TEST(ChunkedBody, PassesTrailersButNotAllOfThem) {
  const auto trailers = [](std::string_view lines) {
    return "0\r\n" + std::string(lines) + "\r\n";
  };
  check_all(std::to_array<Row>({
      {"9110 6.5", trailers("X-Sum: 1\r\n"), "", "X-Sum: 1\r\n"},
      {"9110 6.5", trailers("A:\r\nB: c \r\n"), "", "A:\r\nB: c \r\n"},
      {"9110 6.5", "3\r\nabc\r\n0\r\nDigest: x\xff\ty\r\n\r\n", "abc", "Digest: x\xff\ty\r\n"},
      {"9110 6.5.1", trailers("Content-Length: 5\r\n"), ""},
      {"9110 6.5.1", trailers("A: b\r\nTransfer-Encoding: chunked\r\nC: d\r\n"), "",
       "A: b\r\nC: d\r\n"},
      {"9110 6.5.1", trailers("hOST: evil\r\n"), ""},
      {"9110 6.5.1", trailers("Content_Length: 5\r\nx_forwarded-for: y\r\n"), ""},
      {"9110 6.5.1", trailers("Authorization: x\r\nCookie: y\r\nSet-Cookie: z\r\n"), ""},
      {"9110 6.5.1", trailers("Proxy-Anything: x\r\nX-Forwarded-For: y\r\nIf-Match: z\r\n"), ""},
      {"9110 6.5.1", trailers("Connection: close\r\nUpgrade: x\r\nTE: x\r\nTrailer: x\r\n"), ""},
      {"9110 6.5.1", trailers("Content-Type: x\r\nCache-Control: y\r\nRange: z\r\n"), ""},
      {"9110 6.5.1", trailers("Via: 1.1 x\r\nForwarded: for=y\r\nMax-Forwards: 1\r\n"), ""},
      {"9110 6.5", trailers(std::string(64, 'n') + ": v\r\n"), "",
       std::string(64, 'n') + ": v\r\n"},
      {"9110 6.5", trailers(std::string(65, 'n') + ": v\r\n"), ""},
      {"9110 6.5", trailers(std::string(300, 'n') + ": v\r\nA: b\r\n"), "", "A: b\r\n"},
      {"9112 5.1", trailers("A : b\r\n"), "!"},
      {"9112 5.1", trailers(": b\r\n"), "!"},
      {"9112 5.1", trailers("A\r\n"), "!"},
      {"9112 5.2", trailers(" A: b\r\n"), "!"},
      {"9112 5.2", trailers("A: b\r\n c\r\n"), "!"},
      {"9110 5.5", trailers("A: b\0\r\n"s), "!"},
      {"9110 5.5", trailers("A: b\x01\r\n"), "!"},
      {"9110 5.5", trailers("Host: b\x01\r\n"), "!"},
      {"9112 2.2", trailers("A: b\n"), "!"},
      {"9112 2.2", trailers("Host: b\n"), "!"},
      {"9112 2.2", trailers("A: b\rc\r\n"), "!"},
      {"9112 2.2", "0\r\nA: b\r\n\n", "!"},
      {"9110 6.5", "0\r\nA: b\r\n", "…", "A: b\r\n"},
      {"9110 6.5", trailers("A:" + std::string(BodyDecoder::kMaxTrailerBytes - 6, 'x') + "\r\n"),
       "", "A:" + std::string(BodyDecoder::kMaxTrailerBytes - 6, 'x') + "\r\n"},
      {"9110 6.5", trailers("A:" + std::string(BodyDecoder::kMaxTrailerBytes - 5, 'x') + "\r\n"),
       "!"},
  }));
}

// What a gathering writer relies on: the pieces of one line stay valid together.
TEST(ChunkedBody, KeepsATrailerUntilItsLineIsWritten) {
  BodyDecoder decoder;
  decoder.start(BodyFraming::kChunked, 0);
  const std::string first = "0\r\nX-S", second = "um: 1\r\nB: c\r\n\r\n";
  ASSERT_EQ(decoder.next(first).consumed, first.size());
  const auto name = decoder.next(second);
  const auto value = decoder.next(std::string_view(second).substr(name.consumed));
  EXPECT_EQ(name.trailer, "X-Sum:");
  EXPECT_EQ(value.trailer, " 1\r\n");
}

TEST(ChunkedBody, LeavesTheNextMessageAlone) {
  const std::string body = "1\r\nx\r\n0\r\n\r\n", bytes = body + "GET / HTTP/1.1\r\n";
  BodyDecoder decoder;
  decoder.start(BodyFraming::kChunked, 0);
  Outcome outcome;
  decode(decoder, bytes, outcome);
  EXPECT_EQ(outcome.status, Status::kDone);
  EXPECT_EQ(outcome.consumed, body.size());
  const auto after = decoder.next("GET");
  EXPECT_EQ(after.status, Status::kDone);
  EXPECT_EQ(after.consumed, 0u);
}

TEST(ChunkedBody, StaysBroken) {
  BodyDecoder decoder;
  decoder.start(BodyFraming::kChunked, 0);
  EXPECT_EQ(decoder.next("x").status, Status::kError);
  EXPECT_EQ(decoder.next("0\r\n\r\n").status, Status::kError);
  EXPECT_EQ(decoder.next("").status, Status::kError);
  decoder.start(BodyFraming::kChunked, 0);
  EXPECT_EQ(decoder.next("0\r\n\r\n").status, Status::kDone);
}

TEST(ChunkedBody, TakesManySmallChunks) {
  std::string bytes;
  for (int i = 0; i < 1000; ++i) bytes += "1;ext=\"" + std::string(200, 'e') + "\"\r\nx\r\n";
  const auto outcome =
      decode_as_it_arrives(BodyFraming::kChunked, 0, bytes + "0\r\n\r\n", {bytes.size() + 5});
  EXPECT_EQ(outcome.status, Status::kDone);
  EXPECT_EQ(outcome.data, std::string(1000, 'x'));
}

TEST(LengthBody, EndsExactly) {
  const std::string bytes = "helloGET";
  for (std::size_t cut = 1; cut < bytes.size(); ++cut) {
    const auto outcome = decode_as_it_arrives(BodyFraming::kLength, 5, bytes, {cut, bytes.size()});
    EXPECT_EQ(outcome.data, "hello");
    EXPECT_EQ(outcome.consumed, 5u);
    EXPECT_EQ(outcome.status, Status::kDone);
  }
}

TEST(LengthBody, KnowsWhatIsMissing) {
  BodyDecoder decoder;
  decoder.start(BodyFraming::kLength, 5);
  EXPECT_EQ(decoder.next("").status, Status::kMore);
  EXPECT_EQ(decoder.next("hel").status, Status::kMore);
  EXPECT_EQ(decoder.remaining(), 2u);
  EXPECT_FALSE(decoder.is_done());
}

TEST(LengthBody, OfNothingIsDoneAtOnce) {
  BodyDecoder decoder;
  decoder.start(BodyFraming::kLength, 0);
  EXPECT_TRUE(decoder.is_done());
  EXPECT_EQ(decoder.next("GET").consumed, 0u);
}

TEST(NoBody, IsDoneAtOnce) {
  BodyDecoder decoder;
  EXPECT_TRUE(decoder.is_done());
  decoder.start(BodyFraming::kNone, 7);
  EXPECT_TRUE(decoder.is_done());
  EXPECT_EQ(decoder.next("x").status, Status::kDone);
  EXPECT_EQ(decoder.next("x").consumed, 0u);
}

TEST(UntilCloseBody, TakesEverything) {
  BodyDecoder decoder;
  decoder.start(BodyFraming::kUntilClose, 0);
  const auto piece = decoder.next("0\r\n\r\n");
  EXPECT_EQ(piece.data, "0\r\n\r\n");
  EXPECT_EQ(piece.consumed, 5u);
  EXPECT_EQ(piece.status, Status::kMore);
}

TEST(ChunkHeader, IsWrittenInHexadecimal) {
  char out[kMaxChunkHeader];
  const auto written = [&](std::uint64_t size) {
    return std::string(out, write_chunk_header(size, out));
  };
  EXPECT_EQ(written(1), "1\r\n");
  EXPECT_EQ(written(0x1a2b), "1a2b\r\n");
  EXPECT_EQ(written(~std::uint64_t{0}), "ffffffffffffffff\r\n");
}

}  // namespace
}  // namespace ringmaster
