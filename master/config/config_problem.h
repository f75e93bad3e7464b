// ConfigProblem: one thing that is wrong with a config file, or hardly meant so, and where.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace ringmaster {

struct ConfigProblem {
  std::uint32_t line;    // from 1; 0: the file as a whole
  std::uint32_t column;  // from 1
  std::string message;   // "key: what is wrong, what would be right"
};

// As they are met in the file; of one place, as they were found.
inline void sort_by_position(std::vector<ConfigProblem>& problems) {
  std::stable_sort(problems.begin(), problems.end(), [](const auto& a, const auto& b) {
    return std::pair(a.line, a.column) < std::pair(b.line, b.column);
  });
}

}  // namespace ringmaster
