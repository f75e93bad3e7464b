#include "master/config/config_text.h"

#include <algorithm>
#include <cstddef>
#include <numeric>
#include <utility>

namespace ringmaster {
namespace {

std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 0; i < a.size(); ++i) {
    std::size_t diagonal = std::exchange(row[0], i + 1);
    for (std::size_t j = 0; j < b.size(); ++j) {
      const std::size_t replaced = diagonal + (a[i] == b[j] ? 0 : 1);
      diagonal = row[j + 1];
      row[j + 1] = std::min({replaced, row[j] + 1, diagonal + 1});
    }
  }
  return row.back();
}

// A key as it is compared: keepAlive-Timeout is keepalive_timeout.
std::string without_separators(std::string_view text) {
  std::string result = lower(text);
  result.erase(std::remove_if(result.begin(), result.end(), [](char c) { return !is_alnum(c); }),
               result.end());
  return result;
}

}  // namespace

std::string lower(std::string_view text) {
  std::string result(text);
  for (char& c : result) c = to_lower(c);
  return result;
}

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
  return text;
}

std::string_view line_at(std::string_view text, std::size_t number) {
  for (; number > 1; --number) {
    const std::size_t end = text.find('\n');
    if (end == text.npos) return {};
    text.remove_prefix(end + 1);
  }
  return text.substr(0, text.find('\n'));
}

void blank(std::string& text, std::string_view part) {
  if (!part.empty())
    text.replace(static_cast<std::size_t>(part.data() - text.data()), part.size(), part.size(),
                 ' ');
}

std::string quoted(std::string_view text) {
  constexpr std::size_t kLongest = 80;
  if (text.size() <= kLongest) return "\"" + printable(text) + "\"";
  text = text.substr(0, kLongest);
  // Not within a UTF-8 character.
  while (!text.empty() && (static_cast<unsigned char>(text.back()) & 0x80) != 0) {
    text.remove_suffix(1);
  }
  return "\"" + printable(text) + "...\"";
}

std::string_view nearest(std::string_view text, const std::vector<std::string>& candidates) {
  const std::string wanted = without_separators(text);
  std::string_view best;
  std::size_t best_distance = std::min<std::size_t>(2, wanted.size() / 3) + 1;
  if (wanted.size() > 64) return best;
  for (const std::string& candidate : candidates) {
    const std::size_t distance = edit_distance(wanted, without_separators(candidate));
    if (distance < best_distance) {
      best = candidate;
      best_distance = distance;
    }
  }
  return best;
}

}  // namespace ringmaster
