// The command line: what it prints, and exit codes that a script can rely on.
#include <gtest/gtest.h>
#include <regex.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <sstream>

#include "tests/support/backend.h"
#include "tests/support/files.h"
#include "tests/support/ringmaster.h"

namespace ringmaster::test {
namespace {

Finished ringmaster(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), ringmaster_binary());
  return run(std::move(arguments));
}

Finished check(const std::string& config) {
  const TempDir dir;
  write_whole_file(dir.path("c.toml"), config);
  return ringmaster({"--check", "-c", dir.path("c.toml")});
}

// Does a line of `text` match the POSIX extended `pattern`?
bool has_line(const std::string& text, const std::string& pattern) {
  regex_t compiled;
  if (::regcomp(&compiled, pattern.c_str(), REG_EXTENDED | REG_NEWLINE | REG_NOSUB) != 0)
    return false;
  const bool found = ::regexec(&compiled, text.c_str(), 0, nullptr, 0) == 0;
  ::regfree(&compiled);
  return found;
}

constexpr Exit kOk{0, 0};
constexpr Exit kBadConfigOrUsage{1, 0};
constexpr Exit kCouldNotStart{2, 0};

const std::string kBackend = "[[backend]]\nname = \"s1\"\naddress = \"127.0.0.1:8081\"\n";

TEST(CommandLine, TellsItsVersion) {
  const Finished finished = ringmaster({"--version"});
  EXPECT_EQ(finished.exit, kOk);
  EXPECT_TRUE(has_line(finished.output, "ringmaster [0-9]+\\.[0-9]+\\.[0-9]+")) << finished.output;
}

TEST(CommandLine, SaysSoWhereItsOutputIsLost) {
  const TempDir dir;
  write_whole_file(dir.path("c.toml"), kBackend);
  const Finished finished = run({"/bin/sh", "-c", "exec \"$@\" >/dev/full", "sh",
                                 ringmaster_binary(), "--check", "-c", dir.path("c.toml")});
  EXPECT_EQ(finished.exit, kBadConfigOrUsage);
  EXPECT_NE(finished.log.find("No space left"), std::string::npos) << finished.log;
}

// More of it than is kept back.
TEST(CommandLine, SaysSoWhereMuchOutputIsLost) {
  std::string backends;
  for (int i = 0; i < 60; ++i) {
    backends += "[[backend]]\nname = \"s" + std::to_string(i) + "\"\naddress = \"127.0.0.1:1\"\n";
  }
  const TempDir dir;
  Ringmaster balancer("[admin]\nsocket = \"" + dir.path("c.sock") + "\"\n" + backends,
                      {.wait_until_ready = false});
  const Finished finished =
      run({"/bin/sh", "-c", "exec \"$@\" >/dev/full", "sh", ringmaster_binary(), "ctl", "--socket",
           dir.path("c.sock"), "status", "--json"});
  EXPECT_EQ(finished.exit, kBadConfigOrUsage);
  EXPECT_NE(finished.log.find("cannot write the output"), std::string::npos) << finished.log;
}

TEST(CommandLine, TakesNoOrderBesidesAnotherTask) {
  for (const char* task : {"--check", "--demo"}) {
    const Finished finished = ringmaster({task, "ctl", "status"});
    EXPECT_EQ(finished.exit, kBadConfigOrUsage);
    EXPECT_NE(finished.log.find(task), std::string::npos) << finished.log;
  }
}

// Who starts it before the text comes may still think better of it.
TEST(CommandLine, AStartThatWaitsForItsConfigCanBeInterrupted) {
  const TempDir dir;
  ASSERT_EQ(::mkfifo(dir.path("c.toml").c_str(), 0600), 0);
  Process waiting({ringmaster_binary(), "-c", dir.path("c.toml")}, {});
  const std::string status = "/proc/" + std::to_string(waiting.pid()) + "/status";
  const auto sleeps = [&] {
    const std::string text = read_whole_file(status);
    return text.find("State:\tS") != std::string::npos &&
           text.find("Name:\tringmaster\n") != std::string::npos;
  };
  ASSERT_TRUE(wait_until(sleeps));
  waiting.signal(SIGTERM);
  EXPECT_EQ(waiting.wait_exit(), (Exit{-1, SIGTERM}));
}

TEST(CommandLine, TellsItsUsage) {
  const Finished finished = ringmaster({"--help"});
  EXPECT_EQ(finished.exit, kOk);
  for (const char* option : {"--check", "--demo", "--version", "-c"}) {
    EXPECT_NE(finished.output.find(option), std::string::npos) << option;
  }
}

