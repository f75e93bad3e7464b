// Any text as a config file: a config that can be used, or problems that can be shown.
#include <algorithm>
#include <set>
#include <string>
#include <tuple>

#include "master/config/config_loader.h"
#include "tests/fuzz/finding.h"
#include "tests/fuzz/targets.h"

namespace ringmaster::fuzz {
namespace {

void judge_problems(std::string_view text, const LoadedConfig& loaded) {
  const auto lines = static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n')) + 1;
  const auto place = [](const ConfigProblem& problem) {
    return std::tuple(problem.line, problem.column);
  };
  demand(std::is_sorted(loaded.problems.begin(), loaded.problems.end(),
                        [&](const auto& a, const auto& b) { return place(a) < place(b); }),
         "problems out of order");
  for (const ConfigProblem& problem : loaded.problems) {
    demand(problem.line <= lines, "a problem behind the end of the text");
    demand(!problem.message.empty(), "a problem that says nothing");
    const std::string shown = format_problem("f", problem);
    const auto is_control = [](char c) { return (c >= 0 && c < 0x20) || c == 0x7f; };
    demand(std::none_of(shown.begin(), shown.end(), is_control),
           "a problem that would spoil the terminal: " + shown);
  }
}

// What all the other code relies on.
void judge_config(const Config& config) {
  demand(!config.server.listen.empty(), "no listener");
  demand(config.server.workers >= 1 && config.server.workers <= kMaxWorkers, "workers");
  demand(!config.backends.empty() && config.backends.size() <= kMaxBackends, "backends");
  std::set<std::string> names;
  for (const BackendConfig& backend : config.backends) {
    demand(!backend.name.empty() && backend.name.size() <= kMaxBackendName, "a backend's name");
    demand(names.insert(backend.name).second, "two backends of one name");
    demand(!backend.host.empty() && backend.port != 0, "a backend's address");
    demand(backend.weight >= 1, "a backend's weight");
  }
  demand(config.hash.virtual_nodes >= 1, "virtual_nodes");
  demand(config.hash.balance_factor == 0 || config.hash.balance_factor >= 1, "balance_factor");
  demand(config.health.rise >= 1 && config.health.fall >= 1, "rise and fall");
  demand(config.health.interval.count() > 0 && config.health.timeout.count() > 0, "health");
  demand(config.rate_limit.requests_per_second == 0 || config.rate_limit.burst >= 1, "burst");
}

}  // namespace

void fuzz_config(std::string_view input) {
  const LoadedConfig loaded = load_config(input);
  judge_problems(input, loaded);
  if (loaded.problems.empty()) judge_config(loaded.config);
}

}  // namespace ringmaster::fuzz
