// The one composition root: the command line, and the only place that knows both master and worker.
#include <sys/resource.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <string>

#include "master/config_loader.h"
#include "master/demo_backends.h"
#include "master/demo_config.h"
#include "master/master.h"
#include "master/version.h"
#include "worker/worker.h"

namespace ringmaster {
namespace {

constexpr const char* kDefaultConfig = "/etc/ringmaster/ringmaster.toml";

struct Options {
  std::string config_file = kDefaultConfig;
  bool check = false;
  bool demo = false;
};

void describe(CLI::App& app, Options& options) {
  app.add_option("-c,--config", options.config_file, "Config file")->capture_default_str();
  auto* check =
      app.add_flag("--check", options.check,
                   "Check the config: prints \"ok\", or every error with its place, and exits");
  app.add_flag("--demo", options.demo,
               "Run with three small built-in backends on 127.0.0.1:8081-8083, listening on :3000")
      ->excludes(check);
  app.set_version_flag("--version", fmt::format("ringmaster {} ({})", kVersion, kRevision));
  app.footer(
      "Signals:\n"
      "  SIGINT, SIGTERM   stop: close the listeners, answer what is in flight, then exit\n"
      "  SIGINT again      cut what is still in flight\n"
      "Exit status: 0 clean stop, 1 bad config or usage, 2 could not start, 3 the stop cut "
      "requests.\n"
      "\n"
      "Examples:\n"
      "  ringmaster --demo                          # then: curl localhost:3000/\n"
      "  ringmaster --check -c /etc/ringmaster/ringmaster.toml\n"
      "  curl -s localhost:9180/metrics             # what Prometheus scrapes\n");
}

// What the config says, or nothing after all that is wrong with it was printed.
std::optional<Config> load(const Options& options) {
  LoadedConfig loaded =
      options.demo ? load_config(demo_config_text()) : load_config_file(options.config_file);
  if (loaded.problems.empty()) return std::move(loaded.config);
  const std::string file = options.demo ? "demo config" : options.config_file;
  for (const ConfigProblem& problem : loaded.problems) {
    fmt::print(stderr, "{}\n", format_problem(file, problem));
  }
  return std::nullopt;
}

// As many connections as the administrator allows, not as the shell happens to.
void raise_file_limit() {
  rlimit files;
  if (::getrlimit(RLIMIT_NOFILE, &files) != 0) return;
  files.rlim_cur = files.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &files);
}

int run(const Options& options) {
  auto config = load(options);
  if (!config) return kExitUsage;
  if (options.check) {
    fmt::print("ok\n");
    return kExitOk;
  }
  log::start("master", config->log.level);
  raise_file_limit();
  if (options.demo) {
    if (auto started = start_demo_backends(config->backends); !started) {
      log::error("{}", started.error());
      return kExitCannotStart;
    }
  }
  auto master = Master::create(*std::move(config));
  if (!master) {
    log::error("{}", master.error());
    return kExitCannotStart;
  }
  if (options.demo) {
    fmt::print(
        "Three backends, one balancer. Try, in another terminal:\n"
        "  curl -i localhost:3000/any/path      # the same path always reaches the same backend\n"
        "  curl -s localhost:9180/status        # who is up, who owns what\n"
        "  curl -s localhost:9180/metrics       # for Prometheus\n"
        "  curl localhost:3000/sleep/5          # then press ^C here: it is answered all the "
        "same\n");
    std::fflush(stdout);
  }
  Master::Outcome outcome = (*master)->run();
  // A worker never returns to the master's objects: they are the master's, in the other process.
  if (outcome.birth) ::_exit(run_worker(*std::move(outcome.birth)));
  return outcome.exit_code;
}

}  // namespace
}  // namespace ringmaster

int main(int argc, char** argv) {
  using namespace ringmaster;
  try {
    CLI::App app{
        "Ringmaster, an HTTP/1.1 load balancer: consistent hashing, exact rate limits,\n"
        "active health checks, and nobody cut off when it stops.",
        "ringmaster"};
    Options options;
    describe(app, options);
    try {
      app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
      return app.exit(error) == 0 ? kExitOk : kExitUsage;
    }
    return run(options);
  } catch (const std::exception& error) {
    fmt::print(stderr, "ringmaster: {}\n", error.what());
    return kExitCannotStart;
  }
}
