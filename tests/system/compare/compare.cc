// What a reload, a restart and a kill cost the clients of Ringmaster and of Debian's nginx and
// HAProxy: each with the same backends and limits, on the systemd of the same box, under the same
// traffic; the units are those of their packages. Prints a table. `./dev test-system --compare`
// runs it.
#include <csignal>
#include <filesystem>
#include <iostream>
#include <stdexcept>
#include <thread>

#include "tests/support/client.h"
#include "tests/support/files.h"
#include "tests/system/service.h"
#include "tests/system/traffic.h"

namespace ringmaster::test {
namespace {

// For all three: by then an old generation has gone, WebSockets or not.
constexpr seconds kDrain{5};
// Between two events, and before a service that is down is started by hand.
constexpr milliseconds kPause{500};
constexpr seconds kPatienceWithDead{2};

constexpr const char* kNginxConfig = R"(
user www-data;
worker_processes 2;
worker_shutdown_timeout 5s;
pid /run/nginx.pid;
events { worker_connections 4096; }
http {
  access_log off;
  map $http_upgrade $connection_upgrade { default upgrade; '' ''; }
  upstream origins {
    hash $request_uri consistent;
    server 127.0.0.1:8081;
    server 127.0.0.1:8082;
    server 127.0.0.1:8083;
    keepalive 64;
  }
  server {
    listen 127.0.0.1:3000 backlog=4096;
    location / {
      proxy_pass http://origins;
      proxy_http_version 1.1;
      proxy_set_header Upgrade $http_upgrade;
      proxy_set_header Connection $connection_upgrade;
      proxy_read_timeout 1h;
    }
  }
}
)";

constexpr const char* kHaproxyConfig = R"(
global
  user haproxy
  group haproxy
  nbthread 2
  maxconn 4096
  hard-stop-after 5s
  stats socket /run/haproxy/admin.sock mode 660 level admin expose-fd listeners
defaults
  mode http
  timeout connect 10s
  timeout client 75s
  timeout server 60s
  timeout tunnel 1h
frontend clients
  bind 127.0.0.1:3000 backlog 4096
  default_backend origins
backend origins
  balance uri whole
  hash-type consistent
  server b1 127.0.0.1:8081
  server b2 127.0.0.1:8082
  server b3 127.0.0.1:8083
)";

const Endpoint kFront{"127.0.0.1", 3000};

bool is_up(const std::string& unit) {
  return property(unit, "ActiveState") == "active" && !is_refused(kFront);
}

void reload(const std::string& unit) {
  must({"/usr/bin/systemctl", "reload", unit});
}

void restart(const std::string& unit) {
  must({"/usr/bin/systemctl", "restart", unit});
}

// Kills what systemd calls the main process. Where nobody starts it again, we do.
void kill_master(const std::string& unit) {
  const std::string before = property(unit, "MainPID");
  ::kill(std::stoi(before), SIGKILL);
  const auto is_back = [&] { return property(unit, "MainPID") != before && is_up(unit); };
  if (wait_until(is_back, kPatienceWithDead)) return;
  std::cout << unit << " stays down: started by hand\n";
  systemctl({"reset-failed", unit});
  must({"/usr/bin/systemctl", "restart", unit});
}

struct Event {
  const char* what;
  int times;
  void (*cause)(const std::string& unit);
};
constexpr Event kEvents[]{{"systemctl reload", 20, reload},
                          {"systemctl restart", 5, restart},
                          {"kill -9 of the main process", 5, kill_master}};

// "failed / refused / WebSockets closed" of one balancer through one kind of event.
std::string measure(const std::string& unit, const Event& event) {
  Traffic traffic({.server = kFront, .slow = 0, .tunnels = 50});
  if (!traffic.is_flowing()) throw std::runtime_error(unit + ": no traffic");
  for (int i = 0; i < event.times; ++i) {
    event.cause(unit);
    if (!wait_until([&] { return is_up(unit); })) throw std::runtime_error(unit + " is down");
    std::this_thread::sleep_for(kPause);
  }
  std::this_thread::sleep_for(kDrain + seconds(1));
  const Tally tally = traffic.stop();
  std::cout << unit << ", " << event.times << " x " << event.what << ":";
  PrintTo(tally, &std::cout);
  std::cout << std::endl;
  const auto refused = tally.failures("refused");
  const Fate& tunnels = tally.of(ClientKind::kTunnel);
  const auto lost = tunnels.failures() - tunnels.failures("refused");
  const auto failed = tally.failures() - (refused - tunnels.failures("refused"));
  return std::to_string(failed) + " / " + std::to_string(refused) + " / " + std::to_string(lost);
}

std::string measure_ringmaster(const Origin& origin, const Event& event) {
  const bool needs_socket = event.cause == restart;
  const Service service(origin, "[server]\nworkers = 2\ndrain_timeout = \"5s\"\n",
                        {.with_socket = needs_socket});
  return measure("ringmaster.service", event);
}

std::string measure_other(const std::string& name, const std::string& file, const char* config,
                          const Event& event) {
  write_whole_file(file, config);
  systemctl({"reset-failed", name});
  must({"/usr/bin/systemctl", "start", name});
  if (!wait_until([&] { return is_up(name); })) throw std::runtime_error(name + " is down");
  std::string row = measure(name, event);
  systemctl({"stop", name});
  return row;
}

std::string debian_version(const char* package) {
  const std::string all = must({"/usr/bin/dpkg-query", "-W", "-f=${Version}", package}).output;
  return all.substr(0, all.find_first_of("-+"));
}

void run_all() {
  systemctl({"disable", "--now", "nginx", "haproxy"});
  for (const char* unit : {"nginx", "haproxy"}) {
    const std::string dir = std::string("/run/systemd/system/") + unit + ".service.d";
    std::filesystem::create_directories(dir);
    // Whoever restarts and kills on purpose must not meet systemd's limit.
    write_whole_file(dir + "/compare.conf", "[Unit]\nStartLimitIntervalSec=0\n");
  }
  must({"/usr/bin/systemctl", "daemon-reload"});
  const Origin origin({8081, 8082, 8083});
  std::string table =
      "| requests failed / connections refused / WebSockets closed | Ringmaster | nginx " +
      debian_version("nginx-light") + " | HAProxy " + debian_version("haproxy") +
      " |\n| --- | --- | --- | --- |\n";
  for (const Event& event : kEvents) {
    table += "| " + std::to_string(event.times) + " × " + event.what;
    table += " | " + measure_ringmaster(origin, event);
    table += " | " + measure_other("nginx", "/etc/nginx/nginx.conf", kNginxConfig, event);
    table += " | " + measure_other("haproxy", "/etc/haproxy/haproxy.cfg", kHaproxyConfig, event);
    table += " |\n";
  }
  std::cout << "\n" << table;
}

}  // namespace
}  // namespace ringmaster::test

int main() {
  try {
    ringmaster::test::run_all();
    return 0;
  } catch (const std::exception& error) {
    std::cerr << "compare: " << error.what() << "\n";
    return 1;
  }
}
