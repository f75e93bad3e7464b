// How numbers of things read in messages: "1 worker", "2 workers".
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

}  // namespace ringmaster
