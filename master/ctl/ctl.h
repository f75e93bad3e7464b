// `ringmaster ctl`: asks the running master something over its control socket, or tells it to do
// something, waits for the outcome, prints it, and exits with it.
#pragma once

#include <CLI/CLI.hpp>
#include <string>

#include "master/config/config_loader.h"

namespace ringmaster {

struct CtlOptions {
  std::string socket;  // --socket; empty: found by the config and the environment
  std::string config_file = kDefaultConfig;  // -c
  std::string command;                       // "status", "reload", …
  std::string argument;                      // NAME of `drain` and `ready`, REQUEST-ID of `why`
  std::size_t last = 20;                     // of `recorder`
  bool dead = false;                         // likewise
  bool json = false;
};

// Adds the subcommand and its own; the app fills `options` when it parses.
CLI::App* describe_ctl(CLI::App& app, CtlOptions& options);

// The exit code: 0, or 1 where the master refuses or cannot be asked.
int run_ctl(const CtlOptions& options);

}  // namespace ringmaster
