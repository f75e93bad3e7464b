#include "tests/system/service.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <stdexcept>

#include "tests/support/client.h"
#include "tests/support/files.h"

namespace ringmaster::test {
namespace {

// On a machine that is busy with other things, what is slow is not dead.
constexpr const char* kPatientConfig =
    "[health]\ninterval = \"10s\"\ntimeout = \"10s\"\n[upstream]\nconnect_timeout = \"10s\"\n";
constexpr const char* kDropIn = "/run/systemd/system/ringmaster.service.d/test.conf";

std::string trimmed(std::string text) {
  while (text.ends_with('\n')) text.pop_back();
  return text;
}

// The master's own CPU time begins anew with each of its processes, as in every client of
// Prometheus.
std::map<std::string, double> counters_of(const Metrics& metrics) {
  std::map<std::string, double> counters = metrics.counters();
  std::erase_if(counters,
                [](const auto& counter) { return counter.first.starts_with("process_"); });
  return counters;
}

}  // namespace

const std::vector<Package>& packages() {
  static const std::vector<Package> all = [] {
    std::vector<Package> found;
    for (const char* name : {"RINGMASTER_OLD_PACKAGE", "RINGMASTER_NEW_PACKAGE"}) {
      const char* file = std::getenv(name);
      if (file == nullptr) throw std::runtime_error(std::string(name) + " is not set");
      found.push_back({trimmed(must({"/usr/bin/dpkg-deb", "-f", file, "Version"}).output), file});
    }
    return found;
  }();
  return all;
}

Finished must(std::vector<std::string> argv) {
  std::string command;
  for (const std::string& word : argv) command += word + " ";
  Finished finished = run(std::move(argv), {}, kPatienceWithTheBox);
  if (finished.exit == kDone) return finished;
  throw std::runtime_error(command + "failed:\n" + finished.output + finished.log);
}

Finished apt_get(std::vector<std::string> words) {
  words.insert(words.begin(), {"/usr/bin/apt-get", "-y", "-q", "-o", "Dpkg::Use-Pty=0"});
  return run(std::move(words), {}, kPatienceWithTheBox);
}

Finished install(const Package& package) {
  return apt_get(
      {"install", "--allow-downgrades", "-o", "Dpkg::Options::=--force-confold", package.file});
}

bool is_installed() {
  return run({"/usr/bin/dpkg-query", "-W", "-f=${Status}", "ringmaster"}).output ==
         "install ok installed";
}

std::string installed_version() {
  return run({"/usr/bin/dpkg-query", "-W", "-f=${Version}", "ringmaster"}).output;
}

Finished systemctl(std::vector<std::string> words) {
  words.insert(words.begin(), "/usr/bin/systemctl");
  return run(std::move(words), {}, kPatienceWithTheBox);
}

Finished ctl(std::vector<std::string> words) {
  words.insert(words.begin(), {"/usr/bin/ringmaster", "ctl"});
  return run(std::move(words));
}

Tunnel::Tunnel(const Endpoint& server) : client_(server) {
  client_.send(request_head("GET", "/", "Connection: Upgrade\r\nUpgrade: echo\r\n"));
  if (client_.receive_head().status != 101) throw std::runtime_error("no tunnel");
  echo();
}

void Tunnel::echo() {
  const std::string line = "line " + std::to_string(++lines_) + "\n";
  client_.send(line);
  if (client_.stream().read_until("\n") != line) throw std::runtime_error("not an echo");
}

bool Tunnel::is_ended() {
  try {
    return client_.is_ended();
  } catch (const StreamError&) {
    return true;  // by a reset
  }
}

std::string property(const std::string& unit, const std::string& name) {
  return trimmed(systemctl({"show", "-P", name, unit}).output);
}

Service::Service(const Origin& origin, const std::string& config, const Options& options)
    : origin_(origin) {
  if (!is_installed()) {
    if (const Finished done = install(packages()[0]); done.exit != kDone) {
      throw std::runtime_error("cannot install the package:\n" + done.output + done.log);
    }
  }
  systemctl({"stop", "ringmaster.socket", "ringmaster.service"});
  write_config(config);
  std::filesystem::create_directories(std::filesystem::path(kDropIn).parent_path());
  write_whole_file(kDropIn, "[Service]\n" + options.drop_in);
  must({"/usr/bin/systemctl", "daemon-reload"});
  began_ = trimmed(run({"/usr/bin/date", "+%s"}).output);
  if (options.with_socket) must({"/usr/bin/systemctl", "start", "ringmaster.socket"});
  must({"/usr/bin/systemctl", "start", "ringmaster.service"});
  if (!wait_until([this] { return is_serving(); })) {
    throw std::runtime_error("the service does not serve:\n" + journal());
  }
}

Service::~Service() {
  if (::testing::Test::HasFailure()) std::cout << "-- the journal:\n" << journal() << std::endl;
  systemctl({"stop", "ringmaster.socket", "ringmaster.service"});
  // Workers that outlived their master belong to this test too.
  systemctl({"kill", "--kill-who=all", "--signal=KILL", "ringmaster.service"});
  systemctl({"reset-failed", "ringmaster.socket", "ringmaster.service"});
  std::filesystem::remove(kDropIn);
}

void Service::write_config(const std::string& config) const {
  std::string text = config;
  if (text.find("[server]") == std::string::npos) {
    text = "[server]\nworkers = 2\ndrain_timeout = \"20s\"\n" + text;
  }
  write_whole_file(kConfigFile, text + kPatientConfig + origin_.toml());
}

pid_t Service::main_pid() const {
  return std::stoi(property("ringmaster.service", "MainPID"));
}

std::vector<pid_t> Service::workers() const {
  std::vector<pid_t> pids = children_of(main_pid());
  std::erase_if(pids, [](pid_t child) { return !is_alive(child) || !is_worker(child); });
  return pids;
}

Metrics Service::metrics() const {
  return Metrics(get(admin_, "/metrics").body);
}

nlohmann::json Service::status() const {
  return nlohmann::json::parse(get(admin_, "/status").body);
}

double Service::generation() const {
  return metrics().get("ringmaster_config_generation");
}

bool Service::is_serving() const {
  if (property("ringmaster.service", "ActiveState") != "active") return false;
  try {
    return get(admin_, "/readyz").status == 200 &&
           metrics().get("ringmaster_workers{state=\"serving\"}") == 2;
  } catch (const std::exception&) {
    return false;  // between two masters
  }
}

std::string Service::journal() const {
  return run({"/usr/bin/journalctl", "--no-pager", "-o", "cat", "--since=@" + began_, "-u",
              "ringmaster.service"})
      .output;
}

CounterWatch::CounterWatch(const Endpoint& admin) : admin_(admin), thread_([this] { run(); }) {}

CounterWatch::~CounterWatch() {
  fallen();
}

std::string CounterWatch::fallen() {
  ending_ = true;
  if (thread_.joinable()) thread_.join();
  return fallen_;
}

void CounterWatch::run() {
  std::map<std::string, double> before;
  while (!ending_) {
    try {
      const std::map<std::string, double> now = counters_of(Metrics(get(admin_, "/metrics").body));
      ++scrapes_;
      for (const auto& [series, value] : before) {
        const auto found = now.find(series);
        if (found != now.end() && found->second >= value) continue;
        fallen_ += series + ": " + std::to_string(value) + ", then " +
                   (found == now.end() ? "gone" : std::to_string(found->second)) + "\n";
      }
      before = now;
    } catch (const std::exception&) {
      ++missed_;
    }
    ::poll(nullptr, 0, 50);
  }
}

}  // namespace ringmaster::test