// The first word of each entry in a section of what --help prints.
std::vector<std::string> listed(const std::string& help, const std::string& section) {
  std::istringstream lines(help);
  std::string line;
  while (std::getline(lines, line) && line != section) continue;
  std::vector<std::string> words;
  while (std::getline(lines, line) && line.starts_with("  ")) {
    if (line[2] != ' ') words.push_back(line.substr(2, line.find(' ', 2) - 2));
  }
  return words;
}

// Every option, every order of ctl, and the options that an order has for itself.
TEST(CommandLine, IsExplainedInTheManual) {
  const std::string page = read_whole_file(source_path("packaging/man/ringmaster.8"));
  const auto expect_entry = [&](const std::string& what) {
    EXPECT_TRUE(has_line(page, "^\\.It (.* )?" + what + "( |$)")) << what;
  };
  // "-c,--config" as "-c" and as "--config"; the manual leaves out one dash.
  const auto expect_options = [&](const std::string& help, const std::string& before) {
    int options = 0;
    for (const std::string& entry : listed(help, "Options:")) {
      std::istringstream forms(entry);
      for (std::string form; std::getline(forms, form, ',');) {
        const bool is_general = form == "-h" || form == "--help";
        expect_entry((is_general ? "" : before) + "Fl " + form.substr(1));
        ++options;
      }
    }
    return options;
  };

  const std::string help = ringmaster({"--help"}).output;
  EXPECT_GE(expect_options(help, ""), 7);
  EXPECT_EQ(listed(help, "Subcommands:"), std::vector<std::string>{"ctl"})
      << "of the section CONTROL";
  const std::string help_of_ctl = ringmaster({"ctl", "--help"}).output;
  EXPECT_GE(expect_options(help_of_ctl, ""), 4);
  const std::vector<std::string> orders = listed(help_of_ctl, "Subcommands:");
  EXPECT_GE(orders.size(), 7u);
  int options_of_orders = 0;
  for (const std::string& order : orders) {
    expect_entry("Cm " + order);
    const std::string help_of_order = ringmaster({"ctl", order, "--help"}).output;
    options_of_orders += expect_options(help_of_order, "Cm " + order + " (.* )?");
  }
  // Of all --help, and two of recorder's own.
  EXPECT_GE(options_of_orders, 2 * static_cast<int>(orders.size()) + 2);
}

TEST(CommandLine, RefusesWhatItDoesNotKnow) {
  EXPECT_EQ(ringmaster({"--no-such-option"}).exit, kBadConfigOrUsage);
  EXPECT_EQ(ringmaster({"stray"}).exit, kBadConfigOrUsage);
  EXPECT_EQ(ringmaster({"-c"}).exit, kBadConfigOrUsage);
  EXPECT_EQ(ringmaster({"-c", ""}).exit, kBadConfigOrUsage);
  EXPECT_EQ(ringmaster({"--demo", "-c", "x.toml"}).exit, kBadConfigOrUsage);
}

TEST(CommandLine, AMissingConfigIsAnError) {
  const TempDir dir;
  for (const Finished& finished : {ringmaster({"-c", dir.path("none.toml")}),
                                   ringmaster({"--check", "-c", dir.path("none.toml")})}) {
    EXPECT_EQ(finished.exit, kBadConfigOrUsage);
    EXPECT_NE((finished.output + finished.log).find("none.toml"), std::string::npos);
  }
}

TEST(Check, SaysOkToAGoodConfig) {
  const Finished finished = check(kBackend);
  EXPECT_EQ(finished.exit, kOk) << finished.log;
  EXPECT_EQ(finished.output, "ok\n");
}

TEST(Check, NamesThePlaceOfEveryError) {
  const Finished finished = check(
      "[server]\n"
      "workers = -3\n"
      "drain_timeout = \"30 bananas\"\n"
      "no_such_key = 1\n" +
      kBackend + kBackend);

  EXPECT_EQ(finished.exit, kBadConfigOrUsage);
  const std::string said = finished.output + finished.log;
  for (const char* place : {"c\\.toml:2:[0-9]+: .*workers", "c\\.toml:3:[0-9]+: .*drain_timeout",
                            "c\\.toml:4:[0-9]+: .*no_such_key", "c\\.toml:[89]:[0-9]+: .*s1"}) {
    EXPECT_TRUE(has_line(said, place)) << place << "\n" << said;
  }
}

