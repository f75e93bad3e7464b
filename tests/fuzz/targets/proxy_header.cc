// The header of the PROXY protocol, against a second reading of its specification.
#include <arpa/inet.h>

#include <array>
#include <cstring>
#include <optional>
#include <sstream>
#include <string>
#include <vector>

#include "tests/fuzz/arrival.h"
#include "tests/fuzz/finding.h"
#include "tests/fuzz/targets.h"
#include "worker/http/proxy_header.h"

namespace ringmaster::fuzz {
namespace {

using Address = std::array<unsigned char, 16>;  // IPv4 as ::ffff:a.b.c.d

struct Reading {
  std::size_t size;
  std::optional<Address> client;
  bool is_tls = false;
};

std::optional<Address> to_address(int family, const std::string& text) {
  Address address{};
  if (family == AF_INET) address[10] = address[11] = 0xff;
  const std::size_t at = family == AF_INET ? 12 : 0;
  if (::inet_pton(family, text.c_str(), address.data() + at) != 1) return std::nullopt;
  return address;
}

bool is_port(const std::string& text) {
  const bool is_number = !text.empty() && text.size() <= 5 &&
                         text.find_first_not_of("0123456789") == std::string::npos;
  return is_number && std::stoi(text) <= 65535 && (text.size() == 1 || text[0] != '0');
}

// Section 2.1: at most 107 bytes, words one space apart.
std::optional<Reading> read_line(const std::string& bytes) {
  const std::size_t end = bytes.find("\r\n");
  if (end == std::string::npos || end + 2 > 107) return std::nullopt;
  const std::string line = bytes.substr(0, end);
  if (line.find_first_of(std::string("\r\n\0", 3)) != std::string::npos) return std::nullopt;
  std::vector<std::string> words;
  std::istringstream rest(line + " ");
  for (std::string word; std::getline(rest, word, ' ');) words.push_back(word);
  if (words.size() < 2 || words[0] != "PROXY") return std::nullopt;
  if (words[1] == "UNKNOWN") return Reading{end + 2, std::nullopt, false};
  if (words.size() != 6 || (words[1] != "TCP4" && words[1] != "TCP6")) return std::nullopt;
  const int family = words[1] == "TCP4" ? AF_INET : AF_INET6;
  const auto source = to_address(family, words[2]);
  if (!source || !to_address(family, words[3]) || !is_port(words[4]) || !is_port(words[5])) {
    return std::nullopt;
  }
  return Reading{end + 2, source, false};
}

std::uint32_t crc32c(const std::string& bytes) {
  std::uint32_t crc = 0xffffffff;
  for (const char c : bytes) {
    crc ^= static_cast<unsigned char>(c);
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) * 0x82f63b78u);
  }
  return ~crc;
}

std::size_t number_at(const std::string& bytes, std::size_t at, std::size_t size) {
  std::size_t number = 0;
  for (std::size_t i = 0; i < size; ++i) {
    number = number << 8 | static_cast<unsigned char>(bytes[at + i]);
  }
  return number;
}

// Section 2.2. Of several values about TLS the last one counts.
bool are_values_sound(const std::string& header, std::size_t at, bool& is_tls) {
  while (at < header.size()) {
    if (header.size() - at < 3) return false;
    const std::size_t type = number_at(header, at, 1);
    const std::size_t length = number_at(header, at + 1, 2);
    if (header.size() - at - 3 < length) return false;
    if (type == 3) {
      if (length != 4) return false;
      std::string zeroed = header;
      zeroed.replace(at + 3, 4, 4, '\0');
      if (crc32c(zeroed) != number_at(header, at + 3, 4)) return false;
    }
    if (type == 0x20 && length > 0) is_tls = number_at(header, at + 3, 1) % 2 == 1;
    at += 3 + length;
  }
  return true;
}

std::optional<Reading> read_binary(const std::string& bytes) {
  if (bytes.size() < 16) return std::nullopt;
  const std::size_t size = 16 + number_at(bytes, 14, 2);
  const std::size_t command = number_at(bytes, 12, 1);
  if (size > kMaxProxyHeader || size > bytes.size()) return std::nullopt;
  if (command == 0x20) return Reading{size, std::nullopt, false};  // LOCAL
  if (command != 0x21) return std::nullopt;
  const std::size_t family = number_at(bytes, 13, 1) >> 4;
  const std::size_t transport = number_at(bytes, 13, 1) & 15;
  constexpr std::size_t kAddressBytes[] = {0, 12, 36, 216};
  if (family > 3 || transport > 2 || size < 16 + kAddressBytes[family]) return std::nullopt;
  if (family == 0) return Reading{size, std::nullopt, false};
  bool is_tls = false;
  if (!are_values_sound(bytes.substr(0, size), 16 + kAddressBytes[family], is_tls)) {
    return std::nullopt;
  }
  if (family == 3 || transport == 0) return Reading{size, std::nullopt, is_tls};
  Address client{};
  if (family == 1) {
    client[10] = client[11] = 0xff;
    std::memcpy(client.data() + 12, bytes.data() + 16, 4);
  } else {
    std::memcpy(client.data(), bytes.data() + 16, 16);
  }
  return Reading{size, client, is_tls};
}

}  // namespace

void fuzz_proxy_header(std::string_view input) {
  using Status = ProxyHeader::Status;
  Arrival arrival(input, Pieces::kRandom);
  ProxyHeader header;
  while (header.status == Status::kIncomplete && arrival.next()) {
    header = parse_proxy_header(arrival.arrived());
  }
  const std::string bytes(input);
  const bool is_binary = bytes.starts_with(std::string("\r\n\r\n\0\r\nQUIT\n", 12));
  const auto wanted = is_binary ? read_binary(bytes) : read_line(bytes);
  demand((header.status == Status::kComplete) == wanted.has_value(), "a header, or none");
  if (!input.empty()) {
    demand(parse_proxy_header(input).status == header.status, "pieces change the verdict");
  }
  if (!wanted) return;
  demand(header.size == wanted->size, "ends elsewhere");
  demand(header.has_client == wanted->client.has_value(), "names a client, or none");
  demand(header.is_tls == wanted->is_tls, "speaks of TLS, or not");
  if (!wanted->client) return;
  demand(std::memcmp(header.client.bytes.data(), wanted->client->data(), 16) == 0,
         "another client");
}

}  // namespace ringmaster::fuzz
