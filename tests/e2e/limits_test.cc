// What is too large or breaks the rules is answered with the right status and never reaches a
// backend; what is exactly as large as allowed is served.
#include <gtest/gtest.h>

#include <string>

#include "tests/support/backend.h"
#include "tests/support/ringmaster.h"

namespace ringmaster::test {
namespace {

// A request head of exactly `size` bytes.
std::string head_of_size(std::size_t size) {
  const std::string empty = request_head("GET", "/", "X-Pad: \r\n");
  return request_head("GET", "/", "X-Pad: " + std::string(size - empty.size(), 'x') + "\r\n");
}

TEST(Limits, AHeadMayBeAsLargeAsConfiguredAndNotOneByteMore) {
  Backend backend("s1");
  Ringmaster ringmaster("[server]\nmax_header_bytes = 4096\n" + backend.toml());

  Client client(ringmaster.endpoint());
  client.send(head_of_size(4096));
  EXPECT_EQ(client.receive().status, 200);
  client.send(head_of_size(4097));
  EXPECT_EQ(client.receive().status, 431);
  EXPECT_TRUE(client.is_ended());

  EXPECT_EQ(backend.request_count(), 1u);
  EXPECT_TRUE(wait_until([&] { return ringmaster.rejected("header_too_large") == 1; }));
}

TEST(Limits, TheDefaultHeadLimitIs16KiB) {
  Backend backend("s1");
  Ringmaster ringmaster(backend.toml());

  Client client(ringmaster.endpoint());
  client.send(head_of_size(16384));
  EXPECT_EQ(client.receive().status, 200);
  client.send(head_of_size(16385));
  EXPECT_EQ(client.receive().status, 431);
}

TEST(Limits, AnEndlessHeadIsRefusedBeforeItsEnd) {
  Backend backend("s1");
  Ringmaster ringmaster("[server]\nmax_header_bytes = 4096\n" + backend.toml());

  Client client(ringmaster.endpoint());
  client.send("GET / HTTP/1.1\r\nX-Pad: " + std::string(5000, 'x'));
  EXPECT_EQ(client.receive().status, 431);
}

TEST(Limits, ATargetBeyondTheHeadLimitIsA414) {
  Backend backend("s1");
  Ringmaster ringmaster("[server]\nmax_header_bytes = 4096\n" + backend.toml());

  Client client(ringmaster.endpoint());
  client.send(request_head("GET", "/" + std::string(5000, 'x')));
  EXPECT_EQ(client.receive().status, 414);
  EXPECT_EQ(backend.request_count(), 0u);
}

TEST(Limits, ABodyMayBeAsLargeAsConfiguredAndNotOneByteMore) {
  Backend backend("s1");
  Ringmaster ringmaster("[server]\nmax_body_bytes = 1000\n" + backend.toml());

  EXPECT_EQ(Client(ringmaster.endpoint()).post("/", std::string(1000, 'x')).status, 200);
  // Refused by what it says of itself, before any of it is sent.
  Client client(ringmaster.endpoint());
  client.send(request_head("POST", "/", "Content-Length: 1001\r\n"));
  EXPECT_EQ(client.receive().status, 413);

  EXPECT_EQ(backend.request_count(), 1u);
  EXPECT_TRUE(wait_until([&] { return ringmaster.rejected("body_too_large") == 1; }));
}

TEST(Limits, AChunkedBodyIsLimitedAsItComes) {
  Backend backend("s1");
  Ringmaster ringmaster("[server]\nmax_body_bytes = 1000\n" + backend.toml());
  const std::string head = request_head("POST", "/", "Transfer-Encoding: chunked\r\n");

  Client fits(ringmaster.endpoint());
  fits.send(head + chunk(std::string(600, 'x')) + chunk(std::string(400, 'x')) + "0\r\n\r\n");
  EXPECT_EQ(fits.receive().status, 200);
  Client exceeds(ringmaster.endpoint());
  exceeds.send(head + chunk(std::string(600, 'x')) + chunk(std::string(401, 'x')));
  EXPECT_EQ(exceeds.receive().status, 413);
}

struct BadRequest {
  const char* what;
  std::string bytes;
  int status;
  int or_status;
};

class MalformedRequest : public ::testing::TestWithParam<BadRequest> {};

TEST_P(MalformedRequest, IsRefusedAndNeverReachesABackend) {
  Backend backend("s1");
  Ringmaster ringmaster(backend.toml());

  Client client(ringmaster.endpoint());
  client.send(GetParam().bytes);
  const Response response = client.receive();

  EXPECT_TRUE(response.status == GetParam().status || response.status == GetParam().or_status)
      << response.head.raw;
  EXPECT_FALSE(response.body.empty());
  EXPECT_TRUE(client.is_ended());
  EXPECT_EQ(backend.request_count(), 0u);
}

const std::string kGet = "GET / HTTP/1.1\r\nHost: a\r\n";
const std::string kPost = "POST / HTTP/1.1\r\nHost: a\r\n";

INSTANTIATE_TEST_SUITE_P(
    Such, MalformedRequest,
    ::testing::Values(
        BadRequest{"NoHost", "GET / HTTP/1.1\r\n\r\n", 400, 400},
        BadRequest{"TwoHosts", kGet + "Host: b\r\n\r\n", 400, 400},
        BadRequest{"Garbage", "\x16\x03\x01\x02 hello\r\n\r\n", 400, 400},
        BadRequest{"SpaceBeforeColon", kGet + "X-A : b\r\n\r\n", 400, 400},
        BadRequest{"FoldedField", kGet + "X-A: b\r\n c\r\n\r\n", 400, 400},
        BadRequest{"BareLineFeed", "GET / HTTP/1.1\nHost: a\n\n", 400, 400},
        BadRequest{"NulInAField", kGet + std::string("X-A: b\0c\r\n\r\n", 12), 400, 400},
        BadRequest{"LengthTwice", kPost + "Content-Length: 1\r\nContent-Length: 2\r\n\r\n", 400,
                   400},
        BadRequest{"LengthNegative", kPost + "Content-Length: -1\r\n\r\n", 400, 400},
        BadRequest{"LengthAndChunked",
                   kPost + "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400,
                   400},
        BadRequest{"UnknownCoding", kPost + "Transfer-Encoding: gzip\r\n\r\n", 501, 400},
        BadRequest{"ChunkedInHttp10",
                   "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400, 400},
        BadRequest{"SpaceInTheTarget", "GET /a b HTTP/1.1\r\nHost: a\r\n\r\n", 400, 400},
        BadRequest{"HttpTwo", "GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505, 400},
        BadRequest{"Connect", "CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n", 405, 501},
        BadRequest{"OtherExpectation", kPost + "Content-Length: 1\r\nExpect: 200-ok\r\n\r\n", 417,
                   417}),
    [](const auto& row) { return row.param.what; });

TEST(Limits, ABadChunkEndsTheConnection) {
  Backend backend("s1");
  Ringmaster ringmaster(backend.toml());

  Client client(ringmaster.endpoint());
  client.send(kPost + "Transfer-Encoding: chunked\r\n\r\n0x5\r\nhello\r\n0\r\n\r\n");
  EXPECT_EQ(client.receive().status, 400);
  EXPECT_TRUE(client.is_ended());
}

TEST(Limits, AnErrorInTheSecondRequestDoesNotSpoilTheFirst) {
  Backend backend("s1");
  Ringmaster ringmaster(backend.toml());

  Client client(ringmaster.endpoint());
  client.send(kGet + "\r\n" + "GET / HTTP/1.1\r\nbroken\r\n\r\n" + kGet + "\r\n");

  EXPECT_EQ(client.receive().status, 200);
  EXPECT_EQ(client.receive().status, 400);
  EXPECT_TRUE(client.is_ended());
  EXPECT_EQ(backend.request_count(), 1u);
}

}  // namespace
}  // namespace ringmaster::test
