#include "master/config/config_loader.h"

#include <fcntl.h>
#include <spdlog/fmt/fmt.h>
#include <sys/stat.h>
#include <unistd.h>

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

std::string format_problem(std::string_view file, const ConfigProblem& problem) {
  if (problem.line == 0) return fmt::format("{}: {}", file, problem.message);
  return fmt::format("{}:{}:{}: {}", file, problem.line, problem.column, problem.message);
}

std::string format_warning(std::string_view file, const ConfigProblem& warning) {
  return format_problem(file, {warning.line, warning.column, "warning: " + warning.message});
}

}  // namespace ringmaster
