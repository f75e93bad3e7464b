// The grammars of RFC 9110 section 5.6 and RFC 3986 section 3.2, each as one plain loop.
#include "worker/http/grammar.h"

#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <limits>

#include "worker/http/char_class.h"

namespace ringmaster {

bool equals_ignore_case(std::string_view a, std::string_view b) noexcept {
  return a.size() == b.size() && starts_with_ignore_case(a, b);
}

bool starts_with_ignore_case(std::string_view text, std::string_view prefix) noexcept {
  if (text.size() < prefix.size()) return false;
  for (std::size_t i = 0; i < prefix.size(); ++i) {
    if (to_lower(text[i]) != to_lower(prefix[i])) return false;
  }
  return true;
}

bool is_token(std::string_view text) noexcept {
  return !text.empty() && are_chars(text, kTokenChar);
}

namespace {

// Is any of the eight bytes below 0x20, or 0x7f?
bool may_have_control(const char* bytes) noexcept {
  constexpr std::uint64_t kOnes = 0x0101010101010101u;
  constexpr std::uint64_t kHighs = kOnes * 0x80;
  std::uint64_t word;
  std::memcpy(&word, bytes, sizeof word);
  const std::uint64_t del = word ^ (kOnes * 0x7f);
  const std::uint64_t low = (word - kOnes * 0x20) & ~word;
  return ((low | ((del - kOnes) & ~del)) & kHighs) != 0;
}

}  // namespace

// Eight bytes at a time, the last eight perhaps a second time; only where one looks odd (it may be
// a HTAB) all are looked at by themselves.
bool is_field_value(std::string_view text) noexcept {
  constexpr std::size_t kWord = 8;
  if (text.size() < kWord) return are_chars(text, kFieldChar);
  const char* const last = text.data() + text.size() - kWord;
  for (const char* at = text.data(); at < last; at += kWord) {
    if (may_have_control(at)) return are_chars(text, kFieldChar);
  }
  return !may_have_control(last) || are_chars(text, kFieldChar);
}

std::string_view trim_blanks(std::string_view text) noexcept {
  std::size_t begin = 0;
  std::size_t end = text.size();
  while (begin < end && is_blank(text[begin])) ++begin;
  while (end > begin && is_blank(text[end - 1])) --end;
  return text.substr(begin, end - begin);
}

bool next_member(std::string_view& rest, std::string_view& member) noexcept {
  if (rest.data() == nullptr) return false;
  const std::size_t comma = rest.find(',');
  member = trim_blanks(rest.substr(0, comma));
  rest = comma == std::string_view::npos ? std::string_view() : rest.substr(comma + 1);
  return true;
}

std::optional<std::uint64_t> parse_decimal(std::string_view digits) noexcept {
  constexpr std::uint64_t kMax = std::numeric_limits<std::uint64_t>::max();
  if (digits.empty()) return std::nullopt;
  std::uint64_t value = 0;
  for (const char c : digits) {
    if (!is_char(c, kDigitChar)) return std::nullopt;
    const auto digit = static_cast<std::uint64_t>(c - '0');
    if (value > (kMax - digit) / 10) return std::nullopt;
    value = value * 10 + digit;
  }
  return value;
}

std::optional<std::uint64_t> parse_body_length(std::string_view digits) noexcept {
  const auto value = parse_decimal(digits);
  return value && *value <= kMaxBodyLength ? value : std::nullopt;
}

namespace {

// "" or ":" *DIGIT; a number that is no port names nothing.
bool is_port_suffix(std::string_view text) noexcept {
  if (text.empty() || text == ":") return true;
  if (text.front() != ':') return false;
  const auto port = parse_decimal(text.substr(1));
  return port && *port <= 65535;
}

// "v" 1*HEXDIG "." 1*( unreserved / sub-delims / ":" )
bool is_ipvfuture(std::string_view text) noexcept {
  if (text.empty() || to_lower(text.front()) != 'v') return false;
  const std::size_t dot = text.find('.');
  if (dot == std::string_view::npos || dot < 2 || dot + 1 == text.size()) return false;
  const auto is_rest = [](char c) { return c == ':' || is_char(c, kRegNameChar); };
  return are_chars(text.substr(1, dot - 1), kHexChar) &&
         std::all_of(text.begin() + static_cast<std::ptrdiff_t>(dot) + 1, text.end(), is_rest);
}

// What stands between the brackets of an IP-literal.
bool is_ip_literal(std::string_view text) noexcept {
  std::array<char, INET6_ADDRSTRLEN> copy{};  // inet_pton wants it terminated
  if (text.size() >= copy.size()) return is_ipvfuture(text);
  std::copy(text.begin(), text.end(), copy.begin());
  in6_addr address;
  return ::inet_pton(AF_INET6, copy.data(), &address) == 1 || is_ipvfuture(text);
}

// Length of the reg-name (or IPv4 address) that `text` begins with.
std::size_t reg_name_length(std::string_view text) noexcept {
  std::size_t at = 0;
  while (at < text.size()) {
    if (is_char(text[at], kRegNameChar)) {
      ++at;
    } else if (text[at] == '%' && text.size() - at >= 3 && is_char(text[at + 1], kHexChar) &&
               is_char(text[at + 2], kHexChar)) {
      at += 3;
    } else {
      break;
    }
  }
  return at;
}

}  // namespace

bool is_authority(std::string_view text) noexcept {
  if (text.empty() || text.find(',') != std::string_view::npos) return false;
  if (text.front() == '[') {
    const std::size_t close = text.find(']');
    return close != std::string_view::npos && is_ip_literal(text.substr(1, close - 1)) &&
           is_port_suffix(text.substr(close + 1));
  }
  const std::size_t host = reg_name_length(text);
  return host != 0 && is_port_suffix(text.substr(host));
}

}  // namespace ringmaster
