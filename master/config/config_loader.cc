#include "master/config/config_loader.h"

#include <fcntl.h>
#include <spdlog/fmt/fmt.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <exception>
#include <iterator>
#include <optional>
#include <utility>

#include "master/config/config_reader.h"
#include "master/config/config_schema.h"
#include "master/config/config_text.h"
#include "master/config/config_warnings.h"
#include "shared/base/unique_fd.h"

namespace ringmaster {
namespace {

// Of one file: each costs reading it once more.
constexpr std::size_t kMostSyntaxErrors = 100;

// Looks like a quotation mark, and is none of TOML's: from a word processor or a web page.
bool has_typographic_quotes(std::string_view line) {
  constexpr std::string_view kMarks[] = {"\u201c", "\u201d", "\u2018", "\u2019", "\u201e"};
  return std::any_of(std::begin(kMarks), std::end(kMarks),
                     [line](std::string_view mark) { return line.find(mark) != line.npos; });
}

// What toml++ says of `line`, in fewer words, and what was probably meant.
std::string syntax_message(std::string_view description, std::string_view line) {
  constexpr std::string_view kPreamble = "Error while parsing ";
  if (description.starts_with(kPreamble)) description.remove_prefix(kPreamble.size());
  constexpr struct {
    std::string_view sign, advice;
  } kAdvice[] = {
      {"could not determine value type", ", text needs quotes around it"},
      {"integer: expected digit", ", text needs quotes around it, for example \"30s\""},
      {"floating-point: expected", ", text needs quotes around it"},
      {"boolean: expected", ", text needs quotes around it"},
      {"time:", ", text needs quotes around it"},
      {"date:", ", text needs quotes around it"},
      {"string: unescaped control characters", ", is a closing quote missing?"},
      {"cannot redefine existing", ", remove one of the two"},
      {"expected '='", ", write key = value"},
  };
  std::string message = "not valid TOML: " + printable(description);
  if (has_typographic_quotes(line)) return message + ", write \" for these quotation marks";
  for (const auto& [sign, advice] : kAdvice) {
    if (description.find(sign) == description.npos) continue;
    message += advice;
    break;
  }
  return message;
}

LoadedConfig only_problem(ConfigProblem problem) {
  LoadedConfig loaded;
  loaded.problems.push_back(std::move(problem));
  return loaded;
}

// Whether it is the value that is wrong of a "key = value" that begins and ends on this line.
// `column`: where the error is, from 1.
bool is_bad_value(std::string_view line, std::size_t column) {
  const std::size_t equals = line.find('=');
  if (equals == line.npos || column <= equals + 1) return false;
  line = trimmed(line);
  const auto key_end =
      std::find_if_not(line.begin(), line.end(), [](char c) { return is_alnum(c) || c == '_'; });
  const auto rest = trimmed(line.substr(static_cast<std::size_t>(key_end - line.begin())));
  return key_end != line.begin() && rest.starts_with('=') &&
         rest.find_first_of("[{") == rest.npos && rest.find("\"\"\"") == rest.npos &&
         rest.find("'''") == rest.npos;
}

// toml++ goes down one call for each part of a dotted key, however many there are. Where so many
// begin; npos: nowhere.
std::size_t find_endless_key(std::string_view text) {
  constexpr std::size_t kMostDots = 1000;
  std::size_t dots = 0;
  std::size_t begin = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    const bool may_be_of_key = is_alnum(c) || std::string_view("._- \t\"'").find(c) != text.npos;
    if (!may_be_of_key) {
      dots = 0;
      begin = i + 1;
    } else if (c == '.' && ++dots > kMostDots) {
      return begin;
    }
  }
  return text.npos;
}

// A value that is no TOML does not hide what else is wrong: it is noted, and the rest read without
// it. Nothing where the error is another, behind which all may mean something else.
std::optional<toml::table> parse_in_part(std::string toml_text,
                                         std::vector<ConfigProblem>& problems) {
  while (problems.size() < kMostSyntaxErrors) {
    try {
      return toml::parse(toml_text);
    } catch (const toml::parse_error& error) {
      const toml::source_position at = error.source().begin;
      const std::string_view line = line_at(toml_text, at.line);
      // The same once more, behind a line that was left out: an end that is missing.
      if (!problems.empty() && problems.back().line == at.line &&
          problems.back().column == at.column) {
        return std::nullopt;
      }
      problems.push_back({at.line, at.column, syntax_message(error.description(), line)});
      if (!is_bad_value(line, at.column)) return std::nullopt;
      blank(toml_text, line);
    }
  }
  return std::nullopt;
}

Error unreadable(std::string_view why) {
  return {fmt::format("cannot be read: {}", why)};
}

}  // namespace

// Also reads a pipe, as in -c <(generate-config).
Result<std::string> read_config_file(const std::string& path) {
  constexpr std::size_t kLargest = 16 << 20;
  const UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file.is_open()) return unreadable(std::strerror(errno));
  std::string text;
  std::array<char, 65'536> piece;
  while (true) {
    const ssize_t n = ::read(file.get(), piece.data(), piece.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return unreadable(std::strerror(errno));
    if (n == 0) return text;
    text.append(piece.data(), static_cast<std::size_t>(n));
    if (text.size() > kLargest) return unreadable("it is larger than 16 MiB");
  }
}

bool can_be_read_but_once(const std::string& path) {
  struct stat status;
  return ::stat(path.c_str(), &status) == 0 && !S_ISREG(status.st_mode) && !S_ISDIR(status.st_mode);
}

LoadedConfig load_config(std::string_view toml_text) {
  LoadedConfig loaded;
  if (const std::size_t at = find_endless_key(toml_text); at != toml_text.npos) {
    const auto before = toml_text.substr(0, at);
    const auto line =
        static_cast<std::uint32_t>(std::count(before.begin(), before.end(), '\n') + 1);
    const auto column = static_cast<std::uint32_t>(at - (before.rfind('\n') + 1) + 1);
    return only_problem(
        {line, column, "not valid TOML: a key of more than 1000 parts, must be at most two"});
  }
  try {
    const auto root = parse_in_part(std::string(toml_text), loaded.problems);
    if (!root) return loaded;
    ConfigReader document(*root, /*has_gaps=*/!loaded.problems.empty());
    read_schema(document, loaded.config);
    std::vector<ConfigProblem> problems = document.take_problems();
    std::move(problems.begin(), problems.end(), std::back_inserter(loaded.problems));
    sort_by_position(loaded.problems);
    if (loaded.problems.empty()) loaded.warnings = warnings_of(loaded.config, document);
    return loaded;
  } catch (const std::exception& error) {
    return only_problem({0, 0, fmt::format("cannot be loaded: {}", error.what())});
  }
}

LoadedConfig load_config_file(const std::string& path) {
  const Result<std::string> text = read_config_file(path);
  if (!text.ok()) return only_problem({0, 0, text.error()});
  return load_config(*text);
}

std::string format_problem(std::string_view file, const ConfigProblem& problem) {
  if (problem.line == 0) return fmt::format("{}: {}", file, problem.message);
  return fmt::format("{}:{}:{}: {}", file, problem.line, problem.column, problem.message);
}

}  // namespace ringmaster
