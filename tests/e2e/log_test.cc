// The log, as the journal and a person read it: one line an event, with its priority, and never
// more of them than is good.
#include <gtest/gtest.h>

#include <csignal>
#include <sstream>

#include "tests/support/backend.h"
#include "tests/support/files.h"
#include "tests/support/ringmaster.h"

namespace ringmaster::test {
namespace {

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

std::size_t count(const std::string& text, const std::string& words) {
  std::size_t found = 0;
  for (std::size_t at = 0; (at = text.find(words, at)) != std::string::npos; ++at) ++found;
  return found;
}

// A shell that says of its own stderr what systemd says of the journal's stream.
const std::vector<std::string> kAsIfForTheJournal{
    "/bin/sh", "-c", "JOURNAL_STREAM=$(stat -Lc %d:%i /proc/self/fd/2) exec \"$0\" \"$@\"",
    ringmaster_binary()};

TEST(Log, InTheJournalEveryLineBeginsWithItsPriority) {
  Backend backend("s1");
  Ringmaster ringmaster("[health]\ninterval = \"200ms\"\ntimeout = \"200ms\"\n" + backend.toml(),
                        {.environment = {}, .command = kAsIfForTheJournal});
  backend.stop();
  ASSERT_TRUE(ringmaster.wait_for_state("s1", "down"));
  ::kill(ringmaster.workers().at(0), SIGKILL);
  ASSERT_TRUE(wait_until(
      [&] { return ringmaster.process().log().find("replacing it") != std::string::npos; }));

  const std::string log = ringmaster.process().log();
  for (const std::string& line : lines_of(log)) {
    EXPECT_TRUE(line.size() > 3 && line[0] == '<' && line[2] == '>') << line;
  }
  EXPECT_EQ(count(log, "<6>master: ready: "), 1u);
  EXPECT_EQ(count(log, "<4>master: s1 down: "), 1u);
  EXPECT_EQ(count(log, "<3>master: worker 0 "), 1u);
}

TEST(Log, ElsewhereItBeginsWithTheTime) {
  Backend backend("s1");
  Ringmaster ringmaster(backend.toml(), {.environment = {"JOURNAL_STREAM=8:1"}});
  for (const std::string& line : lines_of(ringmaster.process().log())) {
    EXPECT_TRUE(line.starts_with("20")) << line;
  }
}

TEST(Log, ABackendThatFlapsFillsNoLog) {
  std::atomic<int> probes = 0;
  Backend backend("s1", [&](const Request&) { return Reply{.status = ++probes % 2 ? 200 : 500}; });
  Ringmaster ringmaster(
      "[health]\npath = \"/alive\"\ninterval = \"10ms\"\ntimeout = \"10ms\"\n"
      "fast_interval = \"10ms\"\nrise = 1\nfall = 1\n" +
      backend.toml());
  ASSERT_TRUE(wait_until([&] {
    return ringmaster.metrics().get(
               "ringmaster_ejections_total{backend=\"s1\",cause=\"status\"}") >= 20;
  }));
  EXPECT_LE(count(ringmaster.process().log(), " s1 "), 12u);
}

TEST(Log, WarnsOfMoreConnectionsThanFilesMayBeOpen) {
  Backend backend("s1");
  Ringmaster ringmaster("[server]\nworkers = 1\nmax_connections = 2147483647\n" + backend.toml());
  EXPECT_EQ(count(ringmaster.process().log(), "may need 4294967358 open files"), 1u);
}

TEST(Log, AWorkerThatIsFullSaysSoOnce) {
  Backend backend("s1");
  Ringmaster ringmaster("[server]\nworkers = 1\nmax_connections = 2\n" + backend.toml());
  std::vector<Client> clients;
  for (int i = 0; i < 6; ++i) clients.emplace_back(ringmaster.endpoint());
  ASSERT_TRUE(wait_until([&] {
    return ringmaster.process().log().find("at the limit of 2 per worker") != std::string::npos;
  }));
  // All of the others get their turn, and each of them finds it full once more.
  while (!clients.empty()) {
    clients.front().send(request_head("GET", "/", "Connection: close\r\n"));
    EXPECT_EQ(clients.front().receive().status, 200);
    clients.erase(clients.begin());
  }
  EXPECT_EQ(count(ringmaster.process().log(), "at the limit of"), 1u);
}

class LogLevel : public ::testing::TestWithParam<int> {};
const char* const kLevels[] = {"debug", "info", "warning", "error"};
INSTANTIATE_TEST_SUITE_P(At, LogLevel, ::testing::Range(0, 4),
                         [](const auto& row) { return std::string(kLevels[row.param]); });

// Without the class Ringmaster, which needs lines that are left out here.
TEST_P(LogLevel, ShowsLinesOfThatWeightAndGraverOnes) {
  const TempDir dir;
  const Endpoint admin = free_endpoint();
  const Endpoint nobody{admin.ip, 1};
  write_whole_file(dir.path("ringmaster.toml"),
                   "[server]\nworkers = 1\nlisten = \"" + admin.ip + ":0\"\n[admin]\nlisten = \"" +
                       admin.to_string() + "\"\n[log]\nlevel = \"" + kLevels[GetParam()] + "\"\n" +
                       backend_table("s1", nobody));
  Process process({ringmaster_binary(), "-c", dir.path("ringmaster.toml")});
  const auto comes_to_say = [&](const std::string& words) {
    return wait_until([&] { return process.log().find(words) != std::string::npos; });
  };
  ASSERT_TRUE(wait_until([&] {
    try {
      return get(admin, "/readyz").body.find("no backend") != std::string::npos;
    } catch (const StreamError&) {
      return false;
    }
  })) << process.log();
  const pid_t worker = process.children().at(0);
  ::kill(worker, SIGKILL);
  const std::string killed = "worker 0 (pid " + std::to_string(worker) + ")";
  ASSERT_TRUE(comes_to_say(killed)) << "which is grave at every level";
  ASSERT_TRUE(wait_until([&] { return process.children().size() == 1; }));
  process.signal(SIGKILL);
  ASSERT_TRUE(process.wait_exit());
  ASSERT_TRUE(wait_until([&] { return process.is_group_gone(); }));

  const std::string log = process.log();
  const auto expect_at = [&](int level, const std::string& words) {
    EXPECT_EQ(count(log, words) != 0, level >= GetParam()) << words << " in:\n" << log;
  };
  expect_at(0, "worker 0 started");
  expect_at(1, "listening on ");
  expect_at(1, "admin on ");
  expect_at(2, "s1 down: ");
  expect_at(2, "ready: 0 of 1 backends up");
  expect_at(2, "master is gone");  // a worker's
  expect_at(3, killed);
}

}  // namespace
}  // namespace ringmaster::test
