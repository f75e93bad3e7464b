// What systemd is told, and when: ready only once the first probes are done and a request is
// served.
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <cstring>
#include <future>
#include <mutex>
#include <thread>

#include "tests/support/backend.h"
#include "tests/support/behaviour.h"
#include "tests/support/files.h"
#include "tests/support/ringmaster.h"

namespace ringmaster::test {
namespace {

// The place that NOTIFY_SOCKET names; as yet nobody reads there.
class NotifySocket {
 public:
  NotifySocket() : fd_(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0)) {
    address_.sun_family = AF_UNIX;
    std::strncpy(address_.sun_path, path().c_str(), sizeof address_.sun_path - 1);
    if (::bind(fd_.get(), reinterpret_cast<sockaddr*>(&address_), sizeof address_) != 0) {
      throw std::runtime_error("cannot bind " + path());
    }
  }
  ~NotifySocket() {
    ::shutdown(fd_.get(), SHUT_RDWR);
    if (listener_.joinable()) listener_.join();
  }

  void listen() {
    listener_ = std::thread([this] { hear(); });
  }
  // For as long as nobody listens there is no room for another word.
  void fill() {
    const UniqueFd talker(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    const auto* there = reinterpret_cast<const sockaddr*>(&address_);
    while (::sendto(talker.get(), "X", 1, 0, there, sizeof address_) == 1) {
    }
  }

  std::string path() const { return dir_.path("notify"); }
  std::string environment() const { return "NOTIFY_SOCKET=" + path(); }

  // All that was said so far, one assignment a line.
  std::string said() {
    const std::lock_guard lock(mutex_);
    return said_;
  }
  bool comes_to_say(const std::string& line, milliseconds patience = kPatience) {
    return wait_until([&] { return has_said(line); }, patience);
  }
  // What was said behind a line; nothing, before that was.
  std::string said_after(const std::string& line) {
    const std::string all = said();
    const auto at = all.find(line);
    return at == all.npos ? "" : all.substr(at + line.size());
  }
  bool has_said(const std::string& line) {
    return ("\n" + said()).find("\n" + line) != std::string::npos;
  }

 private:
  void hear() {
    std::array<char, 4096> datagram;
    for (ssize_t size; (size = ::recv(fd_.get(), datagram.data(), datagram.size(), 0)) > 0;) {
      const std::lock_guard lock(mutex_);
      said_.append(datagram.data(), static_cast<std::size_t>(size)).append("\n");
    }
  }

  TempDir dir_;
  UniqueFd fd_;
  sockaddr_un address_{};
  std::thread listener_;
  std::mutex mutex_;
  std::string said_;
};

// systemd's end of it.
class Systemd : public NotifySocket {
 public:
  Systemd() { listen(); }
};

std::size_t count_of(std::string_view what, std::string_view text) {
  std::size_t count = 0;
  for (auto at = text.find(what); at != text.npos; at = text.find(what, at + 1)) ++count;
  return count;
}

TEST(SdNotify, IsReadyWhenARequestIsServed) {
  Systemd systemd;
  Backend backend("s1");
  Ringmaster ringmaster(backend.toml(),
                        {.environment = {systemd.environment()}, .wait_until_ready = false});

  ASSERT_TRUE(systemd.comes_to_say("READY=1\n"));
  EXPECT_EQ(ringmaster.ready_status(), 200);
  EXPECT_EQ(get(ringmaster.endpoint(), "/").status, 200);
  EXPECT_TRUE(systemd.comes_to_say("STATUS="));
}

TEST(SdNotify, IsNotReadyBeforeTheFirstProbesAreDone) {
  Systemd systemd;
  Backend backend("s1");
  backend.hang();
  Ringmaster ringmaster("[health]\ninterval = \"60s\"\ntimeout = \"60s\"\n" + backend.toml(),
                        {.environment = {systemd.environment()}, .wait_until_ready = false});

  EXPECT_FALSE(systemd.comes_to_say("READY=1\n", seconds(1)));
  backend.resume();
  EXPECT_TRUE(systemd.comes_to_say("READY=1\n"));
}

TEST(SdNotify, IsReadyThoughABackendIsDown) {
  Systemd systemd;
  Backend up("up"), down("down");
  down.stop();
  Ringmaster ringmaster(toml_of(up, down),
                        {.environment = {systemd.environment()}, .wait_until_ready = false});

  ASSERT_TRUE(systemd.comes_to_say("READY=1\n"));
  Client client(ringmaster.endpoint());
  for (int i = 0; i < 20; ++i) {
    EXPECT_EQ(client.get("/" + std::to_string(i)).backend(), "up");
  }
}

// Returns when systemd has heard of its end.
void reload(const Ringmaster& ringmaster, NotifySocket& systemd) {
  const std::size_t before = count_of("READY=1\n", systemd.said());
  EXPECT_EQ(ringmaster.ctl({"reload"}).exit, (Exit{0, 0}));
  EXPECT_TRUE(wait_until([&] { return count_of("READY=1\n", systemd.said()) > before; }));
}

// The first round of probes may take longer than the unit's timeout.
TEST(SdNotify, AsksForTheTimeThatAStartOrAReloadMayTake) {
  Systemd systemd;
  Backend backend("s1");
  Ringmaster ringmaster("[health]\ninterval = \"40s\"\ntimeout = \"40s\"\n" + backend.toml(),
                        {.environment = {systemd.environment()}, .wait_until_ready = false});
  ASSERT_TRUE(systemd.comes_to_say("READY=1\n"));
  const auto times_asked = [&] {
    return count_of("EXTEND_TIMEOUT_USEC=90000000\n", systemd.said());
  };
  EXPECT_EQ(times_asked(), 1u);
  reload(ringmaster, systemd);
  EXPECT_EQ(times_asked(), 2u);
}

// One that dies in the middle would find some of them missing.
TEST(SdNotify, WhatIsStoredIsNotForgottenByAReloadThatKeepsIt) {
  Systemd systemd;
  Backend backend("s1");
  const std::string ip = own_loopback();
  Ringmaster ringmaster("[server]\nlisten = \"" + ip + ":0\"\n" + backend.toml(),
                        {.environment = {systemd.environment()}, .wait_until_ready = false});
  ASSERT_TRUE(systemd.comes_to_say("FDSTORE=1\nFDNAME=ringmaster-listener-" + ip + "_"));
  ASSERT_TRUE(systemd.comes_to_say("READY=1\n"));
  const std::size_t before = systemd.said().size();
  reload(ringmaster, systemd);
  EXPECT_EQ(systemd.said().find("FDSTOREREMOVE", before), std::string::npos);

  const std::string added = free_endpoint(ip).to_string();
  ringmaster.write_config("[server]\nlisten = [\"" + ip + ":0\", \"" + added + "\"]\n" +
                          backend.toml());
  reload(ringmaster, systemd);
  EXPECT_EQ(systemd.said().find("FDSTOREREMOVE", before), std::string::npos) << "one more";
  ringmaster.write_config("[server]\nlisten = \"" + added + "\"\n" + backend.toml());
  reload(ringmaster, systemd);
  EXPECT_EQ(count_of("FDSTOREREMOVE=1\n", systemd.said().substr(before)), 1u) << "one less";
  std::string kept = added;
  std::replace(kept.begin(), kept.end(), ':', '_');
  EXPECT_EQ(systemd.said().find("FDSTOREREMOVE=1\nFDNAME=ringmaster-listener-" + kept, before),
            std::string::npos);
  EXPECT_EQ(systemd.said().find("FDSTOREREMOVE=1\nFDNAME=ringmaster-memory\n", before),
            std::string::npos)
      << "which is not there for a moment then";
}

// Who waits at a socket of systemd's has it started again at once, and again.
TEST(SdNotify, AStartThatFailsTakesASecondButKeepsNoStopWaiting) {
  Systemd systemd;
  TempDir dir;
  write_whole_file(dir.path("broken.toml"), "[server]\nworkers = \"many\"\n");
  const std::vector<std::string> command{ringmaster_binary(), "-c", dir.path("broken.toml")};
  const Stopwatch since_start;
  const Finished failed = run(command, {systemd.environment()});
  EXPECT_EQ(failed.exit, (Exit{1, 0}));
  EXPECT_NE(failed.log.find("server.workers"), std::string::npos) << failed.log;
  EXPECT_GE(since_start.elapsed(), seconds(1));

  Process stopped(command, {systemd.environment()});
  ASSERT_TRUE(
      wait_until([&] { return stopped.log().find("server.workers") != std::string::npos; }));
  const Stopwatch since_told;
  stopped.signal(SIGTERM);
  EXPECT_EQ(stopped.wait_exit(), (Exit{1, 0}));
  EXPECT_LT(since_told.elapsed(), milliseconds(900));
}

TEST(SdNotify, SaysThatItStopsBeforeItDoes) {
  Systemd systemd;
  Event may_answer;
  Backend backend("s1", answers_after(may_answer));
  Ringmaster ringmaster("[server]\npre_drain = \"1s\"\ndrain_timeout = \"10m\"\n" + backend.toml(),
                        {.environment = {systemd.environment()}});
  Client client(ringmaster.endpoint());
  client.send(request_head("GET", "/"));
  ASSERT_TRUE(wait_until([&] { return backend.in_flight() == 1; }));
  EXPECT_FALSE(systemd.has_said("STOPPING=1\n"));

  ringmaster.process().signal(SIGTERM);

  // And asks for as long as that may take, whatever the unit allows.
  EXPECT_TRUE(systemd.comes_to_say("STOPPING=1\nEXTEND_TIMEOUT_USEC=606000000\n"));
  EXPECT_TRUE(ringmaster.process().wait_exit(milliseconds(0)) == std::nullopt);
  may_answer.set();
  EXPECT_EQ(client.receive().status, 200);
  EXPECT_EQ(ringmaster.process().wait_exit(), (Exit{0, 0}));
}

// A take-over lasts as long as the first probe of a backend that is new.
TEST(SdNotify, FeedsTheWatchdogWhileANewGenerationStarts) {
  Systemd systemd;
  Backend backend("s1"), slow("s2");
  const std::string health = "[health]\ninterval = \"60s\"\ntimeout = \"60s\"\n";
  Ringmaster ringmaster(health + backend.toml(),
                        {.environment = {systemd.environment(), "WATCHDOG_USEC=400000"}});
  slow.hang();
  ringmaster.write_config(health + toml_of(backend, slow));
  auto reload = std::async(std::launch::async, [&] { return ringmaster.ctl({"reload"}); });
  ASSERT_TRUE(systemd.comes_to_say("RELOADING=1\n"));
  EXPECT_TRUE(systemd.has_said("MONOTONIC_USEC="));
  const auto fed = [&] { return count_of("WATCHDOG=1\n", systemd.said_after("RELOADING=1\n")); };
  EXPECT_TRUE(wait_until([&] { return fed() >= 3; }));
  EXPECT_EQ(count_of("READY=1\n", systemd.said_after("RELOADING=1\n")), 0u);
  slow.resume();
  EXPECT_EQ(reload.get().exit, (Exit{0, 0}));
  EXPECT_TRUE(
      wait_until([&] { return count_of("READY=1\n", systemd.said_after("RELOADING=1\n")) == 1; }));
}

TEST(SdNotify, SaysThatItIsReadyAlsoAfterAReloadThatFails) {
  Systemd systemd;
  Backend backend("s1");
  Ringmaster ringmaster(backend.toml(), {.environment = {systemd.environment()}});
  const UniqueFd squatter = listen_at({own_loopback(), 0});
  const std::string taken = local_endpoint(squatter.get()).to_string();
  ringmaster.write_config("[server]\nlisten = \"" + taken + "\"\n" + backend.toml());
  EXPECT_EQ(ringmaster.ctl({"reload"}).exit, (Exit{1, 0}));
  EXPECT_TRUE(wait_until([&] {
    return count_of("READY=1\n", systemd.said_after("RELOADING=1\n")) == 1;
  })) << systemd.said();
}

// A service manager that hangs is no reason to hang too; what it has missed it learns later.
TEST(SdNotify, DoesNotWaitForAManagerThatDoesNotListen) {
  NotifySocket systemd;
  systemd.fill();
  Backend backend("s1");
  Ringmaster ringmaster(backend.toml(),
                        {.environment = {systemd.environment(), "WATCHDOG_USEC=200000"}});
  EXPECT_EQ(get(ringmaster.endpoint(), "/").status, 200);
  backend.stop();
  EXPECT_TRUE(ringmaster.wait_for_state("s1", "down"));  // a word for the status, too

  systemd.listen();
  EXPECT_TRUE(systemd.comes_to_say("READY=1\n"));
  EXPECT_TRUE(systemd.comes_to_say("WATCHDOG=1\n"));
  EXPECT_TRUE(systemd.comes_to_say("STATUS=serving: 0 of 1 backends up"));
  EXPECT_EQ(ringmaster.stop(SIGINT), (Exit{0, 0}));
}

// Or systemd would keep its port open, and clients would wait there for nobody.
TEST(SdNotify, AStopThatIsCutShortAlsoTakesItsListenersBack) {
  Systemd systemd;
  Backend backend("s1");
  Ringmaster ringmaster("[server]\npre_drain = \"60s\"\n" + backend.toml(),
                        {.environment = {systemd.environment()}});
  ASSERT_TRUE(systemd.comes_to_say("FDSTORE=1\nFDNAME=ringmaster-listener-"));
  ringmaster.process().signal(SIGINT);
  ASSERT_TRUE(systemd.comes_to_say("STOPPING=1\n"));
  ringmaster.stop(SIGINT);
  EXPECT_TRUE(systemd.comes_to_say("FDSTOREREMOVE=1\nFDNAME=ringmaster-listener-"));
}

}  // namespace
}  // namespace ringmaster::test
