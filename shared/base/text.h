// Small tools for texts: how they are read as numbers, and made fit to be shown.
#pragma once

#include <charconv>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>

#include "shared/base/ascii.h"

namespace ringmaster {

// The decimal number that is all of `text`, if it fits.
template <class Number>
std::optional<Number> whole(std::string_view text) noexcept {
  Number value{};
  const char* const end = text.data() + text.size();
  const auto [stopped, error] = std::from_chars(text.data(), end, value);
  if (text.empty() || error != std::errc{} || stopped != end) return std::nullopt;
  return value;
}

// With each character for which `hides(c)` holds as \x and two hexadecimal digits.
template <class Hides>
std::string escaped(std::string_view text, Hides hides) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string result;
  for (const char c : text) {
    if (hides(c)) {
      const auto byte = static_cast<unsigned char>(c);
      result += {'\\', 'x', kDigits[byte >> 4], kDigits[byte & 15]};
    } else {
      result += c;
    }
  }
  return result;
}

// With what cannot be printed escaped: what others say begins no line of its own.
inline std::string printable(std::string_view text) {
  return escaped(text, is_control);
}

}  // namespace ringmaster