TEST(Check, WarnsOfWhatIsHardlyMeant) {
  const std::string twin = "[[backend]]\nname = \"s2\"\naddress = \"LOCALHOST.:1\"\n";
  const std::string first = "[[backend]]\nname = \"s1\"\naddress = \"localhost:1\"\n";
  const Finished finished = check(
      "[server]\nlisten = \"0.0.0.0:1\"\n[log]\naccess = \"/no/such/access.log\"\n"
      "[admin]\nsocket = \"/proc\"\n"
      "[health]\ninterval = \"1s\"\ntimeout = \"2s\"\nfast_interval = \"3s\"\n" +
      first + twin);
  EXPECT_EQ(finished.exit, kOk) << finished.log;
  EXPECT_EQ(finished.output, "ok\n");
  for (const char* warning :
       {"4:10: log\\.access = .* there is no directory /no/such, so .*",
        "6:10: admin\\.socket = \"/proc\": that is a directory, .*",
        "9:11: health\\.timeout = \"2s\" is longer than health\\.interval = \"1s\": .*",
        "10:17: health\\.fast_interval = \"3s\" is longer .*",
        "13:11: backend \"s1\" is this balancer itself.*",
        "16:11: backends \"s1\" and \"s2\" have the same .*",
        "16:11: backend \"s2\" is this balancer itself.*"}) {
    EXPECT_TRUE(has_line(finished.log, std::string("warning: .*/c\\.toml:") + warning))
        << warning << "\n"
        << finished.log;
  }
}

TEST(Check, NamesThePlaceOfASyntaxError) {
  const Finished finished = check("[server]\nworkers = = 2\n");
  EXPECT_EQ(finished.exit, kBadConfigOrUsage);
  const std::string said = finished.output + finished.log;
  EXPECT_TRUE(has_line(said, "c\\.toml:2:[0-9]+: ")) << said;
}

TEST(Check, WantsAtLeastOneBackend) {
  EXPECT_EQ(check("[server]\nworkers = 2\n").exit, kBadConfigOrUsage);
}

TEST(Check, DoesNotStartAnything) {
  const UniqueFd taken = listen_at({own_loopback(), 0});
  const std::string address = local_endpoint(taken.get()).to_string();
  EXPECT_EQ(check("[server]\nlisten = \"" + address + "\"\n" + kBackend).exit, kOk);
}

TEST(Start, ABadConfigIsRefusedWithItsPlace) {
  const TempDir dir;
  write_whole_file(dir.path("c.toml"), "[server]\nworkers = \"many\"\n" + kBackend);
  const Finished finished = ringmaster({"-c", dir.path("c.toml")});
  EXPECT_EQ(finished.exit, kBadConfigOrUsage);
  EXPECT_TRUE(has_line(finished.log, "c\\.toml:2:[0-9]+: ")) << finished.log;
}

TEST(Start, ATakenPortIsNamed) {
  const UniqueFd taken = listen_at({own_loopback(), 0});
  const std::string address = local_endpoint(taken.get()).to_string();
  for (const std::string table : {"server", "admin"}) {
    const TempDir dir;
    write_whole_file(dir.path("c.toml"),
                     complete_config("[" + table + "]\nlisten = \"" + address + "\"\n" + kBackend));
    const Finished finished = ringmaster({"-c", dir.path("c.toml")});
    EXPECT_EQ(finished.exit, kCouldNotStart) << table;
    EXPECT_NE(finished.log.find(address), std::string::npos) << finished.log;
  }
}

TEST(Start, WithTooFewFilesItSaysSo) {
  const TempDir dir;
  write_whole_file(dir.path("c.toml"), complete_config(kBackend));
  for (const char* files : {"10", "12", "18"}) {
    const Finished finished = run({"/bin/sh", "-c", "ulimit -n $2; exec \"$0\" -c \"$1\"",
                                   ringmaster_binary(), dir.path("c.toml"), files});
    EXPECT_EQ(finished.exit, kCouldNotStart) << files;
    EXPECT_NE(finished.log.find("the limit on open files is"), std::string::npos) << finished.log;
  }
}

TEST(Start, DoesNotDieOfALogThatNobodyReads) {
  const UniqueFd taken = listen_at({own_loopback(), 0});
  const TempDir dir;
  write_whole_file(dir.path("c.toml"),
                   complete_config("[server]\nlisten = \"" +
                                   local_endpoint(taken.get()).to_string() + "\"\n" + kBackend));
  int ends[2];
  ASSERT_EQ(::pipe(ends), 0);  // inherited
  ::close(ends[0]);
  const UniqueFd unread(ends[1]);
  const Finished finished = run({"/bin/sh", "-c", "exec \"$0\" -c \"$1\" 2>&$2",
                                 ringmaster_binary(), dir.path("c.toml"), std::to_string(ends[1])});
  EXPECT_EQ(finished.exit, kCouldNotStart) << "as is right where the port is taken";
}

TEST(Start, EveryListenerServes) {
  Backend backend("s1");
  const std::string any = "\"" + own_loopback() + ":0\"";
  Ringmaster ringmaster("[server]\nlisten = [" + any + ", " + any + "]\n" + backend.toml());

  EXPECT_EQ(get(ringmaster.endpoint(0), "/").status, 200);
  EXPECT_EQ(get(ringmaster.endpoint(1), "/").status, 200);
}

}  // namespace
}  // namespace ringmaster::test
