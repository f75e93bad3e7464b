#include "master/config/start_config.h"

#include <csignal>
#include <utility>

#include "master/config/config_loader.h"
#include "master/demo/demo_config.h"
#include "shared/base/log.h"

namespace ringmaster {
namespace {

std::string describe(const std::string& file, const std::vector<ConfigProblem>& problems) {
  std::string text;
  for (const ConfigProblem& problem : problems) {
    text += (text.empty() ? "" : "\n") + format_problem(file, problem);
  }
  return text;
}

std::vector<std::string> describe_warnings(const std::string& file,
                                           const std::vector<ConfigProblem>& warnings) {
  std::vector<std::string> lines;
  for (const ConfigProblem& warning : warnings) lines.push_back(format_problem(file, warning));
  return lines;
}

// A pipe keeps a start waiting for who writes to it: nothing runs yet that a stop would have to end
// in order.
Result<std::string> read_config_of_start(const std::string& file) {
  if (!can_be_read_but_once(file)) return read_config_file(file);
  sigset_t stops;
  sigemptyset(&stops);
  for (const int number : {SIGINT, SIGTERM, SIGQUIT}) sigaddset(&stops, number);
  ::sigprocmask(SIG_UNBLOCK, &stops, nullptr);
  auto text = read_config_file(file);
  ::sigprocmask(SIG_BLOCK, &stops, nullptr);
  return text;
}

// Where somebody served before, nobody may wait for a writer that does not come.
Result<std::string> read_config(const std::string& file, const Inheritance& inherited) {
  if (inherited.config.empty()) return read_config_of_start(file);
  return can_be_read_but_once(file) ? Error{kReadButOnce} : read_config_file(file);
}

}  // namespace

std::optional<StartConfig> last_good_config(const Inheritance& inherited,
                                            const std::string& failure) {
  if (inherited.config.empty()) return std::nullopt;
  LoadedConfig loaded = load_config(inherited.config);
  if (!loaded.problems.empty()) return std::nullopt;
  return StartConfig{std::move(loaded.config), inherited.config,
                     describe_warnings("last good config", loaded.warnings), failure};
}

std::optional<StartConfig> choose_config(const Launch& launch, const Inheritance& inherited) {
  if (!inherited.failure.empty()) {
    if (auto last = last_good_config(inherited, inherited.failure)) return last;
  }
  const bool is_demo = launch.config_file.empty();
  const std::string file = is_demo ? "demo config" : launch.config_file;
  auto text = is_demo ? Result<std::string>(demo_config_text()) : read_config(file, inherited);
  LoadedConfig loaded = text ? load_config(*text) : LoadedConfig{{}, {{0, 0, text.error()}}, {}};
  if (loaded.problems.empty()) {
    return StartConfig{
        std::move(loaded.config), *std::move(text), describe_warnings(file, loaded.warnings), {}};
  }

  const std::string problems = describe(file, loaded.problems);
  if (auto last = last_good_config(inherited, problems)) return last;
  fmt::print(stderr, "{}\n", problems);
  return std::nullopt;
}

}  // namespace ringmaster
