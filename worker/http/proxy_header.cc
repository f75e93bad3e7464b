#include "worker/http/proxy_header.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <optional>

#include "worker/http/char_class.h"
#include "worker/http/grammar.h"

namespace ringmaster {

namespace {

using Status = ProxyHeader::Status;
using namespace std::string_view_literals;

constexpr ProxyHeader kMalformed{.status = Status::kMalformed, .client = {}};
constexpr ProxyHeader kIncomplete{.status = Status::kIncomplete, .client = {}};

// Does `bytes` begin with `wanted`, as far as it goes?
bool may_begin(std::string_view bytes, std::string_view wanted) noexcept {
  const std::size_t size = std::min(bytes.size(), wanted.size());
  return bytes.substr(0, size) == wanted.substr(0, size);
}

// ---- Version 1: one line of text (section 2.1) ----

constexpr std::string_view kTextStart = "PROXY "sv;
constexpr std::size_t kMaxTextLine = 107;  // CRLF included

// The next word of the line; words are one space apart.
std::string_view next_word(std::string_view& rest) noexcept {
  const std::size_t space = rest.find(' ');
  const std::string_view word = rest.substr(0, space);
  rest = space == std::string_view::npos ? std::string_view() : rest.substr(space + 1);
  return word;
}

// Decimal, no leading zero, at most 65535.
bool is_port(std::string_view word) noexcept {
  const auto port = parse_decimal(word);
  return port && *port <= 65535 && (word.size() == 1 || word.front() != '0');
}

// An address of the family announced; a mapped IPv4 address counts as IPv6 there.
std::optional<IpAddress> parse_address(std::string_view word, bool v6) noexcept {
  if ((word.find(':') != std::string_view::npos) != v6) return std::nullopt;
  if (word.find('[') != std::string_view::npos) return std::nullopt;
  return IpAddress::parse(word);
}

ProxyHeader parse_text_line(std::string_view line) noexcept {
  ProxyHeader header{.status = Status::kComplete,
                     .size = static_cast<std::uint32_t>(line.size() + 2),
                     .client = {}};
  line.remove_prefix(kTextStart.size());
  const std::string_view family = next_word(line);
  if (family == "UNKNOWN") return header;  // "the rest of the line must be ignored"
  const bool v6 = family == "TCP6";
  if (!v6 && family != "TCP4") return kMalformed;
  const auto source = parse_address(next_word(line), v6);
  const auto destination = parse_address(next_word(line), v6);
  const std::string_view source_port = next_word(line);
  // What follows the third space is the last word: a further space is no part of a port.
  if (!source || !destination || !is_port(source_port) || !is_port(line)) return kMalformed;
  header.has_client = true;
  header.client = *source;
  return header;
}

ProxyHeader parse_text(std::string_view bytes) noexcept {
  const std::string_view line = bytes.substr(0, kMaxTextLine);
  const std::size_t end = line.find_first_of("\r\n\0"sv);
  if (end == std::string_view::npos) {
    return line.size() == kMaxTextLine ? kMalformed : kIncomplete;
  }
  if (line[end] != '\r') return kMalformed;
  if (end + 1 == line.size()) return line.size() == kMaxTextLine ? kMalformed : kIncomplete;
  return line[end + 1] == '\n' ? parse_text_line(line.substr(0, end)) : kMalformed;
}

// ---- Version 2: binary (section 2.2) ----

constexpr std::string_view kSignature = "\r\n\r\n\0\r\nQUIT\n"sv;
constexpr std::size_t kFixedPart = 16;  // signature, version and command, family, length

enum Command : std::uint8_t { kLocal = 0, kProxy = 1 };
enum Family : std::uint8_t { kUnspecified = 0, kInet = 1, kInet6 = 2, kUnix = 3 };
constexpr std::array<std::size_t, 4> kAddressBytes{0, 12, 36, 216};  // by family

constexpr std::uint8_t kCrc32cType = 0x03;  // section 2.2.3
constexpr std::uint8_t kTlsType = 0x20;     // section 2.2.5: a byte of flags begins it
constexpr std::uint8_t kClientTls = 0x01;

std::uint8_t byte_at(std::string_view bytes, std::size_t i) noexcept {
  return static_cast<std::uint8_t>(bytes[i]);
}

std::size_t length_at(std::string_view bytes, std::size_t i) noexcept {
  return static_cast<std::size_t>(byte_at(bytes, i) << 8 | byte_at(bytes, i + 1));
}

constexpr auto kCrcTable = [] {
  std::array<std::uint32_t, 256> table{};
  for (std::uint32_t i = 0; i < table.size(); ++i) {
    std::uint32_t crc = i;
    for (int bit = 0; bit < 8; ++bit) crc = crc >> 1 ^ ((crc & 1) != 0 ? 0x82f63b78u : 0u);
    table[i] = crc;
  }
  return table;
}();

// The header's CRC32c (RFC 3720 appendix B.4), with the checksum's own four bytes taken as zero.
std::uint32_t crc32c(std::string_view header, std::size_t checksum_at) noexcept {
  std::uint32_t crc = ~0u;
  for (std::size_t i = 0; i < header.size(); ++i) {
    const bool own = i >= checksum_at && i < checksum_at + 4;
    crc = crc >> 8 ^ kCrcTable[(crc ^ (own ? 0u : byte_at(header, i))) & 0xff];
  }
  return ~crc;
}

// Every type-length-value must end within the header; a checksum among them must be right. Notes
// what they say.
bool read_values(std::string_view bytes, std::size_t at, ProxyHeader& result) noexcept {
  const std::string_view header = bytes.substr(0, result.size);
  while (at < header.size()) {
    if (header.size() - at < 3) return false;
    const std::size_t length = length_at(header, at + 1);
    const std::size_t value = at + 3;
    if (header.size() - value < length) return false;
    if (byte_at(header, at) == kCrc32cType) {
      if (length != 4) return false;
      const auto told =
          static_cast<std::uint32_t>(length_at(header, value) << 16 | length_at(header, value + 2));
      if (told != crc32c(header, value)) return false;
    }
    if (byte_at(header, at) == kTlsType && length != 0) {
      result.is_tls = (byte_at(header, value) & kClientTls) != 0;
    }
    at = value + length;
  }
  return true;
}

IpAddress read_address(std::string_view header, std::uint8_t family) noexcept {
  IpAddress address;
  if (family == kInet6) {
    std::memcpy(address.bytes.data(), header.data() + kFixedPart, 16);
  } else {
    address.bytes[10] = address.bytes[11] = 0xff;  // IPv4-mapped, as everywhere
    std::memcpy(address.bytes.data() + 12, header.data() + kFixedPart, 4);
  }
  return address;
}

ProxyHeader parse_binary(std::string_view bytes) noexcept {
  if (bytes.size() > 12) {
    const unsigned version = byte_at(bytes, 12) >> 4;
    const unsigned command = byte_at(bytes, 12) & 0x0f;
    if (version != 2 || command > kProxy) return kMalformed;
  }
  if (bytes.size() < kFixedPart) return kIncomplete;
  const std::size_t size = kFixedPart + length_at(bytes, 14);
  if (size > kMaxProxyHeader) return kMalformed;

  const bool local = (byte_at(bytes, 12) & 0x0f) == kLocal;
  const auto family = static_cast<std::uint8_t>(byte_at(bytes, 13) >> 4);
  const unsigned transport = byte_at(bytes, 13) & 0x0f;
  // Of LOCAL everything but the length is to be ignored.
  if (!local) {
    if (family > kUnix || transport > 2) return kMalformed;
    if (size < kFixedPart + kAddressBytes[family]) return kMalformed;
  }
  if (bytes.size() < size) return kIncomplete;

  ProxyHeader header{
      .status = Status::kComplete, .size = static_cast<std::uint32_t>(size), .client = {}};
  if (local || family == kUnspecified) return header;
  if (!read_values(bytes, kFixedPart + kAddressBytes[family], header)) return kMalformed;
  if (family == kUnix || transport == 0) return header;
  header.has_client = true;
  header.client = read_address(bytes, family);
  return header;
}

}  // namespace

ProxyHeader parse_proxy_header(std::string_view bytes) noexcept {
  if (may_begin(bytes, kSignature)) {
    return bytes.size() < kSignature.size() ? kIncomplete : parse_binary(bytes);
  }
  if (may_begin(bytes, kTextStart)) {
    return bytes.size() < kTextStart.size() ? kIncomplete : parse_text(bytes);
  }
  return kMalformed;
}

}  // namespace ringmaster
