#include "master/config/config_values.h"

#include <sys/un.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstddef>
#include <system_error>

#include "master/config/config_text.h"
#include "shared/base/token.h"

namespace ringmaster {
namespace {

struct Unit {
  std::string_view name;
  std::int64_t ms;
};
constexpr std::array<Unit, 4> kUnits{{{"ms", 1}, {"s", 1'000}, {"m", 60'000}, {"h", 3'600'000}}};
constexpr std::string_view kUnitNames = "ms, s, m, h";

bool is_token(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), is_token_char);
}

Result<std::pair<std::uint16_t, std::uint16_t>> parse_status_range(std::string_view text) {
  const auto dash = text.find('-');
  const auto first = whole<std::uint16_t>(text.substr(0, dash));
  const auto last = dash == text.npos ? first : whole<std::uint16_t>(text.substr(dash + 1));
  if (!first || !last) {
    return Error{quoted(text) + " is not a status code or a range, write for example \"200-399\""};
  }
  for (const std::uint16_t code : {*first, *last}) {
    if (code < 200 || code > 599) {
      return Error{std::to_string(code) + " is not a final status code, must be from 200 to 599"};
    }
  }
  if (*first > *last) {
    return Error{quoted(text) + " is the wrong way round, write \"" + std::to_string(*last) + "-" +
                 std::to_string(*first) + "\""};
  }
  return std::pair{*first, *last};
}

std::string units_hint(std::string_view number, std::string_view unit) {
  return "write " + quoted(std::string(number) + std::string(unit)) +
         " (units: " + std::string(kUnitNames) + ")";
}

// The unit of a duration, or why it has none; `shown` is the whole text, quoted.
Result<Unit> parse_unit(std::string_view number, std::string_view unit, const std::string& shown) {
  if (unit.empty()) return Error{shown + " has no unit, " + units_hint(number, "s")};
  const std::string meant = lower(trimmed(unit));
  for (const Unit& known : kUnits) {
    if (known.name == unit) return known;
    if (known.name == meant) {
      return Error{shown + " is not spelled right, " + units_hint(number, meant)};
    }
  }
  if (std::any_of(unit.begin(), unit.end(), is_digit)) {
    return Error{shown +
                 " has several parts, must be one number and one unit such as \"90m\" (units: " +
                 std::string(kUnitNames) + ")"};
  }
  return Error{shown + " has an unknown unit, known are " + std::string(kUnitNames)};
}

}  // namespace

Result<Duration> parse_duration(std::string_view text) {
  const auto number_end =
      std::find_if_not(text.begin(), text.end(), [](char c) { return is_digit(c) || c == '.'; });
  const auto number = text.substr(0, static_cast<std::size_t>(number_end - text.begin()));
  double value = 0;
  const auto [stopped, error] = std::from_chars(number.data(), number.data() + number.size(), value,
                                                std::chars_format::fixed);
  const bool complete = stopped == number.data() + number.size();
  if (number.empty() || error != std::errc{} || !complete || !is_digit(number.front()) ||
      !is_digit(number.back())) {
    return Error{quoted(text) + " is not a duration, write a number with a unit such as \"30s\" " +
                 "(units: " + std::string(kUnitNames) + ")"};
  }
  const Result<Unit> unit = parse_unit(number, text.substr(number.size()), quoted(text));
  if (!unit.ok()) return Error{unit.error()};

  const double ms = value * static_cast<double>(unit->ms);
  if (ms > static_cast<double>(kLongestDuration.count())) {
    return Error{quoted(text) + " is too long, must be at most \"24h\""};
  }
  const double rounded = std::round(ms);
  if (std::abs(ms - rounded) > 1e-6) {
    return Error{quoted(text) + " is not a whole number of milliseconds, write " +
                 quoted(std::to_string(std::max(1LL, std::llround(ms))) + "ms")};
  }
  return Duration(static_cast<Duration::rep>(rounded));
}

std::string to_text(Duration duration) {
  for (auto unit = kUnits.rbegin(); unit != kUnits.rend(); ++unit) {
    const bool exact = duration.count() % unit->ms == 0 && duration.count() != 0;
    if (exact) return std::to_string(duration.count() / unit->ms) + std::string(unit->name);
  }
  return "0s";
}

