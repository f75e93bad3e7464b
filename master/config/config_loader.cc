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
#include <utility>

#include "master/config/config_reader.h"
#include "master/config/config_schema.h"
#include "master/config/config_text.h"
#include "master/config/config_warnings.h"
#include "shared/base/unique_fd.h"

namespace ringmaster {
namespace {

// What toml++ says, in fewer words, and what was probably meant.
std::string syntax_message(std::string_view description) {
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

// Leaves the others where they are. `line`: from 1 on.
void blank_line(std::string& text, std::size_t line) {
  std::size_t begin = 0;
  for (; line > 1; --line) {
    const std::size_t end = text.find('\n', begin);
    if (end == text.npos) break;
    begin = end + 1;
  }
  const std::size_t end = std::min(text.find('\n', begin), text.size());
  std::fill(text.begin() + static_cast<std::ptrdiff_t>(begin),
            text.begin() + static_cast<std::ptrdiff_t>(end), ' ');
}

// From its heading to the next; empty if there is none.
std::string_view find_table(std::string_view toml_text, std::string_view heading) {
  std::size_t at = 0;
  while (!toml_text.substr(at).starts_with(heading)) {
    const std::size_t end = toml_text.find('\n', at);
    if (end == toml_text.npos) return {};
    at = end + 1;
  }
  return toml_text.substr(at, toml_text.find("\n[", at) - at);
}

// Line by line, what is no TOML is passed over.
std::string read_control_socket(std::string toml_text) {
  constexpr int kMostBrokenLines = 100;
  for (int broken = 0; broken < kMostBrokenLines; ++broken) {
    try {
      const toml::table root = toml::parse(toml_text);
      return root["admin"]["socket"].value_or(std::string());
    } catch (const toml::parse_error& error) {
      blank_line(toml_text, error.source().begin.line);
    } catch (const std::exception&) {
      break;
    }
  }
  return {};
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
  try {
    const toml::table root = toml::parse(toml_text);
    ConfigReader document(root);
    LoadedConfig loaded;
    read_schema(document, loaded.config);
    loaded.problems = document.take_problems();
    if (loaded.problems.empty()) loaded.warnings = warnings_of(loaded.config, document);
    return loaded;
  } catch (const toml::parse_error& error) {
    const toml::source_position at = error.source().begin;
    return only_problem({at.line, at.column, syntax_message(error.description())});
  } catch (const std::exception& error) {
    return only_problem({0, 0, fmt::format("cannot be loaded: {}", error.what())});
  }
}

LoadedConfig load_config_file(const std::string& path) {
  const Result<std::string> text = read_config_file(path);
  if (!text.ok()) return only_problem({0, 0, text.error()});
  return load_config(*text);
}

std::string find_control_socket(std::string_view toml_text) {
  // The table by itself first: what is not closed before it breaks all that follows.
  for (const std::string_view part : {find_table(toml_text, "[admin]"), toml_text}) {
    std::string socket = read_control_socket(std::string(part));
    if (!socket.empty()) return socket;
  }
  return {};
}

std::string format_problem(std::string_view file, const ConfigProblem& problem) {
  if (problem.line == 0) return fmt::format("{}: {}", file, problem.message);
  return fmt::format("{}:{}:{}: {}", file, problem.line, problem.column, problem.message);
}

std::string format_warning(std::string_view file, const ConfigProblem& warning) {
  return format_problem(file, {warning.line, warning.column, "warning: " + warning.message});
}

}  // namespace ringmaster
