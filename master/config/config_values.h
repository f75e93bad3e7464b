// How the texts inside a config file are read: durations, the hash key, status ranges
// (addresses: config_addresses.h).
// Pure functions. An error is one clause for the operator, without the key: what is wrong with the
// text and what would be right, the text itself in quotes.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "shared/base/result.h"
#include "shared/config.h"

namespace ringmaster {

// "500ms", "1.5s", "30s", "5m", "1h"; whole milliseconds, never negative, at most kLongestDuration.
inline constexpr Duration kLongestDuration = std::chrono::hours(24);
Result<Duration> parse_duration(std::string_view text);
// The shortest text that parse_duration reads as this.
std::string to_text(Duration duration);

struct HashKey {
  HashConfig::Key kind = HashConfig::Key::kUri;
  std::string name;  // lower case for a header
};
Result<HashKey> parse_hash_key(std::string_view text);

using StatusRanges = std::vector<std::pair<std::uint16_t, std::uint16_t>>;
// "200", "200-399", "200,204,301-302": final status codes, both ends included.
Result<StatusRanges> parse_status_ranges(std::string_view text);

Result<std::string> parse_probe_path(std::string_view text);  // "" or "/..."
Result<std::string> parse_backend_name(std::string_view text);
Result<std::string> parse_unix_path(std::string_view text);   // "" or a path that fits sun_path
Result<std::string> parse_access_log(std::string_view text);  // "off", "stderr" or a path
Result<log::Level> parse_log_level(std::string_view text);

}  // namespace ringmaster
