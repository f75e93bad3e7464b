// `ringmaster ctl`: what an operator asks and orders over the control socket.
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <csignal>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "tests/support/backend.h"
#include "tests/support/files.h"
#include "tests/support/ringmaster.h"

namespace ringmaster::test {
namespace {

constexpr Exit kDone{0, 0};
constexpr Exit kRefused{1, 0};

TEST(Ctl, ShowsTheStatusToPeopleAndMachines) {
  Backend backend("s1");
  Ringmaster ringmaster(backend.toml());
  EXPECT_EQ(get(ringmaster.endpoint(), "/").status, 200);

  const Finished table = ringmaster.ctl({"status"});
  EXPECT_EQ(table.exit, kDone);
  EXPECT_NE(table.output.find("BACKEND"), std::string::npos);
  EXPECT_NE(table.output.find("s1 "), std::string::npos);
  EXPECT_NE(table.output.find("1 request answered"), std::string::npos) << table.output;

  const Finished json = ringmaster.ctl({"status", "--json"});
  EXPECT_EQ(json.exit, kDone);
  EXPECT_EQ(nlohmann::json::parse(json.output).at("backends").at(0).at("name"), "s1");
}

TEST(Ctl, TellsAProgramWhatCameOfAnOrder) {
  Backend backend("s1");
  Ringmaster ringmaster(backend.toml());
  const auto outcome = [&](std::vector<std::string> order, Exit exit) {
    order.push_back("--json");
    const Finished finished = ringmaster.ctl(order);
    EXPECT_EQ(finished.exit, exit);
    return nlohmann::json::parse(finished.output);
  };
  EXPECT_EQ(outcome({"drain", "s1"}, kDone).at("ok"), true);
  const nlohmann::json refused = outcome({"drain", "s9"}, kRefused);
  EXPECT_EQ(refused.at("ok"), false);
  EXPECT_NE(refused.at("message").get<std::string>().find("s9"), std::string::npos);
  EXPECT_EQ(outcome({"why", "no-such-id"}, kRefused).at("ok"), false);
  EXPECT_EQ(outcome({"reload"}, kDone).at("ok"), true);
  ringmaster.stop(SIGINT);
  EXPECT_EQ(outcome({"status"}, kRefused).at("ok"), false);
}

TEST(Ctl, DoesNotWaitForAMasterThatHangs) {
  Backend backend("s1");
  Ringmaster ringmaster(backend.toml());
  ringmaster.process().signal(SIGSTOP);
  const Finished status = ringmaster.ctl({"status"});
  ringmaster.process().signal(SIGCONT);
  EXPECT_EQ(status.exit, kRefused);
  EXPECT_NE(status.log.find("no answer from the master"), std::string::npos) << status.log;
}

Finished status_at(const std::string& socket) {
  return run({ringmaster_binary(), "ctl", "--socket", socket, "status"});
}

// Connections wait to be taken up, also those of callers who have given up: a queue that gets full.
TEST(Ctl, DoesNotWaitForAMasterThatTakesUpNobody) {
  Backend backend("s1");
  const TempDir dir;
  const std::string path = dir.path("control");
  Ringmaster ringmaster("[admin]\nsocket = \"" + path + "\"\n" + backend.toml());
  ringmaster.process().signal(SIGSTOP);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof address.sun_path - 1);
  std::vector<UniqueFd> queue;
  do queue.emplace_back(::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  while (::connect(queue.back().get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);

  const Finished status = status_at(path);
  EXPECT_EQ(status.exit, kRefused);
  EXPECT_NE(status.log.find("it hangs, or is stopped"), std::string::npos) << status.log;
  // Nor is a place free that somebody holds who hangs.
  const std::string other = dir.path("other.toml");
  write_whole_file(other, complete_config("[admin]\nsocket = \"" + path + "\"\n" + backend.toml()));
  const Finished second = run({ringmaster_binary(), "-c", other});
  EXPECT_EQ(second.exit, (Exit{2, 0}));
  EXPECT_NE(second.log.find("another ringmaster answers there"), std::string::npos) << second.log;
  ringmaster.process().signal(SIGCONT);
}

TEST(Ctl, AReloadRestoresASocketThatWasRemoved) {
  Backend backend("s1");
  const TempDir dir;
  const std::string path = dir.path("control");
  Ringmaster ringmaster("[admin]\nsocket = \"" + path + "\"\n" + backend.toml());
  std::filesystem::remove(path);
  EXPECT_EQ(status_at(path).exit, kRefused);
  ringmaster.process().signal(SIGHUP);
  EXPECT_TRUE(wait_until([&] { return status_at(path).exit == kDone; }));
  EXPECT_EQ(ringmaster.stop(SIGTERM), kDone);
  EXPECT_FALSE(std::filesystem::exists(path));
}

TEST(Ctl, RefusesNamesThatNoBackendCanHave) {
  Backend backend("s1");
  Ringmaster ringmaster(backend.toml());
  for (const char* name : {"s1 s2", "s1\nx", ""}) {
    const Finished finished = ringmaster.ctl({"drain", name});
    EXPECT_EQ(finished.exit, kRefused) << name;
    EXPECT_NE(finished.log.find("name"), std::string::npos) << finished.log;
  }
}

TEST(Ctl, DrainsABackendAndPutsItBack) {
  Backend first("s1");
  Backend second("s2");
  Ringmaster ringmaster("[hash]\nkey = \"path\"\n" + toml_of(first, second));
  const std::string path_of_first = ringmaster.path_of("s1");

  EXPECT_EQ(ringmaster.ctl({"drain", "s1"}).exit, kDone);
  EXPECT_EQ(ringmaster.backend_state("s1"), "draining");
  EXPECT_TRUE(
      wait_until([&] { return get(ringmaster.endpoint(), path_of_first).backend() == "s2"; }));
  const Metrics drained = ringmaster.metrics();
  EXPECT_EQ(drained.get("ringmaster_backend_state{backend=\"s1\",state=\"draining\"}"), 1);

  EXPECT_EQ(ringmaster.ctl({"reload"}).exit, kDone);
  EXPECT_EQ(ringmaster.backend_state("s1"), "draining") << "a reload is no reason to forget it";
  EXPECT_EQ(get(ringmaster.endpoint(), path_of_first).backend(), "s2");

  EXPECT_EQ(ringmaster.ctl({"ready", "s1"}).exit, kDone);
  EXPECT_TRUE(
      wait_until([&] { return get(ringmaster.endpoint(), path_of_first).backend() == "s1"; }));
}

TEST(Ctl, SaysWhichBackendsThereAre) {
  Backend backend("s1");
  Ringmaster ringmaster(backend.toml());
  const Finished drain = ringmaster.ctl({"drain", "s2"});
  EXPECT_EQ(drain.exit, kRefused);
  EXPECT_NE(drain.log.find("there are: s1"), std::string::npos) << drain.log;
}

TEST(Ctl, SaysWhatItCanBeToldToDo) {
  const Finished nothing = run({ringmaster_binary(), "ctl"});
  EXPECT_EQ(nothing.exit, kRefused);
  EXPECT_NE(nothing.log.find("status, reload, reopen, drain NAME"), std::string::npos)
      << nothing.log;
  const Finished unknown = run({ringmaster_binary(), "ctl", "restart"});
  EXPECT_EQ(unknown.exit, kRefused);
  EXPECT_NE(unknown.log.find("not expected: restart"), std::string::npos) << unknown.log;
  EXPECT_EQ(run({ringmaster_binary(), "ctl", "status", "reload"}).exit, kRefused);
}

TEST(Ctl, SaysWhenNobodyAnswers) {
  const Finished reload =
      run({ringmaster_binary(), "ctl", "reload", "--socket", "/nonexistent/control.sock"});
  EXPECT_EQ(reload.exit, kRefused);
  EXPECT_NE(reload.log.find("/nonexistent/control.sock"), std::string::npos);
}

// Now more than ever: the file was just broken, and somebody wants to look, or to try again.
TEST(Ctl, FindsTheMasterByAFileThatIsBrokenElsewhere) {
  TempDir dir;
  const std::string file = dir.path("c.toml");
  Backend backend("s1");
  const std::string good =
      complete_config("[admin]\nsocket = \"" + dir.path("own.sock") + "\"\nlisten = \"" +
                      own_loopback() + ":0\"\n" + backend.toml());
  write_whole_file(file, good);
  Process master({ringmaster_binary(), "-c", file});
  const auto ctl = [&](const std::string& command) {
    return run({ringmaster_binary(), "ctl", "-c", file, command});
  };
  ASSERT_TRUE(wait_until([&] { return ctl("status").exit == kDone; }));

  for (const char* broken : {"[hash]\nno_such_key = 1\n", "[hash]\nkey = = \"uri\"\n",
                             "[hash\n\"\n", "[server]\ntrusted_proxies = [\"10.0.0.0/8\"\n"}) {
    write_whole_file(file, broken + good);
    EXPECT_EQ(ctl("status").exit, kDone) << broken;
    const Finished refused = ctl("reload");
    EXPECT_EQ(refused.exit, kRefused) << broken;
    EXPECT_NE(refused.log.find(file + ":"), std::string::npos) << refused.log;
  }
  EXPECT_NE(master.log().find("reload refused"), std::string::npos) << "the master knows of it";
  master.signal(SIGTERM);
  EXPECT_EQ(master.wait_exit(), kDone);
}

TEST(Ctl, IsTheOwnersAloneAndNotOnTheAdminEndpoint) {
  TempDir dir;
  const std::string path = dir.path("control.sock");
  Backend backend("s1");
  Ringmaster ringmaster("[admin]\nsocket = \"" + path + "\"\n" + backend.toml());
  struct stat status;
  ASSERT_EQ(::stat(path.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0600u);
  EXPECT_EQ(get(ringmaster.admin(), "/reload").status, 404);
  Client client(ringmaster.admin());
  client.send(request_head("POST", "/reload"));
  EXPECT_EQ(client.receive("POST").status, 405);

  EXPECT_EQ(ringmaster.stop(SIGTERM), kDone);
  EXPECT_NE(::stat(path.c_str(), &status), 0) << "a socket that nobody answers is not left behind";
}

// What systemd's ExecReload= relies on.
TEST(Ctl, TheServicesPlaceLeadsToTheSocketWhereverAReloadMovesIt) {
  TempDir runtime;
  TempDir dir;
  Backend backend("s1");
  const auto with_socket = [&](const std::string& path) {
    return "[admin]\nsocket = \"" + path + "\"\n" + backend.toml();
  };
  const std::string place = runtime.path("control.sock");
  const std::string directory = std::filesystem::path(place).parent_path();
  Ringmaster ringmaster(with_socket(place), {.environment = {"RUNTIME_DIRECTORY=" + directory}});
  const auto ask = [](const std::string& socket, const char* order) {
    return run({ringmaster_binary(), "ctl", "--socket", socket, order});
  };
  // One place by two names is one socket.
  const std::string other_name = dir.path("./a");
  const std::string other_name_of_place = directory + "/./control.sock";
  for (const std::string& next :
       {dir.path("a"), other_name, dir.path("a"), dir.path("b"), other_name_of_place, dir.path("b"),
        place, other_name_of_place, other_name}) {
    ringmaster.write_config(with_socket(next));
    const Finished reload = ask(place, "reload");
    ASSERT_EQ(reload.exit, kDone) << next << ": " << reload.log;
    EXPECT_EQ(ask(place, "status").exit, kDone) << next;
    EXPECT_EQ(ask(next, "status").exit, kDone) << next;
    ringmaster.write_config("[server]\nworkers = \"many\"\n");
    const Finished refused = ask(place, "reload");
    EXPECT_EQ(refused.exit, kRefused);
    EXPECT_NE(refused.log.find("server.workers"), std::string::npos) << refused.log;
  }
  EXPECT_FALSE(std::filesystem::exists(dir.path("b"))) << "left behind";
  EXPECT_EQ(ringmaster.stop(SIGTERM), kDone);
  EXPECT_FALSE(std::filesystem::is_symlink(place));
}

TEST(Ctl, TwoMastersDoNotShareASocket) {
  TempDir dir;
  const std::string socket = "[admin]\nsocket = \"" + dir.path("control.sock") + "\"\n";
  Backend backend("s1");
  Ringmaster first(socket + backend.toml());
  write_whole_file(dir.path("second.toml"), complete_config(socket + backend.toml()));
  const Finished second = run({ringmaster_binary(), "-c", dir.path("second.toml")});
  EXPECT_EQ(second.exit.code, 2);
  EXPECT_NE(second.log.find("another ringmaster"), std::string::npos) << second.log;
}

}  // namespace
}  // namespace ringmaster::test
