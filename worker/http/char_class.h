// What each byte may be part of: one table, looked up by every parser here (RFC 9110 section 5.6,
// RFC 3986 appendix A). Pure.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "shared/base/ascii.h"
#include "shared/base/token.h"

namespace ringmaster {

enum CharClass : std::uint8_t {
  kTokenChar = 1,    // tchar
  kTargetChar = 2,   // request target: all but controls, space and '#'; not judged further
  kFieldChar = 4,    // field-vchar, SP, HTAB: what a field value or a reason phrase consists of
  kRegNameChar = 8,  // reg-name without its percent-encoded bytes
  kDigitChar = 16,
  kHexChar = 32,
  kQuotedChar = 64,  // qdtext
};

namespace detail {
constexpr bool is_one_of(char c, std::string_view set) noexcept {
  return set.find(c) != std::string_view::npos;
}

constexpr std::uint8_t classify(unsigned char byte) noexcept {
  const char c = static_cast<char>(byte);
  const bool visible = byte > 0x20 && byte != 0x7f;  // obs-text counts
  const bool field = visible || c == ' ' || c == '\t';
  unsigned classes = 0;
  if (is_token_char(c)) classes |= kTokenChar;
  if (visible && c != '#') classes |= kTargetChar;
  if (field) classes |= kFieldChar;
  if (is_alnum(c) || is_one_of(c, "-._~!$&'()*+,;=")) classes |= kRegNameChar;
  if (is_digit(c)) classes |= kDigitChar;
  if (is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F')) classes |= kHexChar;
  if (field && c != '"' && c != '\\') classes |= kQuotedChar;
  return static_cast<std::uint8_t>(classes);
}

inline constexpr auto kCharClasses = [] {
  std::array<std::uint8_t, 256> table{};
  for (std::size_t i = 0; i < table.size(); ++i) {
    table[i] = classify(static_cast<unsigned char>(i));
  }
  return table;
}();
}  // namespace detail

constexpr bool is_char(char c, CharClass of) noexcept {
  return (detail::kCharClasses[static_cast<unsigned char>(c)] & of) != 0;
}

// Is each one? Without a branch a character: texts are short, and nearly always valid.
constexpr bool are_chars(std::string_view text, CharClass of) noexcept {
  unsigned common = of;
  for (const char c : text) common &= detail::kCharClasses[static_cast<unsigned char>(c)];
  return common != 0;
}

constexpr bool is_blank(char c) noexcept {
  return c == ' ' || c == '\t';
}

}  // namespace ringmaster
