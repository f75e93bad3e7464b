// The one composition root: the command line, and the only place that knows both master and worker.
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/resource.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <system_error>
#include <utility>

#include "master/config/config_loader.h"
#include "master/config/config_warnings.h"
#include "master/config/start_config.h"
#include "master/ctl/ctl.h"
#include "master/demo/demo_backends.h"
#include "master/demo/demo_config.h"
#include "master/launch.h"
#include "master/master.h"
#include "master/version.h"
#include "worker/worker.h"

namespace ringmaster {
namespace {

constexpr timespec kFailurePause{.tv_sec = 1, .tv_nsec = 0};

struct Options {
  std::string config_file = kDefaultConfig;
  bool check = false;
  bool demo = false;
};

void describe(CLI::App& app, Options& options) {
  auto* config = app.add_option("-c,--config", options.config_file, "Config file")
                     ->capture_default_str()
                     ->check([](const std::string& file) {
                       return file.empty() ? "the name of the file is empty" : "";
                     });
  auto* check =
      app.add_flag("--check", options.check,
                   "Check the config: prints \"ok\", or every error with its place, and exits");
  app.add_flag("--demo", options.demo,
               "Run with three small built-in backends on 127.0.0.1:8081-8083, listening on :3000")
      ->excludes(check)
      ->excludes(config);
  app.set_version_flag("--version", fmt::format("ringmaster {} ({})", kVersion, kRevision));
  app.footer(
      "Signals:\n"
      "  SIGINT, SIGTERM, SIGQUIT   stop: close the listeners, answer what is in\n"
      "                             flight, then exit\n"
      "  SIGINT during a stop       cut what is still in flight\n"
      "  SIGHUP                     reload config and binary; `ringmaster ctl reload`\n"
      "                             also reports the outcome\n"
      "Exit status: 0 clean stop, 1 bad config or usage, 2 could not start,\n"
      "             3 stopped but cut requests.\n"
      "\n"
      "Examples:\n"
      "  ringmaster --demo                          # then: curl localhost:3000/\n"
      "  ringmaster --check -c /etc/ringmaster/ringmaster.toml\n"
      "  curl -s localhost:9180/metrics             # what Prometheus scrapes\n");
}

// As many connections as the administrator allows, not as the shell happens to. Returns how many
// files may be open then.
rlim_t raise_file_limit() {
  rlimit files{};
  if (::getrlimit(RLIMIT_NOFILE, &files) != 0) return RLIM_INFINITY;
  files.rlim_cur = files.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &files);
  return files.rlim_cur;
}

sigset_t our_signals() {
  sigset_t ours;
  sigemptyset(&ours);
  for (const int number : {SIGINT, SIGTERM, SIGQUIT, SIGHUP}) sigaddset(&ours, number);
  return ours;
}

// Until the master listens to them, signals wait: one that comes early stops or reloads as any
// other.
void hold_signals() {
  const sigset_t ours = our_signals();
  ::sigprocmask(SIG_BLOCK, &ours, nullptr);
  // None of these is for us; as they are by nature, each would end the service.
  for (const int number : {SIGPIPE, SIGUSR1, SIGUSR2, SIGALRM, SIGXFSZ}) ::signal(number, SIG_IGN);
}

// Whoever started us may have closed these: what is opened next must not pass for them.
void fill_standard_descriptors() {
  int fd = 0;
  do fd = ::open("/dev/null", O_RDWR);
  while (fd >= 0 && fd <= STDERR_FILENO);
  if (fd > STDERR_FILENO) ::close(fd);
}

int check(const Launch& launch) {
  const LoadedConfig loaded = load_config_file(launch.config_file);
  for (const ConfigProblem& problem : loaded.problems) {
    fmt::print(stderr, "{}\n", format_problem(launch.config_file, problem));
  }
  if (!loaded.problems.empty()) return kExitUsage;
  for (const ConfigProblem& warning : loaded.warnings) {
    fmt::print(stderr, "warning: {}\n", format_problem(launch.config_file, warning));
  }
  fmt::print("ok\n");
  return kExitOk;
}

void say_what_to_try(const std::string& binary) {
  fmt::print(
      "Three backends, one balancer. Try, in another terminal:\n"
      "  curl -i localhost:3000/any/path      # the same path always reaches the same backend\n"
      "  curl -s localhost:9180/status        # who is up, who owns what\n"
      "  curl -s localhost:9180/metrics       # for Prometheus\n"
      "  curl localhost:3000/sleep/5          # then press ^C here: it is still answered\n");
  if (const std::string socket = demo_control_path(); !socket.empty()) {
    fmt::print(
        "  {} ctl --socket {} status\n"
        "                                       # also: drain s1, ready s1, why REQUEST-ID, "
        "recorder\n",
        binary, socket);
  }
  std::fflush(stdout);
}

// A master with the config that was chosen, or, where that cannot be had and somebody served here
// before, with the last good one.
Result<std::unique_ptr<Master>> create_master(const StartConfig& start, const Launch& launch,
                                              Inheritance& inherited) {
  auto master = Master::create(start, launch, inherited);
  if (master || !start.failure.empty()) return master;
  const auto last = last_good_config(inherited, master.error());
  return last ? Master::create(*last, launch, inherited) : std::move(master);
}

// In order, libuv would wait for its threads, and each of those for a DNS server that is silent; an
// answer that came meanwhile would go to a loop that is gone.
[[noreturn]] void leave_without_waiting(int exit_code) {
  std::fflush(nullptr);
  ::_exit(exit_code);
}

// systemd starts a service again that fails, and one that its socket unit has clients for: at once,
// and without end. Nothing is gained by more than a try a second. A stop is not kept waiting.
int fail_slowly(int exit_code) {
  if (std::getenv("NOTIFY_SOCKET") == nullptr) return exit_code;
  const sigset_t awaited = our_signals();
  ::sigtimedwait(&awaited, nullptr, &kFailurePause);
  return exit_code;
}

int serve(const Options& options, const Launch& launch) {
  hold_signals();
  log::start("master", log::Level::kInfo);
  Inheritance inherited = find_inheritance();
  const auto start = choose_config(launch, inherited);
  if (!start) return fail_slowly(kExitUsage);
  log::start("master", start->config.log.level);
  log::info("ringmaster {} ({}) {}, config: {}", kVersion, kRevision,
            inherited.is_takeover ? "takes over" : "starts",
            options.demo ? "the demo's" : launch.config_file);
  // With fewer it starts half, or libuv ends it. The service that runs is no start, and goes on.
  constexpr rlim_t kLeastFiles = 32;
  const rlim_t files = raise_file_limit();
  if (files < kLeastFiles && !inherited.is_takeover) {
    log::error("the limit on open files is {}, must be at least {} (LimitNOFILE, ulimit -n)", files,
               kLeastFiles);
    return fail_slowly(kExitCannotStart);
  }
  for (const std::string& warning : start->warnings) log::warning("{}", warning);
  if (const auto warning = warning_of_file_limit(start->config.server))
    log::warning("{}", *warning);
  if (options.demo) {
    if (auto started = start_demo_backends(start->config.backends); !started) {
      log::error("{}", started.error());
      return kExitCannotStart;
    }
  }
  auto master = create_master(*start, launch, inherited);
  if (!master) {
    log::error("{}", master.error());
    return fail_slowly(kExitCannotStart);
  }
  if (options.demo) say_what_to_try(launch.binary);
  Master::Outcome outcome = (*master)->run();
  // A worker never returns to the master's objects: they are the master's, in the other process.
  if (outcome.birth) ::_exit(run_worker(*std::move(outcome.birth)));
  if ((*master)->has_lookups_under_way()) leave_without_waiting(outcome.exit_code);
  return outcome.exit_code;
}

// Runs `task`, which prints. A success that nobody was told of is none.
template <class Task>
int once_told(Task&& task) {
  int exit_code = kExitOk;
  try {
    exit_code = task();
    if (std::fflush(stdout) == 0 && std::ferror(stdout) == 0) return exit_code;
  } catch (const std::system_error& error) {  // of the printing
    errno = error.code().value();
  }
  fmt::print(stderr, "ringmaster: cannot write the output: {}\n", std::strerror(errno));
  return exit_code == kExitOk ? kExitUsage : exit_code;
}

}  // namespace
}  // namespace ringmaster

