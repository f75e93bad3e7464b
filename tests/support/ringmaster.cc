#include "tests/support/ringmaster.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <algorithm>
#include <csignal>
#include <filesystem>
#include <future>
#include <iostream>
#include <nlohmann/json.hpp>
#include <stdexcept>

#include "tests/support/backend.h"

namespace ringmaster::test {
namespace {

// Adds `line` to a table that is opened anew if `config` has none of that name.
void add_key(std::string& config, const std::string& table, const std::string& key,
             const std::string& value) {
  const std::string header = "[" + table + "]\n";
  const std::string line = key + " = \"" + value + "\"\n";
  std::size_t at = config.starts_with(header) ? 0 : config.find("\n" + header);
  if (at == std::string::npos) {
    config = header + line + "\n" + config;
    return;
  }
  if (config[at] == '\n') ++at;
  const std::size_t begin = at + header.size();
  const std::string body = config.substr(begin, config.find("\n[", begin) - begin);
  const bool has_key =
      body.starts_with(key + " =") || body.find("\n" + key + " =") != std::string::npos;
  if (!has_key) config.insert(begin, line);
}

// Every "<words> ADDRESS:PORT" in complete lines of the log.
std::vector<Endpoint> announced(const std::string& log, const std::string& words) {
  std::vector<Endpoint> found;
  for (std::size_t at = 0; (at = log.find(words, at)) != std::string::npos;) {
    at += words.size();
    const std::size_t end = log.find_first_of(" ,;\n", at);
    if (end == std::string::npos) break;
    found.push_back(Endpoint::parse(log.substr(at, end - at)));
  }
  return found;
}

constexpr const char* kConfigFile = "ringmaster.toml";

std::vector<std::string> command_line(const TempDir& dir, std::vector<std::string> command) {
  if (command.empty()) command.push_back(ringmaster_binary());
  command.insert(command.end(), {"-c", dir.path(kConfigFile)});
  return command;
}

const TempDir& with_config(const TempDir& dir, const std::string& config) {
  std::string text = complete_config(config);
  add_key(text, "admin", "socket", dir.path("control.sock"));
  write_whole_file(dir.path(kConfigFile), text);
  return dir;
}

}  // namespace

bool only_this_generation_is_left(const nlohmann::json& status) {
  const auto& workers = status.at("workers");
  return std::all_of(workers.begin(), workers.end(), [&](const auto& worker) {
    return worker.at("generation") == status.at("generation");
  });
}

bool is_worker(pid_t pid) {
  return read_whole_file("/proc/" + std::to_string(pid) + "/comm") == "ringmaster-wrkr\n";
}

std::string complete_config(const std::string& config) {
  std::string text = config;
  const std::string any_port = own_loopback() + ":0";
  add_key(text, "server", "listen", any_port);
  add_key(text, "admin", "listen", any_port);
  add_key(text, "health", "path", std::string(kProbePath));
  return text;
}

Ringmaster::Ringmaster(const std::string& config, StartOptions options)
    : process_(command_line(with_config(dir_, config), std::move(options.command)),
               std::move(options.environment)) {
  wait_until_listening();
  if (!options.wait_until_ready) return;
  const bool ready = wait_until([this] {
    try {
      return ready_status() == 200;
    } catch (const StreamError&) {
      return false;
    }
  });
  if (!ready) throw std::runtime_error("ringmaster is never ready; its log:\n" + process_.log());
}

void Ringmaster::wait_until_listening() {
  const bool found = wait_until([this] {
    const std::string log = process_.log();
    const auto admin = announced(log, "admin on ");
    listeners_ = announced(log, "listening on ");
    if (!admin.empty()) admin_ = admin.front();
    return (!admin.empty() && !listeners_.empty()) || process_.wait_exit(milliseconds(0));
  });
  if (!found || listeners_.empty() || admin_.port == 0) {
    throw std::runtime_error("ringmaster does not listen; its log:\n" + process_.log());
  }
}

Ringmaster::~Ringmaster() {
  const std::string log = process_.log();
  for (const char* report : {"ERROR: AddressSanitizer", "ERROR: LeakSanitizer", "runtime error:"}) {
    if (log.find(report) != std::string::npos) ADD_FAILURE() << "a sanitizer complains";
  }
  if (::testing::Test::HasFailure()) std::cerr << "---- ringmaster's log:\n" << log << "----\n";
}

Metrics Ringmaster::metrics() const {
  return Metrics(get(admin_, "/metrics").body);
}

double Ringmaster::rejected(const std::string& reason) const {
  return metrics().get("ringmaster_rejected_total{reason=\"" + reason + "\"}");
}

nlohmann::json Ringmaster::status() const {
  return nlohmann::json::parse(get(admin_, "/status").body);
}

bool Ringmaster::only_this_generation_is_left() const {
  return test::only_this_generation_is_left(status());
}

std::string Ringmaster::backend_state(const std::string& name) const {
  const nlohmann::json status = this->status();
  for (const auto& backend : status.at("backends")) {
    if (backend.at("name") == name) return backend.at("state");
  }
  return "";
}

bool Ringmaster::wait_for_state(const std::string& backend, const std::string& state,
                                milliseconds patience) const {
  return wait_until([&] { return backend_state(backend) == state; }, patience);
}

std::string Ringmaster::path_of(const std::string& backend) const {
  Client client(endpoint());
  for (int i = 0; i < 1000; ++i) {
    const std::string path = "/key/" + std::to_string(i);
    if (client.get(path).backend() == backend) return path;
  }
  throw std::runtime_error("no key reaches " + backend);
}

Finished Ringmaster::ctl(std::vector<std::string> words, milliseconds patience) const {
  words.insert(words.begin(), {ringmaster_binary(), "ctl", "--socket", dir_.path("control.sock")});
  return run(std::move(words), {}, patience);
}

Finished Ringmaster::reload_killing_new_workers() {
  // Who kills has the processor before those who are to be killed. They inherit this.
  ::setpriority(PRIO_PROCESS, static_cast<id_t>(process_.pid()), 19);
  const std::vector<pid_t> serving = workers();
  auto reload = std::async(std::launch::async, [this] { return ctl({"reload"}, 4 * kPatience); });
  const auto kill_new_workers = [&] {
    for (const pid_t pid : children_of(process_.pid())) {
      const bool is_new = std::count(serving.begin(), serving.end(), pid) == 0;
      if (is_new && is_worker(pid)) ::kill(pid, SIGKILL);
    }
  };
  // Each death is a line of the log, which becomes too long to be read between any two.
  do {
    for (int i = 0; i < 100; ++i) kill_new_workers();
  } while (process_.log().find("did not come up") == std::string::npos &&
           reload.wait_for(milliseconds(0)) != std::future_status::ready);
  return reload.get();
}

void Ringmaster::write_config(const std::string& config) {
  with_config(dir_, config);
}

void Ringmaster::replace_config_by_pipe() {
  const std::string file = dir_.path("ringmaster.toml");
  std::filesystem::remove(file);
  if (::mkfifo(file.c_str(), 0600) != 0) throw std::runtime_error("mkfifo " + file);
}

Exit Ringmaster::stop(int signal_number, milliseconds patience) {
  process_.signal(signal_number);
  return process_.wait_exit(patience).value_or(Exit{});
}

}  // namespace ringmaster::test
