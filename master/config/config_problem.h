// ConfigProblem: one thing that is wrong with a config file, and where.
#pragma once

#include <cstdint>
#include <string>

namespace ringmaster {

struct ConfigProblem {
  std::uint32_t line;    // from 1; 0: the file as a whole
  std::uint32_t column;  // from 1
  std::string message;   // "key: what is wrong, what would be right"
};

}  // namespace ringmaster
