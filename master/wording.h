// How numbers of things and long times read in messages: "1 worker", "2 workers", "40 d 2 h".
#pragma once

#include <fmt/format.h>

#include <cstdint>
#include <string>
#include <string_view>

namespace ringmaster {

// `noun` in the singular; its plural ends in "s".
inline std::string counted(std::uint64_t number, std::string_view noun) {
  return fmt::format("{} {}{}", number, noun, number == 1 ? "" : "s");
}

// In the two largest units that tell something: "40 d 2 h", "12 min 5 s", "3 s".
inline std::string time_in_words(std::uint64_t seconds) {
  const std::uint64_t minutes = seconds / 60;
  const std::uint64_t hours = minutes / 60;
  if (hours >= 24) return fmt::format("{} d {} h", hours / 24, hours % 24);
  if (hours != 0) return fmt::format("{} h {} min", hours, minutes % 60);
  if (minutes != 0) return fmt::format("{} min {} s", minutes, seconds % 60);
  return fmt::format("{} s", seconds);
}

}  // namespace ringmaster
