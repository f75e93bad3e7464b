// The PROXY protocol's header, a row a case, at every place where its bytes could be cut.
#include "worker/http/proxy_header.h"

#include <gtest/gtest.h>

#include <array>
#include <string>

#include "tests/unit/http/piecewise.h"

namespace ringmaster {
namespace {

using test::ExactBytes;
using namespace std::string_literals;

// The client's address, or "peer", or "malformed", as the bytes come in; what follows the header is
// left alone.
std::string client_of(std::string_view bytes) {
  for (std::size_t size = 0; size <= bytes.size(); ++size) {
    const ExactBytes so_far(bytes.substr(0, size));
    const ProxyHeader header = parse_proxy_header(so_far.view());
    if (header.status == ProxyHeader::Status::kIncomplete) continue;
    // However much comes at once, the verdict is the same.
    const ProxyHeader whole = parse_proxy_header(bytes);
    EXPECT_EQ(whole.status, header.status) << test::printable(bytes);
    if (header.status == ProxyHeader::Status::kMalformed) return "malformed";
    EXPECT_EQ(header.size, size);
    EXPECT_EQ(whole.size, size);
    return header.has_client ? header.client.to_string() : "peer";
  }
  return "incomplete";
}

struct Row {
  std::string in;
  std::string client;
};

template <class Rows>
void check(const Rows& rows) {
  for (const Row& row : rows) {
    SCOPED_TRACE(test::printable(row.in));
    EXPECT_EQ(client_of(row.in), row.client);
    if (row.client != "malformed" && row.client != "incomplete") {
      EXPECT_EQ(client_of(row.in + "GET / HTTP/1.1\r\n"), row.client);
    }
  }
}

TEST(ProxyHeader, Version1NamesTheClientInText) {
  const std::string longest =
      "PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
      "65535 65535\r\n";
  check(std::to_array<Row>({
      {"PROXY TCP4 192.0.2.1 198.51.100.1 56324 443\r\n", "192.0.2.1"},
      {"PROXY TCP4 255.255.255.255 0.0.0.0 0 65535\r\n", "255.255.255.255"},
      {"PROXY TCP6 2001:db8::1 2001:db8::2 1 2\r\n", "2001:db8::1"},
      {"PROXY TCP6 ::ffff:192.0.2.1 ::1 1 2\r\n", "192.0.2.1"},
      {longest, "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"},
      {"PROXY UNKNOWN\r\n", "peer"},
      {"PROXY UNKNOWN 2001:db8::1 2001:db8::2 1 2\r\n", "peer"},
      {"PROXY UNKNOWN \x01 anything\r\n", "peer"},
      {"PROXY UNKNOWN " + std::string(107 - 16, 'x') + "\r\n", "peer"},
  }));
}

TEST(ProxyHeader, Version1IsStrict) {
  check(std::to_array<Row>({
      {"GET / HTTP/1.1\r\n", "malformed"},
      {"\r\n", "incomplete"},
      {"\r\nG", "malformed"},
      {"proxy TCP4 192.0.2.1 198.51.100.1 1 2\r\n", "malformed"},
      {"PROXY  TCP4 192.0.2.1 198.51.100.1 1 2\r\n", "malformed"},
      {"PROXY\tTCP4 192.0.2.1 198.51.100.1 1 2\r\n", "malformed"},
      {"PROXY tcp4 192.0.2.1 198.51.100.1 1 2\r\n", "malformed"},
      {"PROXY TCP5 192.0.2.1 198.51.100.1 1 2\r\n", "malformed"},
      {"PROXY UDP4 192.0.2.1 198.51.100.1 1 2\r\n", "malformed"},
      {"PROXY UNKNOWNS\r\n", "malformed"},
      {"PROXY \r\n", "malformed"},
      {"PROXY TCP4\r\n", "malformed"},
      {"PROXY TCP4 192.0.2.1\r\n", "malformed"},
      {"PROXY TCP4 192.0.2.1 198.51.100.1\r\n", "malformed"},
      {"PROXY TCP4 192.0.2.1 198.51.100.1 1\r\n", "malformed"},
      {"PROXY TCP4 192.0.2.1 198.51.100.1 1 \r\n", "malformed"},
      {"PROXY TCP4 192.0.2.1 198.51.100.1 1 2 \r\n", "malformed"},
      {"PROXY TCP4 192.0.2.1 198.51.100.1 1 2 3\r\n", "malformed"},
      {"PROXY TCP4 192.0.2.1  198.51.100.1 1 2\r\n", "malformed"},
      {"PROXY TCP4 192.0.2.1 198.51.100.1 1 65536\r\n", "malformed"},
      {"PROXY TCP4 192.0.2.1 198.51.100.1 -1 2\r\n", "malformed"},
      {"PROXY TCP4 192.0.2.1 198.51.100.1 01 2\r\n", "malformed"},
      {"PROXY TCP4 192.0.2.256 198.51.100.1 1 2\r\n", "malformed"},
      {"PROXY TCP4 192.0.2 198.51.100.1 1 2\r\n", "malformed"},
      {"PROXY TCP4 host 198.51.100.1 1 2\r\n", "malformed"},
      {"PROXY TCP4 2001:db8::1 2001:db8::2 1 2\r\n", "malformed"},
      {"PROXY TCP6 192.0.2.1 198.51.100.1 1 2\r\n", "malformed"},
      {"PROXY TCP6 [2001:db8::1] 2001:db8::2 1 2\r\n", "malformed"},
      {"PROXY TCP4 192.0.2.1 198.51.100.1 1 2\n", "malformed"},
      {"PROXY TCP4 192.0.2.1 198.51.100.1 1 2\rX", "malformed"},
      {"PROXY TCP4 192.0.2.1\0 198.51.100.1 1 2\r\n"s, "malformed"},
      {"PROXY TCP4 192.0.2.1 198.51.100.1 1 2", "incomplete"},
      {"PROXY UNKNOWN " + std::string(107 - 15, 'x') + "\r\n", "malformed"},
      {"PROXY UNKNOWN " + std::string(200, 'x'), "malformed"},
  }));
}

// A version 2 header around `rest`: version and command, family and transport.
std::string binary(int command, int family, const std::string& rest) {
  std::string header = "\r\n\r\n\0\r\nQUIT\n"s;
  header += static_cast<char>(command);
  header += static_cast<char>(family);
  header += static_cast<char>(rest.size() >> 8);
  header += static_cast<char>(rest.size() & 0xff);
  return header + rest;
}

const std::string kV4 = "\xc0\x00\x02\x01\xc6\x33\x64\x01\xdc\x04\x01\xbb"s;
const std::string kV6 =
    "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x02"
    "\xdc\x04\x01\xbb"s;
const std::string kUnixAddresses(216, 'u');

TEST(ProxyHeader, Version2NamesTheClientInBinary) {
  const std::string alpn = "\x01\x00\x02h1"s;
  const std::string most(kMaxProxyHeader - 16 - 12 - 3, 'x');
  const std::string padding =
      "\x04"s + static_cast<char>(most.size() >> 8) + static_cast<char>(most.size() & 0xff) + most;
  check(std::to_array<Row>({
      {binary(0x21, 0x11, kV4), "192.0.2.1"},
      {binary(0x21, 0x12, kV4), "192.0.2.1"},
      {binary(0x21, 0x21, kV6), "2001:db8::1"},
      {binary(0x21, 0x11, kV4 + alpn), "192.0.2.1"},
      {binary(0x21, 0x21, kV6 + alpn + "\xea\x00\x00"s), "2001:db8::1"},
      {binary(0x21, 0x11, kV4 + padding), "192.0.2.1"},
      // Nobody is named.
      {binary(0x20, 0x00, ""), "peer"},
      {binary(0x20, 0x11, kV4), "peer"},
      {binary(0x20, 0xff, "anything"), "peer"},
      {binary(0x21, 0x00, ""), "peer"},
      {binary(0x21, 0x00, "ignored"), "peer"},
      {binary(0x21, 0x10, kV4), "peer"},
      {binary(0x21, 0x31, kUnixAddresses), "peer"},
      {binary(0x21, 0x32, kUnixAddresses + alpn), "peer"},
  }));
}

TEST(ProxyHeader, Version2MayTellOfTls) {
  // Flags, the outcome of a client's certificate, and the version as a value within the value.
  const std::string told = "\x20\x00\x0f\x01\0\0\0\0\x21\x00\x07TLSv1.3"s;
  const std::pair<std::string, bool> rows[] = {
      {binary(0x21, 0x11, kV4 + told), true},
      {binary(0x21, 0x31, kUnixAddresses + told), true},
      {binary(0x21, 0x21, kV6 + "\x01\x00\x02h1"s + "\x20\x00\x01\x07"s), true},
      {binary(0x21, 0x11, kV4 + "\x20\x00\x05\x06\0\0\0\0"s), false},
      {binary(0x21, 0x11, kV4 + "\x20\x00\x00"s), false},
      {binary(0x21, 0x11, kV4), false},
      {binary(0x20, 0x11, kV4 + told), false},  // LOCAL: the balancer's own
      {"PROXY TCP4 192.0.2.1 198.51.100.1 1 2\r\n", false},
  };
  for (const auto& [bytes, is_tls] : rows) {
    const ProxyHeader header = parse_proxy_header(bytes);
    EXPECT_EQ(header.status, ProxyHeader::Status::kComplete);
    EXPECT_EQ(header.is_tls, is_tls) << testing::PrintToString(bytes);
  }
}

TEST(ProxyHeader, Version2IsStrict) {
  check(std::to_array<Row>({
      {binary(0x11, 0x11, kV4), "malformed"},
      {binary(0x31, 0x11, kV4), "malformed"},
      {binary(0x22, 0x11, kV4), "malformed"},
      {binary(0x2f, 0x11, kV4), "malformed"},
      {binary(0x21, 0x41, kV4), "malformed"},
      {binary(0x21, 0x13, kV4), "malformed"},
      {binary(0x21, 0x11, kV4.substr(1)), "malformed"},
      {binary(0x21, 0x11, ""), "malformed"},
      {binary(0x21, 0x21, kV4), "malformed"},
      {binary(0x21, 0x31, kV6), "malformed"},
      {binary(0x21, 0x11, kV4 + "\x01"), "malformed"},
      {binary(0x21, 0x11, kV4 + "\x01\x00"s), "malformed"},
      {binary(0x21, 0x11, kV4 + "\x01\x00\x05h1"s), "malformed"},
      {"\r\n\r\n\0\r\nQUIT\r"s, "malformed"},
      {"\r\n\r\n\0\r\nQUIT\n\x21\x11\xff\xff"s, "malformed"},
      {binary(0x21, 0x11, kV4).substr(0, 20), "incomplete"},
  }));
}

TEST(ProxyHeader, Version2ChecksItsChecksumWhereThereIsOne) {
  // Computed apart from our code, by RFC 3720's definition, bit by bit.
  const std::string right = kV4 + "\x03\x00\x04\x73\x7e\xe9\x19"s;
  std::string wrong = right;
  wrong.back() ^= 1;
  std::string other_address = right;
  other_address[3] ^= 1;
  check(std::to_array<Row>({
      {binary(0x21, 0x11, right), "192.0.2.1"},
      {binary(0x21, 0x11, wrong), "malformed"},
      {binary(0x21, 0x11, other_address), "malformed"},
      {binary(0x21, 0x11, kV4 + "\x03\x00\x03\x01\x02\x03"s), "malformed"},
  }));
}

}  // namespace
}  // namespace ringmaster
