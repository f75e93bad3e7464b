// Programs that others wrote, run against the product: if they get on with it, so do those who use
// them. A tool that is missing fails its test; `./dev deps` installs them all.
#pragma once

#include <string>
#include <vector>

#include "tests/support/http.h"
#include "tests/support/process.h"

namespace ringmaster::test {

// `argv` to run the tool of that name; throws std::runtime_error if it is not installed.
std::vector<std::string> tool(const std::string& name, std::vector<std::string> arguments);
// The same, for a script of this folder and what interprets it.
std::vector<std::string> script(const std::string& interpreter, const std::string& file,
                                std::vector<std::string> arguments);

std::size_t count_lines(const std::string& text, const std::string& line);

inline constexpr Exit kFine{0, 0};

}  // namespace ringmaster::test
