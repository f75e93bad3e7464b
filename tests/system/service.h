// The packaged service on the systemd of this box, as its operator drives it: apt, systemctl, the
// config in /etc, the journal. The tests run one after the other; each begins with a service that
// was started fresh with its own config, and ends it.
#pragma once

#include <sys/types.h>

#include <atomic>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>
#include <vector>

#include "tests/support/client.h"
#include "tests/support/process.h"
#include "tests/support/ringmaster.h"
#include "tests/system/origin.h"

namespace ringmaster::test {

inline constexpr Exit kDone{0, 0};
inline constexpr const char* kConfigFile = "/etc/ringmaster/ringmaster.toml";

// Two versions of the package, the older one first.
struct Package {
  std::string version;
  std::string file;
};
const std::vector<Package>& packages();

// apt and systemd bring what they do to an end by themselves, however slow the machine is; killed
// half-way, they would leave a box in which nothing works.
inline constexpr milliseconds kPatienceWithTheBox = std::chrono::minutes(10);

// Ends with the whole output where it was not successful: for what only has to work.
Finished must(std::vector<std::string> argv);
Finished apt_get(std::vector<std::string> words);
// Also to go from a newer version to an older one.
Finished install(const Package& package);
bool is_installed();
std::string installed_version();

Finished systemctl(std::vector<std::string> words);
// `ringmaster ctl …`, as root types it.
Finished ctl(std::vector<std::string> words);
std::string property(const std::string& unit, const std::string& name);

// A connection that was upgraded, to an origin that echoes.
class Tunnel {
 public:
  explicit Tunnel(const Endpoint& server);
  // Says a line and hears it again. Throws StreamError where the tunnel has ended.
  void echo();
  // Waits for its end.
  bool is_ended();

 private:
  Client client_;
  int lines_ = 0;
};

class Service {
 public:
  struct Options {
    bool with_socket = false;  // ringmaster.socket holds the ports
    std::string drop_in = {};  // further lines for the unit
  };
  // `config` goes before that of the listeners, the backends and the two workers.
  Service(const Origin& origin, const std::string& config, const Options& options);
  explicit Service(const Origin& origin, const std::string& config = "")
      : Service(origin, config, Options{}) {}
  Service(const Service&) = delete;
  Service& operator=(const Service&) = delete;
  // Prints the journal if the test has failed.
  ~Service();

  const Endpoint& endpoint() const { return endpoint_; }
  const Endpoint& admin() const { return admin_; }

  // Another config in the place of the first, for the next reload.
  void write_config(const std::string& config) const;
  pid_t main_pid() const;
  std::vector<pid_t> workers() const;  // children of the master
  Metrics metrics() const;
  nlohmann::json status() const;
  double generation() const;
  bool only_this_generation_is_left() const { return test::only_this_generation_is_left(status()); }
  // Active, with both workers serving.
  bool is_serving() const;
  std::string journal() const;

 private:
  const Origin& origin_;
  const Endpoint endpoint_{"127.0.0.1", 3000};
  const Endpoint admin_{"127.0.0.1", 9180};
  std::string began_;  // for the journal
};

// Scrapes /metrics all the time and takes note of every counter that falls.
class CounterWatch {
 public:
  explicit CounterWatch(const Endpoint& admin);
  ~CounterWatch();
  // Ends it. What fell, a line each; empty: nothing did.
  std::string fallen();
  std::size_t scrapes() const { return scrapes_; }
  // Scrapes that got no answer: the master was not there.
  std::size_t missed() const { return missed_; }

 private:
  void run();

  const Endpoint admin_;
  std::string fallen_;
  std::atomic<std::size_t> scrapes_ = 0;
  std::atomic<std::size_t> missed_ = 0;
  std::atomic<bool> ending_ = false;
  std::thread thread_;
};

}  // namespace ringmaster::test
