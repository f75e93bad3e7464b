// What a config file may say, and what each mistake in one is answered with: text in, every message
// out, position included.
#include "master/config/config_loader.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include "master/config/usable_cpus.h"
#include "master/demo/demo_config.h"
#include "tests/support/places.h"

namespace ringmaster {
namespace {

using namespace std::string_literals;

// Put behind a text under test, so that a row shows only what it is about.
constexpr std::string_view kOneBackend =
    "\n[[backend]]\nname = \"s1\"\naddress = \"10.0.0.1:80\"\n";

std::vector<std::string> messages_of(const LoadedConfig& loaded) {
  std::vector<std::string> messages;
  for (const ConfigProblem& problem : loaded.problems) {
    messages.push_back(format_problem("f", problem));
  }
  return messages;
}

Config valid(const std::string& text) {
  const LoadedConfig loaded = load_config(text);
  EXPECT_EQ(messages_of(loaded), std::vector<std::string>{}) << text;
  return loaded.config;
}

std::string read_source(const std::string& path) {
  std::ifstream file(test::source_path(path));
  EXPECT_TRUE(file.is_open()) << path;
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

// Everything in a Config, to compare two as a whole.
std::string dump(const Config& c) {
  std::ostringstream out;
  for (const auto& listen : c.server.listen) out << listen.to_string() << ' ';
  out << c.server.workers << ' ' << c.server.drain_timeout.count() << ' '
      << c.server.pre_drain.count() << ' ' << c.server.header_timeout.count() << ' '
      << c.server.body_timeout.count() << ' ' << c.server.keepalive_timeout.count() << ' '
      << c.server.max_header_bytes << ' ' << c.server.max_body_bytes << ' '
      << c.server.max_connections << ' ' << c.server.trusted_proxies.size() << ' '
      << c.server.proxy_protocol << ' ' << c.server.forwarded << " | " << c.admin.listen.to_string()
      << " '" << c.admin.socket << "' | " << int(c.hash.key) << " '" << c.hash.key_name << "' "
      << c.hash.virtual_nodes << ' ' << c.hash.balance_factor << " | "
      << c.rate_limit.requests_per_second << ' ' << c.rate_limit.burst << ' '
      << c.rate_limit.table_entries << ' ' << c.rate_limit.ipv6_prefix << ' '
      << c.rate_limit.exempt.size() << " | '" << c.health.path << "' '" << c.health.host << "' "
      << c.health.interval.count() << ' ' << c.health.timeout.count() << ' '
      << c.health.fast_interval.count() << ' ' << c.health.rise << ' ' << c.health.fall;
  for (const auto& [first, last] : c.health.expect) out << ' ' << first << '-' << last;
  out << ' ' << c.health.panic_threshold << ' ' << c.health.slow_start.count() << " | "
      << c.upstream.connect_timeout.count() << ' ' << c.upstream.response_timeout.count() << ' '
      << c.upstream.idle_timeout.count() << ' ' << c.upstream.max_idle << ' ' << c.upstream.retries
      << ' ' << c.upstream.retry_budget << ' ' << c.upstream.tunnel_timeout.count() << " | "
      << int(c.log.level) << ' ' << c.log.access;
  for (const auto& backend : c.backends) {
    out << " | " << backend.name << ' ' << backend.address() << ' ' << backend.weight << ' '
        << backend.max_connections << ' ' << backend.backup;
  }
  return out.str();
}

// The config file of DESIGN, section 5: the whole schema at its defaults.
constexpr std::string_view kEverythingAtItsDefault = R"([server]
listen = ["0.0.0.0:3000"]
workers = "auto"
drain_timeout = "30s"
pre_drain = "0s"
header_timeout = "10s"
body_timeout = "30s"
keepalive_timeout = "75s"
max_header_bytes = 16384
max_body_bytes = 0
max_connections = 0
trusted_proxies = []
proxy_protocol = false
forwarded = false

[admin]
listen = "127.0.0.1:9180"
socket = ""

[hash]
key = "uri"
virtual_nodes = 1000
balance_factor = 0.0

[rate_limit]
requests_per_second = 0
burst = 0
table_entries = 1048576
ipv6_prefix = 64
exempt = []

[health]
path = "/"
host = ""
interval = "1s"
timeout = "500ms"
fast_interval = "200ms"
rise = 2
fall = 2
expect = "200-399"
panic_threshold = 0.0
slow_start = "0s"

[upstream]
connect_timeout = "1s"
response_timeout = "60s"
idle_timeout = "60s"
max_idle = 256
retries = 2
retry_budget = 0.2
tunnel_timeout = "1h"

[log]
level = "info"
access = "off"

[[backend]]
name = "s1"
address = "127.0.0.1:8081"
weight = 1
max_connections = 0
backup = false
)";

constexpr std::string_view kOnlyTheBackend =
    "[[backend]]\nname = \"s1\"\naddress = \"127.0.0.1:8081\"\n";

TEST(ConfigLoader, DefaultsAreThoseOfTheDesign) {
  const Config config = valid(std::string(kOnlyTheBackend));
  Config design;
  design.server.listen = {*SocketAddress::parse("0.0.0.0:3000")};
  design.server.workers = config.server.workers;  // the machine's
  design.admin.listen = *SocketAddress::parse("127.0.0.1:9180");
  design.backends = {{.name = "s1", .host = "127.0.0.1", .port = 8081}};
  EXPECT_EQ(dump(config), dump(design));
  EXPECT_EQ(dump(config), dump(valid(std::string(kEverythingAtItsDefault))));
}

TEST(ConfigLoader, AutomaticWorkersAreTheCpusThatMayBeUsed) {
  const std::uint32_t expected = std::min(usable_cpus(), kMaxWorkers);
  EXPECT_EQ(valid(std::string(kOnlyTheBackend)).server.workers, expected);
  EXPECT_EQ(valid("server.workers = \"auto\""s.append(kOneBackend)).server.workers, expected);
}

TEST(ConfigLoader, EveryKeyReachesItsField) {
  const Config c = valid(R"([server]
listen = ["127.0.0.1:0", "127.0.0.1:0", "[::1]:3000"]
workers = 3
drain_timeout = "1.5s"
pre_drain = "5s"
header_timeout = "1ms"
body_timeout = "2m"
keepalive_timeout = "24h"
max_header_bytes = 256
max_body_bytes = 9223372036854775807
max_connections = 7
trusted_proxies = ["10.0.0.0/8", "2001:db8::/32", "192.0.2.1"]
forwarded = true
[admin]
listen = "[::1]:0"
[hash]
key = "header:X-User"
virtual_nodes = 5
[rate_limit]
requests_per_second = 10
burst = 25
table_entries = 100
ipv6_prefix = 56
exempt = ["127.0.0.1"]
[health]
path = "/health?full=1"
host = "app.example.com:8080"
interval = "2s"
timeout = "2s"
fast_interval = "2s"
rise = 3
fall = 4
expect = "200, 204,301-302"
[upstream]
connect_timeout = "2s"
response_timeout = "3s"
idle_timeout = "4s"
max_idle = 0
retries = 0
tunnel_timeout = "0.5h"
[log]
level = "warning"
[[backend]]
name = "v6"
address = "[::1]:65535"
weight = 10
max_connections = 100
[[backend]]
name = "a.b_c-D"
address = "app_1.example-2.com.:1"
backup = true
)");
  EXPECT_EQ(
      dump(c),
      "127.0.0.1:0 127.0.0.1:0 [::1]:3000 3 1500 5000 1 120000 86400000 256 "
      "9223372036854775807 7 3 0 1 | [::1]:0 '' | 3 'x-user' 5 0 | 10 25 100 56 1 | "
      "'/health?full=1' 'app.example.com:8080' 2000 2000 2000 3 4 200-200 204-204 301-302 0 0 | "
      "2000 3000 4000 0 0 0.2 1800000 | 2 off | v6 [::1]:65535 10 100 0 | "
      "a.b_c-D app_1.example-2.com.:1 1 0 1");
  EXPECT_TRUE(c.server.trusted_proxies[1].contains(*IpAddress::parse("2001:db8::7")));
  EXPECT_EQ(c.backends[0].host, "::1");
}

TEST(ConfigLoader, HashKeysOfEveryKind) {
  const auto hash = [](const std::string& key) {
    return valid("hash.key = \"" + key + "\"" + std::string(kOneBackend)).hash;
  };
  EXPECT_EQ(hash("uri").key, HashConfig::Key::kUri);
  EXPECT_EQ(hash("path").key, HashConfig::Key::kPath);
  EXPECT_EQ(hash("client_ip").key, HashConfig::Key::kClientIp);
  EXPECT_EQ(hash("cookie:Session").key, HashConfig::Key::kCookie);
  EXPECT_EQ(hash("cookie:Session").key_name, "Session");  // cookie names tell case apart
  EXPECT_EQ(hash("header:X-User").key_name, "x-user");
}

TEST(ConfigLoader, BurstIsOneSecondsWorthUnlessGiven) {
  const auto burst = [](const std::string& text) {
    return valid("[rate_limit]\n" + text + std::string(kOneBackend)).rate_limit.burst;
  };
  EXPECT_EQ(burst("requests_per_second = 50"), 50u);
  EXPECT_EQ(burst("requests_per_second = 50\nburst = 0"), 50u);
  EXPECT_EQ(burst("requests_per_second = 50\nburst = 1"), 1u);
}

TEST(ConfigLoader, ProbeTimesThatAreNotGivenFollowAShortInterval) {
  const HealthConfig health =
      valid("[health]\ninterval = \"150ms\"\n" + std::string(kOneBackend)).health;
  EXPECT_EQ(health.timeout, Duration(150));
  EXPECT_EQ(health.fast_interval, Duration(150));

  const HealthConfig written =
      valid("[health]\ninterval = \"150ms\"\ntimeout = \"2s\"\n" + std::string(kOneBackend)).health;
  EXPECT_EQ(written.timeout, Duration(2000)) << "is meant, if odd";
}

TEST(ConfigLoader, DemoConfigLoads) {
  const Config config = valid(std::string(demo_config_text()));
  ASSERT_EQ(config.backends.size(), 3u);
  EXPECT_EQ(config.backends[2].address(), "127.0.0.1:8083");
  EXPECT_EQ(config.server.workers, 2u);
}

// ---- Mistakes ----

struct Mistake {
  std::string text;
  std::vector<std::string> messages;  // "LINE:COLUMN: message", all of them
};

void expect_each(const std::vector<Mistake>& rows, std::string_view behind = kOneBackend) {
  for (const Mistake& row : rows) {
    std::vector<std::string> expected;
    for (const std::string& message : row.messages) expected.push_back("f:" + message);
    EXPECT_EQ(messages_of(load_config(row.text + std::string(behind))), expected) << row.text;
  }
}

TEST(ConfigLoader, RefusesWrongDurations) {
  expect_each({
      {"server.drain_timeout = \"30\"",
       {"1:24: server.drain_timeout: \"30\" has no unit, write \"30s\" (units: ms, s, m, h)"}},
      {"server.drain_timeout = 30",
       {"1:24: server.drain_timeout: 30 has no unit, write \"30s\" (units: ms, s, m, h)"}},
      {"server.pre_drain = 1.5",
       {"1:20: server.pre_drain: 1.5 has no unit, write \"1.5s\" (units: ms, s, m, h)"}},
      {"server.body_timeout = \"30 S\"",
       {"1:23: server.body_timeout: \"30 S\" is not spelled right, write \"30s\" "
        "(units: ms, s, m, h)"}},
      {"server.body_timeout = \"2d\"",
       {"1:23: server.body_timeout: \"2d\" has an unknown unit, known are ms, s, m, h"}},
      {"server.body_timeout = \"-2s\"",
       {"1:23: server.body_timeout: \"-2s\" is not a duration, write a number with a unit such as "
        "\"30s\" (units: ms, s, m, h)"}},
      {"server.body_timeout = \"\"",
       {"1:23: server.body_timeout: \"\" is not a duration, write a number with a unit such as "
        "\"30s\" (units: ms, s, m, h)"}},
      {"server.body_timeout = \"1.2.3s\"",
       {"1:23: server.body_timeout: \"1.2.3s\" is not a duration, write a number with a unit such "
        "as \"30s\" (units: ms, s, m, h)"}},
      {"server.body_timeout = \"1.5ms\"",
       {"1:23: server.body_timeout: \"1.5ms\" is not a whole number of milliseconds, write "
        "\"2ms\""}},
      {"server.body_timeout = \"25h\"",
       {"1:23: server.body_timeout: \"25h\" is too long, must be at most \"24h\""}},
      {"server.body_timeout = \"" + std::string(300, '9') + "h\"",
       {"1:23: server.body_timeout: \"" + std::string(80, '9') +
        "...\" is too long, must be at most \"24h\""}},
      {"server.header_timeout = \"0s\"",
       {"1:25: server.header_timeout: \"0s\" is out of range, must be from \"1ms\" to \"24h\""}},
      {"server.drain_timeout = \"0s\"",
       {"1:24: server.drain_timeout: \"0s\" is out of range, must be from \"1ms\" to \"24h\""}},
      {"upstream.connect_timeout = true",
       {"1:28: upstream.connect_timeout: true is a boolean, must be a duration such as \"30s\""}},
      {"upstream.idle_timeout = [\"1s\"]",
       {"1:25: upstream.idle_timeout: is a list, must be a duration such as \"30s\""}},
      {"upstream.tunnel_timeout = 07:32:00",
       {"1:27: upstream.tunnel_timeout: is a date or a time, must be a duration such as \"30s\""}},
  });
}

TEST(ConfigLoader, RefusesWrongNumbersAndFlags) {
  expect_each({
      {"server.workers = 0",
       {"1:18: server.workers: 0 is out of range, must be a whole number from 1 to 128"}},
      {"server.workers = \"4\"",
       {"1:18: server.workers: \"4\" is not known, must be \"auto\" or a number without quotes"}},
      {"server.workers = 1.5",
       {"1:18: server.workers: 1.5 is a number with decimals, must be a whole number from 1 to "
        "128"}},
      {"server.max_header_bytes = 255",
       {"1:27: server.max_header_bytes: 255 is out of range, must be a whole number from 256 to "
        "1048576"}},
      {"server.max_body_bytes = \"10MB\"",
       {"1:25: server.max_body_bytes: \"10MB\" is a string, must be a whole number, 0 or more"}},
      {"server.max_connections = -1",
       {"1:26: server.max_connections: -1 is out of range, must be a whole number from 0 to "
        "2147483647"}},
      {"hash.virtual_nodes = 100001",
       {"1:22: hash.virtual_nodes: 100001 is out of range, must be a whole number from 1 to "
        "100000"}},
      {"rate_limit.table_entries = 16777217",
       {"1:28: rate_limit.table_entries: 16777217 is out of range, must be a whole number from 1 "
        "to 16777216"}},
      {"rate_limit.ipv6_prefix = 0",
       {"1:26: rate_limit.ipv6_prefix: 0 is out of range, must be a whole number from 1 to 128"}},
      {"rate_limit.requests_per_second = 2000000",
       {"1:34: rate_limit.requests_per_second: 2000000 is out of range, must be a whole number "
        "from 0 to 1000000"}},
      {"health.rise = 0",
       {"1:15: health.rise: 0 is out of range, must be a whole number from 1 to 100"}},
      {"hash.balance_factor = 0.5",
       {"1:23: hash.balance_factor: 0.5 is less than a backend's fair share, must be 0 (off) or at "
        "least 1.0, for example 1.25"}},
      {"health.panic_threshold = 1.01",
       {"1:26: health.panic_threshold: 1.01 is out of range, must be a number from 0 to 1"}},
      {"upstream.retry_budget = nan",
       {"1:25: upstream.retry_budget: nan is out of range, must be a number from 0 to 1"}},
      {"upstream.retry_budget = \"20%\"",
       {"1:25: upstream.retry_budget: \"20%\" is a string, must be a number from 0 to 1"}},
      {"server.proxy_protocol = \"yes\"",
       {"1:25: server.proxy_protocol: \"yes\" is a string, must be true or false"}},
  });
}

TEST(ConfigLoader, RefusesWrongListenAddresses) {
  expect_each({
      {"server.listen = \"127.0.0.1\"",
       {"1:17: server.listen: \"127.0.0.1\" has no port, write for example \"127.0.0.1:3000\""}},
      {"server.listen = \"3000\"",
       {"1:17: server.listen: \"3000\" has no address, write for example \"0.0.0.0:3000\""}},
      {"admin.listen = \"\"",
       {"1:16: admin.listen: \"\" has no port, write for example \"127.0.0.1:9180\""}},
      {"server.listen = \":3000\"",
       {"1:17: server.listen: \":3000\" has no address, write for example \"0.0.0.0:3000\""}},
      {"server.listen = \"*:80\"",
       {"1:17: server.listen: \"*:80\" has no address, write for example \"0.0.0.0:80\""}},
      {"server.listen = \"localhost:3000\"",
       {"1:17: server.listen: \"localhost:3000\" is not a literal address, write for example "
        "\"127.0.0.1:3000\""}},
      {"server.listen = \"[::ffff:127.0.0.1]:80\"",
       {"1:17: server.listen: \"[::ffff:127.0.0.1]:80\" is an IPv4 address in the form of IPv6, "
        "write \"127.0.0.1:80\""}},
      {"server.listen = \"0.0.0.0:65536\"",
       {"1:17: server.listen: \"0.0.0.0:65536\" has no valid port, must be from 0 to 65535"}},
      {"server.listen = \"::1\"",
       {"1:17: server.listen: \"::1\" has no port, write for example \"[::1]:3000\""}},
      {"server.listen = \"::1:3001\"",
       {"1:17: server.listen: \"::1:3001\" has an IPv6 address without brackets, write for example "
        "\"[::1]:3001\", or \"[::1:3001]:3000\" if all of it is the address"}},
      {"server.listen = \"[::1]\"",
       {"1:17: server.listen: \"[::1]\" has no port, write for example \"[::1]:3000\""}},
      {"server.listen = \"unix:/run/x.sock\"",
       {"1:17: server.listen: \"unix:/run/x.sock\" is a Unix socket, not supported yet, write for "
        "example \"0.0.0.0:3000\""}},
      {"server.listen = []", {"1:17: server.listen: is empty, write for example \"0.0.0.0:3000\""}},
      {"server.listen = 3000",
       {"1:17: server.listen: 3000 is a number, must be a string such as \"0.0.0.0:3000\", or a "
        "list of them"}},
      {"server.listen = [\"[::]:80\", \"x\", 3, \"[0::0]:80\"]",
       {"1:29: server.listen: \"x\" has no port, write for example \"0.0.0.0:3000\"",
        "1:34: server.listen: 3 is a number, must be a string such as \"0.0.0.0:3000\", or a list "
        "of them",
        "1:37: server.listen: \"[::]:80\" is in the list twice, remove one"}},
      {"server.listen = [\"0.0.0.0:80\", \"[::]:80\", \"0.0.0.0:81\", \"127.0.0.1:80\"]",
       {"1:57: server.listen: \"127.0.0.1:80\" conflicts with \"0.0.0.0:80\", remove one"}},
      {"server.listen = [\"[::1]:80\", \"[::]:80\"]",
       {"1:30: server.listen: \"[::]:80\" conflicts with \"[::1]:80\", remove one"}},
      {"server.listen = \"0.0.0.0:9180\"",
       {"1:17: admin.listen: \"127.0.0.1:9180\" (the default) conflicts with "
        "\"0.0.0.0:9180\" of server.listen, must be another"}},
      {"admin.listen = [\"127.0.0.1:9180\"]",
       {"1:16: admin.listen: is a list, must be one string such as \"127.0.0.1:9180\""}},
      {"server.listen = \"127.0.0.1:9180\"",
       {"1:17: admin.listen: \"127.0.0.1:9180\" (the default) is an address of server.listen too, "
        "must be another"}},
      {"admin.listen = \"0.0.0.0:3000\"",
       {"1:16: admin.listen: \"0.0.0.0:3000\" is an address of server.listen too, must be "
        "another"}},
  });
}

TEST(ConfigLoader, RefusesWrongBlocks) {
  expect_each({
      {"server.trusted_proxies = \"10.0.0.0/8\"",
       {"1:26: server.trusted_proxies: \"10.0.0.0/8\" is a string, must be a list of strings such "
        "as [\"10.0.0.0/8\"]"}},
      {"server.trusted_proxies = [\"10.0.0.1/8\", \"10.0.0.0/33\"]",
       {"1:27: server.trusted_proxies: \"10.0.0.1/8\" has bits set after its prefix, write "
        "\"10.0.0.0/8\" or \"10.0.0.1\"",
        "1:41: server.trusted_proxies: \"10.0.0.0/33\" has too long a prefix, must be at most "
        "/32"}},
      {"rate_limit.exempt = [\"example.com\", 1]",
       {"1:22: rate_limit.exempt: \"example.com\" is not an address or a block, write for example "
        "\"10.0.0.0/8\"",
        "1:37: rate_limit.exempt: 1 is a number, must be a list of strings such as "
        "[\"10.0.0.0/8\"]"}},
  });
}

TEST(ConfigLoader, RefusesWrongWords) {
  expect_each({
      {"hash.key = \"url\"",
       {"1:12: hash.key: \"url\" is not known, must be \"uri\", \"path\", \"client_ip\", "
        "\"header:NAME\" or \"cookie:NAME\""}},
      {"hash.key = \"header:\"",
       {"1:12: hash.key: \"header:\" has no valid header name, write for example "
        "\"header:X-User\""}},
      {"hash.key = \"cookie:a b\"",
       {"1:12: hash.key: \"cookie:a b\" has no valid cookie name, write for example "
        "\"cookie:session\""}},
      {"health.path = \"health\"",
       {"1:15: health.path: \"health\" does not begin with \"/\", write for example \"/health\", "
        "or \"\" for a TCP connect only"}},
      {"health.path = \"/a b\"",
       {"1:15: health.path: \"/a b\" has a character that a request target cannot have, write it "
        "percent-encoded (a space is %20)"}},
      {"health.path = \"/\\r\\nX: y\"",
       {"1:15: health.path: \"/\\x0d\\x0aX: y\" has a character that a request target cannot have, "
        "write it percent-encoded (a space is %20)"}},
      {"health.host = \"http://a/\"",
       {"1:15: health.host: \"http://a/\" is a URL, must be only its host, write for example "
        "\"app.example.com\" or \"app.example.com:8080\""}},
      {"health.host = \"a:\\r\\nX: y\"",
       {"1:15: health.host: \"a:\\x0d\\x0aX: y\" may only have letters, digits, '-', '_' and '.', "
        "write "
        "for example \"app.example.com\" or \"app.example.com:8080\""}},
      {"health.host = \"a:b\"",
       {"1:15: health.host: \"a:b\" has no valid port, write for example \"app.example.com\" or "
        "\"app.example.com:8080\""}},
      {"health.host = \"::1\"",
       {"1:15: health.host: \"::1\" may only have letters, digits, '-', '_' and '.', write for "
        "example "
        "\"app.example.com\" or \"app.example.com:8080\""}},
      {"health.expect = 200",
       {"1:17: health.expect: 200 is a number, must be a string such as \"200-399\""}},
      {"health.expect = \"200-\"",
       {"1:17: health.expect: \"200-\" is not a status code or a range, write for example "
        "\"200-399\""}},
      {"health.expect = \"200,\"",
       {"1:17: health.expect: \"\" is not a status code or a range, write for example "
        "\"200-399\""}},
      {"health.expect = \"399-200\"",
       {"1:17: health.expect: \"399-200\" is the wrong way round, write \"200-399\""}},
      {"health.expect = \"100-600\"",
       {"1:17: health.expect: 100 is not a final status code, must be from 200 to 599"}},
      {"log.level = \"warn\"",
       {"1:13: log.level: \"warn\" is not known, must be \"debug\", \"info\", \"warning\" or "
        "\"error\""}},
      {"log.access = \"access.log\"",
       {"1:14: log.access: \"access.log\" is not known, must be \"off\", \"stderr\" or an absolute "
        "path"}},
      {"admin.socket = \"control.sock\"",
       {"1:16: admin.socket: \"control.sock\" is not an absolute path, write for example "
        "\"/run/ringmaster/control.sock\""}},
      {"admin.socket = \"/" + std::string(107, 'x') + "\"",
       {"1:16: admin.socket: \"/" + std::string(79, 'x') +
        "...\" is too long for a Unix socket, must be at most 107 characters"}},
  });
}

TEST(ConfigLoader, RefusesCombinationsThatCannotWork) {
  expect_each({
      {"[health]\npath = \"\"\nexpect = \"204\"",
       {"3:10: health.expect: has no effect while health.path is \"\" (a connection is enough), "
        "set "
        "a path or remove this"}},
      {"[health]\npath = \"\"\nhost = \"a\"",
       {"3:8: health.host: has no effect while health.path is \"\" (a connection is enough), set a "
        "path or remove this"}},
      {"[rate_limit]\nburst = 5",
       {"2:9: rate_limit.burst: 5 has no effect while rate_limit.requests_per_second is 0, set "
        "that too or remove this"}},
      {"[rate_limit]\nburst = 5\nrequests_per_second = \"9\"",
       {"3:23: rate_limit.requests_per_second: \"9\" is a string, must be a whole number from 0 to "
        "1000000"}},
  });
  expect_each(
      {{"",
        {"1:1: backend: there is none, write at least one [[backend]] with a name and an "
         "address"}},
       {"[[backend]]\nname = \"a\"\naddress = \"h:1\"\nbackup = true",
        {"4:10: backend.backup: every backend is a backup, at least one must not be"}},
       {"[hash]\nvirtual_nodes = 100000\n[[backend]]\nname = \"a\"\naddress = \"h:1\"\nweight = 42",
        {"2:17: hash.virtual_nodes: 100000 x 42 (the weights of all backends) makes 4200000 points "
         "on "
         "the ring, must be at most 4194304"}},
       {"[[backend]]\nname = \"a\"\naddress = \"h:1\"\nweight = 5000",
        {"4:10: hash.virtual_nodes: 1000 x 5000 (the weights of all backends) makes 5000000 points "
         "on "
         "the ring, must be at most 4194304"}}},
      "");
}

TEST(ConfigLoader, RefusesWrongBackends) {
  const std::string named = "[[backend]]\nname = \"a\"\naddress = ";
  const std::string at_h = "[[backend]]\naddress = \"h:1\"\nname = ";
  expect_each(
      {
          {"[[backend]]",
           {"1:1: backend.name: is missing, write for example name = \"s1\"",
            "1:1: backend.address: is missing, write for example address = \"127.0.0.1:8081\""}},
          {at_h + "\"\"",
           {"3:8: backend.name: \"\" is not a name, must be 1 to 63 letters, digits, '.', '_' or "
            "'-'"}},
          {at_h + "\"a b\"",
           {"3:8: backend.name: \"a b\" is not a name, must be 1 to 63 letters, digits, '.', '_' "
            "or "
            "'-'"}},
          {at_h + "\"" + std::string(64, 'n') + "\"",
           {"3:8: backend.name: \"" + std::string(64, 'n') +
            "\" is not a name, must be 1 to 63 letters, digits, '.', '_' or '-'"}},
          {named + "\"127.0.0.1\"",
           {"3:11: backend.address: \"127.0.0.1\" has no port, write for example "
            "\"127.0.0.1:8081\""}},
          {named + "\":8081\"",
           {"3:11: backend.address: \":8081\" has no address, write for example "
            "\"127.0.0.1:8081\""}},
          {named + "\"h:0\"",
           {"3:11: backend.address: \"h:0\" has no valid port, must be from 1 to 65535"}},
          {named + "\"http://h:80\"",
           {"3:11: backend.address: \"http://h:80\" is a URL, write only the address and port, for "
            "example \"127.0.0.1:8081\""}},
          {named + "\"fe80::1:zz:80\"",
           {"3:11: backend.address: \"fe80::1:zz:80\" has an IPv6 address without brackets, write "
            "for example \"[::1]:8081\""}},
          {named + "\"[::g]:80\"",
           {"3:11: backend.address: \"[::g]\" is not an IPv6 address, write for example "
            "\"[::1]:8081\""}},
          {named + "\"127.0.0.256:80\"",
           {"3:11: backend.address: host \"127.0.0.256\" is neither an IPv4 address nor a host "
            "name, write for example \"127.0.0.1:8081\" or \"app.example.com:8081\""}},
          {named + "\"a~b:80\"",
           {"3:11: backend.address: host \"a~b\" may only have letters, digits, '-', '_' and '.', "
            "write "
            "for example \"127.0.0.1:8081\" or \"app.example.com:8081\""}},
          {named + "\"a..b:80\"",
           {"3:11: backend.address: host \"a..b\" has an empty part, write for example "
            "\"127.0.0.1:8081\" or \"app.example.com:8081\""}},
          {named + "\"" + std::string(64, 'h') + ":80\"",
           {"3:11: backend.address: host \"" + std::string(64, 'h') +
            "\" has a part longer than 63 characters, write for example \"127.0.0.1:8081\" or "
            "\"app.example.com:8081\""}},
          {named + "\"h:1\"\nweight = 0",
           {"4:10: backend.weight: 0 is out of range, must be a whole number from 1 to 10000"}},
          {named + "\"h:1\"\nbackup = 1",
           {"4:10: backend.backup: 1 is a number, must be true or false"}},
          {named + "\"h:1\"\n" + named + "\"h:2\"",
           {"5:8: backend.name: \"a\" is also the name of the backend at line 2, must be unique"}},
          {"[backend]\nname = \"a\"\naddress = \"h:0\"",
           {"1:1: backend: is not a list of tables, write [[backend]] in double brackets",
            "3:11: backend.address: \"h:0\" has no valid port, must be from 1 to 65535"}},
          {"backend = []",
           {"1:1: backend: there is none, write at least one [[backend]] with a name and an "
            "address"}},
          {"[backend.s1]\naddress = \"h:1\"",
           {"1:1: backend: is not a list of tables, write [[backend]] in double brackets"}},
          {"[backend]\nname = \"a\"\naddress = \"h:1\"\ncolour = 1",
           {"1:1: backend: is not a list of tables, write [[backend]] in double brackets",
            "4:1: backend.colour: unknown key, known in [[backend]] are name, address, weight, "
            "max_connections, backup"}},
          {"backend = [\"h:1\"]",
           {"1:12: backend: \"h:1\" is a string, must be a table: write [[backend]]"}},
      },
      "");
}

TEST(ConfigLoader, RefusesMoreBackendsThanFit) {
  std::string text;
  for (int i = 0; i <= 1024; ++i) {
    text += "[[backend]]\nname = \"b" + std::to_string(i) +
            "\"\naddress = \"h:" + std::to_string(i + 1) + "\"\n";
  }
  expect_each({{text, {"3073:1: backend: there are 1025, must be at most 1024"}}}, "");
}

TEST(ConfigLoader, UnknownKeysGetTheBestHint) {
  expect_each({
      {"[server]\nkeepAliveTimeout = \"75s\"",
       {"2:1: server.keepAliveTimeout: unknown key, did you mean \"keepalive_timeout\"?"}},
      {"[hash]\nvirtual_node = 1",
       {"2:1: hash.virtual_node: unknown key, did you mean \"virtual_nodes\"?"}},
      {"[hash]\nzzz = 1",
       {"2:1: hash.zzz: unknown key, known in [hash] are key, virtual_nodes, balance_factor"}},
      {"[server]\ninterval = \"1s\"",
       {"2:1: server.interval: unknown key here, it belongs in [health]"}},
      {"[upstream]\nmax_connections = 1",
       {"2:1: upstream.max_connections: unknown key here, it belongs in [server] or [[backend]]"}},
      {"workers = 3", {"1:1: workers: unknown key here, it belongs in [server]"}},
      {"[helth]\nrise = 2", {"1:2: helth: unknown table, did you mean [health]?"}},
      {"[[backends]]", {"1:3: backends: unknown table, did you mean [[backend]]?"}},
      {"[tls]",
       {"1:2: tls: unknown table, known are [server], [admin], [hash], [rate_limit], [health], "
        "[upstream], [log], [[backend]]"}},
      {"[log]\n\"a\\u001bb\" = 1",
       {"2:1: log.\"a\\x1bb\": unknown key, known in [log] are level, access"}},
      {"[server.listen]\nx = 1",
       {"1:1: server.listen: is a table, must be a string such as \"0.0.0.0:3000\", or a list of "
        "them"}},
      {"[[server]]", {"1:1: server: is given as a list of tables, write [server] once"}},
      {"server = 3", {"1:10: server: is not a table, write [server] once"}},
  });
}

TEST(ConfigLoader, SyntaxErrorsAreOnePlainMessage) {
  std::string long_key = "a";
  for (int i = 0; i < 100'000; ++i) long_key += ".a";
  expect_each(
      {
          {"[health]\ninterval = 1s",
           {"2:13: not valid TOML: decimal integer: expected digit, saw 's', text needs quotes "
            "around it, for example \"30s\""}},
          {"[hash]\nkey = uri\n",
           {"2:7: not valid TOML: value: could not determine value type, text needs quotes around "
            "it"}},
          {"[log]\nlevel = \"info\naccess = \"off\"",
           {"2:14: not valid TOML: string: unescaped control characters other than TAB (U+0009) "
            "are explicitly prohibited, is a closing quote missing?"}},
          {"[log]\nlevel = \"info\"\nlevel = \"info\"",
           {"3:9: not valid TOML: key-value pair: cannot redefine existing string 'level', remove "
            "one of the two"}},
          {"[log]\nlevel = info",  // not a badly written infinity
           {"2:12: not valid TOML: floating-point: expected value-terminator, saw 'o', text needs "
            "quotes around it"}},
          {"[log]\nlevel = f\n",
           {"2:10: not valid TOML: boolean: expected 'false', saw 'f\\x0a', text needs quotes "
            "around "
            "it"}},
          {"[log]\nlevel: \"info\"",
           {"2:6: not valid TOML: key-value pair: expected '=', saw ':', write key = value"}},
          {"[log]\nlevel = \"\"\"info\naccess = \"off\"",
           {"3:15: not valid TOML: string: encountered end-of-file"}},
          {"[log]\n" + long_key + " = 1",
           {"2:1: not valid TOML: a key of more than 1000 parts, must be at most two"}},
          {"\xff", {"1:1: not valid TOML: Encountered invalid utf-8 sequence"}},
          {"[log]\naccess = \u201coff\u201d",
           {"2:10: not valid TOML: value: could not determine value type, write \" for these "
            "quotation marks"}},
      },
      "");
}

TEST(ConfigLoader, AValueThatIsNoTomlHidesNothingElse) {
  expect_each(
      {{R"([server]
workers = 99999999999999999999
drain_timeout = 30s
header_timeout = "10"
[rate_limit]
requests_per_second = ten
burst = 5
[log]
level = "loud"
[[backend]]
name = s1
address = "h"
)",
        {"2:31: not valid TOML: decimal integer: '99999999999999999999' is not "
         "representable in 64 bits",
         "3:19: not valid TOML: decimal integer: expected digit, saw 's', text needs quotes "
         "around it, for example \"30s\"",
         "4:18: server.header_timeout: \"10\" has no unit, write \"10s\" (units: ms, s, m, h)",
         "6:24: not valid TOML: boolean: expected 'true', saw 'te', text needs quotes "
         "around it",
         "9:9: log.level: \"loud\" is not known, must be \"debug\", \"info\", \"warning\" or "
         "\"error\"",
         "11:8: not valid TOML: value: could not determine value type, text needs quotes "
         "around it",
         "12:11: backend.address: \"h\" has no port, write for example \"h:8081\""}}},
      "");
  // Behind a list that is not closed the next line is no error of its own.
  expect_each({{"[server]\nlisten = [\"127.0.0.1:1\"\nworkers = 1\nforwarded = true",
                {"3:1: not valid TOML: array: expected comma or closing ']', saw 'w'"}},
               {"[hash]\nvirtual_nodes = 1O\n[[backend]]\nname = \"a\"\naddress = "
                "\"h:1\"\nweight = 9999",
                {"2:18: not valid TOML: decimal integer: expected digit, saw 'O', text needs "
                 "quotes around it, for example \"30s\""}}},
              "");
  // Behind a table that is not closed all is another's.
  expect_each({{"[server\nworkers = 0\nlisten = 5",
                {"1:8: not valid TOML: table header: expected ']', saw '\\n'"}}},
              "");
}

TEST(ConfigLoader, AllErrorsComeAtOnceInTheOrderOfTheFile) {
  expect_each({{R"([[backend]]
name = "s1"
address = "127.0.0.1"
colour = "red"
[log]
level = "loud"
[server]
workers = -1
listen = ["0.0.0.0:3000", "nowhere"]
drain_timeout = "30"
proxy_protocol = "yes"
[tls])",
                {
                    "3:11: backend.address: \"127.0.0.1\" has no port, write for example "
                    "\"127.0.0.1:8081\"",
                    "4:1: backend.colour: unknown key, known in [[backend]] are name, address, "
                    "weight, max_connections, backup",
                    "6:9: log.level: \"loud\" is not known, must be \"debug\", \"info\", "
                    "\"warning\" or \"error\"",
                    "8:11: server.workers: -1 is out of range, must be a whole number from 1 to "
                    "128",
                    "9:27: server.listen: \"nowhere\" has no port, write for example "
                    "\"0.0.0.0:3000\"",
                    "10:17: server.drain_timeout: \"30\" has no unit, write \"30s\" (units: ms, s, "
                    "m, h)",
                    "11:18: server.proxy_protocol: \"yes\" is a string, must be true or false",
                    "12:2: tls: unknown table, known are [server], [admin], [hash], [rate_limit], "
                    "[health], [upstream], [log], [[backend]]",
                }}},
              "");
}

// ---- Files ----

TEST(ConfigLoader, UnreadableFileIsOneProblemWithoutPosition) {
  EXPECT_EQ(messages_of(load_config_file("/nonexistent/ringmaster.toml")),
            std::vector{"f: cannot be read: No such file or directory"s});
  EXPECT_EQ(messages_of(load_config_file("/")), std::vector{"f: cannot be read: Is a directory"s});
  EXPECT_EQ(messages_of(load_config_file("/dev/zero")),
            std::vector{"f: cannot be read: it is larger than 16 MiB"s});
}

TEST(ConfigLoader, PackagedFileLoadsAndShowsTheDefaults) {
  const LoadedConfig packaged = load_config_file(test::source_path("packaging/ringmaster.toml"));
  EXPECT_EQ(messages_of(packaged), std::vector<std::string>{});
  EXPECT_EQ(dump(packaged.config), dump(valid(std::string(kOnlyTheBackend))));
}

TEST(ConfigLoader, PackagedFileNamesEveryKeyAtItsDefault) {
  // "#key = value" is a key, "# words" is prose.
  std::istringstream lines(read_source("packaging/ringmaster.toml"));
  std::string live;
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with('#') && !line.starts_with("# ")) line.erase(0, 1);
    if (!line.empty() && !line.starts_with('#')) live += line + "\n";
  }
  std::istringstream design{std::string(kEverythingAtItsDefault)};
  std::string schema;
  for (std::string line; std::getline(design, line);) {
    if (!line.empty()) schema += line + "\n";
  }
  EXPECT_EQ(live, schema);
}

}  // namespace
}  // namespace ringmaster