int main(int argc, char** argv) {
  using namespace ringmaster;
  fill_standard_descriptors();
  try {
    CLI::App app{
        "Ringmaster, an HTTP/1.1 load balancer: consistent hashing, exact rate limits,\n"
        "active health checks, and nobody cut off when it stops.",
        "ringmaster"};
    Options options;
    describe(app, options);
    CtlOptions ctl_options;
    CLI::App* ctl = describe_ctl(app, ctl_options);
    try {
      app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
      return app.exit(error) == 0 ? kExitOk : kExitUsage;
    }
    if (ctl->parsed()) {
      if (options.check || options.demo) {
        fmt::print(stderr, "ringmaster: ctl does not go with {}\n",
                   options.check ? "--check" : "--demo");
        return kExitUsage;
      }
      ctl_options.config_file = options.config_file;
      return once_told([&] { return run_ctl(ctl_options); });
    }
    const Launch launch{path_of_binary(argv[0]), std::vector<std::string>(argv, argv + argc),
                        options.demo ? "" : options.config_file};
    return options.check ? once_told([&] { return check(launch); }) : serve(options, launch);
  } catch (const std::exception& error) {
    fmt::print(stderr, "ringmaster: {}\n", error.what());
    return fail_slowly(kExitCannotStart);
  }
}
