// Small tools of the config loader for texts: how they are compared, read and shown in messages.
#pragma once

#include <charconv>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

namespace ringmaster {

// ASCII only, whatever the locale.
bool is_digit(char c);
bool is_alnum(char c);
std::string lower(std::string_view text);
std::string_view trimmed(std::string_view text);  // of spaces

// The decimal number that is all of `text`, if it fits.
template <class Number>
std::optional<Number> whole(std::string_view text) {
  Number value{};
  const char* const end = text.data() + text.size();
  const auto [stopped, error] = std::from_chars(text.data(), end, value);
  if (text.empty() || error != std::errc{} || stopped != end) return std::nullopt;
  return value;
}

// A line without its end, from 1 on; empty behind the last one.
std::string_view line_at(std::string_view text, std::size_t number);
// Makes a part of `text` blanks, and leaves the rest where it is.
void blank(std::string& text, std::string_view part);

// With what cannot be printed escaped.
std::string printable(std::string_view text);
// The same in double quotes, and what is long cut: for messages.
std::string quoted(std::string_view text);

// The candidate that `text` is most likely a slip of (case, separators, two typing errors); or "".
std::string_view nearest(std::string_view text, const std::vector<std::string>& candidates);

}  // namespace ringmaster