Result<HashKey> parse_hash_key(std::string_view text) {
  using Key = HashConfig::Key;
  if (text == "uri") return HashKey{Key::kUri, {}};
  if (text == "path") return HashKey{Key::kPath, {}};
  if (text == "client_ip") return HashKey{Key::kClientIp, {}};

  const auto colon = text.find(':');
  const std::string_view kind = text.substr(0, colon);
  if ((kind != "header" && kind != "cookie") || colon == text.npos) {
    return Error{quoted(text) +
                 " is not known, must be \"uri\", \"path\", \"client_ip\", \"header:NAME\" or "
                 "\"cookie:NAME\""};
  }
  const std::string_view name = text.substr(colon + 1);
  if (!is_token(name)) {
    return Error{quoted(text) + " has no valid " + std::string(kind) + " name, write for example " +
                 (kind == "header" ? "\"header:X-User\"" : "\"cookie:session\"")};
  }
  if (kind == "header") return HashKey{Key::kHeader, lower(name)};
  return HashKey{Key::kCookie, std::string(name)};
}

Result<StatusRanges> parse_status_ranges(std::string_view text) {
  StatusRanges ranges;
  for (std::string_view rest = text;;) {
    const auto comma = rest.find(',');
    auto range = parse_status_range(trimmed(rest.substr(0, comma)));
    if (!range.ok()) return Error{range.error()};
    ranges.push_back(*range);
    if (comma == rest.npos) return ranges;
    rest.remove_prefix(comma + 1);
  }
}

Result<std::string> parse_probe_path(std::string_view text) {
  if (!text.empty() && text.front() != '/') {
    return Error{quoted(text) +
                 " does not begin with \"/\", write for example \"/health\", or \"\" " +
                 "for a TCP connect only"};
  }
  for (const char c : text) {
    if (c <= ' ' || c > '~' || c == '#') {
      return Error{quoted(text) + " has a character that a request target cannot have, " +
                   "write it percent-encoded (a space is %20)"};
    }
  }
  return std::string(text);
}

Result<std::string> parse_backend_name(std::string_view text) {
  const bool legal = std::all_of(text.begin(), text.end(), [](char c) {
    return is_alnum(c) || c == '.' || c == '_' || c == '-';
  });
  if (text.empty() || text.size() > kMaxBackendName || !legal) {
    return Error{quoted(text) + " is not a name, must be 1 to " + std::to_string(kMaxBackendName) +
                 " letters, digits, '.', '_' or '-'"};
  }
  if (text.front() == '-') {
    return Error{quoted(text) + " begins with '-', which `ringmaster ctl` takes for an option"};
  }
  return std::string(text);
}

Result<std::string> parse_unix_path(std::string_view text) {
  constexpr std::size_t kLongest = sizeof(sockaddr_un::sun_path) - 1;
  if (text.empty()) return std::string();
  if (text.front() != '/' || text.find('\0') != text.npos) {
    return Error{quoted(text) + " is not an absolute path, write for example " +
                 "\"/run/ringmaster/control.sock\""};
  }
  if (text.size() > kLongest) {
    return Error{quoted(text) + " is too long for a Unix socket, must be at most " +
                 std::to_string(kLongest) + " characters"};
  }
  return std::string(text);
}

Result<std::string> parse_access_log(std::string_view text) {
  const bool path = text.starts_with('/') && text.find('\0') == text.npos;
  if (path || text == "off" || text == "stderr") return std::string(text);
  return Error{quoted(text) + " is not known, must be \"off\", \"stderr\" or an absolute path"};
}

Result<log::Level> parse_log_level(std::string_view text) {
  if (text == "debug") return log::Level::kDebug;
  if (text == "info") return log::Level::kInfo;
  if (text == "warning") return log::Level::kWarning;
  if (text == "error") return log::Level::kError;
  return Error{quoted(text) +
               " is not known, must be \"debug\", \"info\", \"warning\" or \"error\""};
}

}  // namespace ringmaster
