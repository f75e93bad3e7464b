// From a config file to a Config, or to everything that is wrong with it at once. Nothing throws.
// Values are read by config_values and config_addresses, tables by config_reader, and config_schema
// says which there are.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "master/config/config_problem.h"
#include "shared/base/result.h"
#include "shared/config.h"

namespace ringmaster {

inline constexpr const char* kDefaultConfig = "/etc/ringmaster/ringmaster.toml";

struct LoadedConfig {
  Config config;                        // usable only if there are no problems
  std::vector<ConfigProblem> problems;  // by position
  std::vector<ConfigProblem> warnings;  // by position, where there are no problems
};

// The whole text, also of a pipe, for which it may have to wait. The error reads on from the file's
// name.
Result<std::string> read_config_file(const std::string& path);
// Whether it is there and a pipe or the like, whose text is gone once it was read.
bool can_be_read_but_once(const std::string& path);
inline constexpr const char* kReadButOnce =
    "cannot be read again: it is not a regular file; restart the service instead, or use a file";
LoadedConfig load_config(std::string_view toml_text);
LoadedConfig load_config_file(const std::string& path);

// "FILE:LINE:COLUMN: message", or "FILE: message" for the file as a whole.
std::string format_problem(std::string_view file, const ConfigProblem& problem);

}  // namespace ringmaster
