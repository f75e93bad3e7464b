// The product as its operator sees it: the real binary with a TOML config, its ports, its metrics,
// its status, its processes. The config stands in the test; what every test would repeat is added
// here.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "tests/support/client.h"
#include "tests/support/files.h"
#include "tests/support/metrics.h"
#include "tests/support/places.h"
#include "tests/support/process.h"

namespace ringmaster::test {

// All workers that /status knows are of the present generation.
bool only_this_generation_is_left(const nlohmann::json& status);
// A worker of whatever master, and not the child that checks a new config.
bool is_worker(pid_t pid);

struct StartOptions {
  std::vector<std::string> environment = {};
  // Runs another file than the one under test, or that one behind other words (a shell's).
  std::vector<std::string> command = {};
  bool wait_until_ready = true;  // /readyz says 200; else only until it listens
};

class Ringmaster {
 public:
  // `config` is TOML. Where it does not set them itself, this adds: a listener and an admin
  // listener on ports that the kernel chooses, and health.path = kProbePath.
  explicit Ringmaster(const std::string& config, StartOptions options = {});
  // Prints the log if the test has failed; a sanitizer's report in it fails the test.
  ~Ringmaster();

  const Endpoint& endpoint(std::size_t listener = 0) const { return listeners_.at(listener); }
  const Endpoint& admin() const { return admin_; }
  Process& process() { return process_; }
  std::vector<pid_t> workers() const { return process_.children(); }

  Metrics metrics() const;
  // How many requests it answered itself, or cut, for that reason.
  double rejected(const std::string& reason) const;
  nlohmann::json status() const;
  bool only_this_generation_is_left() const;
  // "up", "down", … as /status has it; empty if there is no such backend.
  std::string backend_state(const std::string& name) const;
  int ready_status() const { return get(admin_, "/readyz").status; }
  // Waits until /status says so; false if it never does.
  bool wait_for_state(const std::string& backend, const std::string& state,
                      milliseconds patience = kPatience) const;

  // A path whose key belongs to that backend, found by asking. Throws std::runtime_error if there
  // is none among a thousand.
  std::string path_of(const std::string& backend) const;

  // `ringmaster ctl …` against this one.
  Finished ctl(std::vector<std::string> words, milliseconds patience = kPatience) const;
  // `ringmaster ctl reload`, while each worker that it brings forth is killed: if the new config
  // wants many (64), they never serve all at once.
  Finished reload_killing_new_workers();
  // Puts another config in the file's place; it counts with the next reload.
  void write_config(const std::string& config);
  // Likewise a pipe that nobody writes to.
  void replace_config_by_pipe();

  // Sends the signal and waits for the end; an Exit of all -1 if it does not come.
  Exit stop(int signal_number, milliseconds patience = kPatience);

 private:
  void wait_until_listening();

  TempDir dir_;
  Process process_;
  std::vector<Endpoint> listeners_;
  Endpoint admin_;
};

// The config as Ringmaster() would complete it.
std::string complete_config(const std::string& config);

}  // namespace ringmaster::test
