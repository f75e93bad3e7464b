// What a fuzz target throws when the product did wrong: libFuzzer stops at it as at a crash and
// keeps the input; the replay reports it as a failed test.
#pragma once

#include <stdexcept>
#include <string>

namespace ringmaster::fuzz {

struct Finding : std::runtime_error {
  using std::runtime_error::runtime_error;
};

inline void demand(bool holds, const std::string& otherwise) {
  if (!holds) throw Finding(otherwise);
}

}  // namespace ringmaster::fuzz
