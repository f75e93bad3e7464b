// The notifier against a datagram socket of our own, as systemd would listen on.
#include "master/systemd/service_notifier.h"

#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstddef>
#include <cstring>
#include <string>
#include <vector>

#include "shared/base/unique_fd.h"
#include "tests/unit/master/test_loop.h"

namespace ringmaster::test {
namespace {

class ServiceNotifierTest : public testing::Test {
 protected:
  ServiceNotifierTest() {
    // An abstract socket: no file to clean up.
    const std::string name = "@ringmaster-notify-" + std::to_string(::getpid());
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, name.data(), name.size());
    address.sun_path[0] = '\0';
    const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + name.size());
    socket_.reset(::socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    EXPECT_EQ(::bind(socket_.get(), reinterpret_cast<sockaddr*>(&address), size), 0);
    ::setenv("NOTIFY_SOCKET", name.c_str(), 1);
  }
  ~ServiceNotifierTest() override {
    for (const char* name : {"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"}) ::unsetenv(name);
  }
  // The datagrams that have come since the last call.
  std::vector<std::string> said() {
    std::vector<std::string> datagrams;
    char bytes[1024];
    for (ssize_t size; (size = ::recv(socket_.get(), bytes, sizeof bytes, 0)) >= 0;) {
      datagrams.emplace_back(bytes, static_cast<std::size_t>(size));
    }
    return datagrams;
  }
  using Said = std::vector<std::string>;

  CapturedLog log_;
  TestLoop loop_;
  UniqueFd socket_;
};

TEST_F(ServiceNotifierTest, AsksForTimeInMicroseconds) {
  ServiceNotifier(loop_.get()).ask_for_time(90'000);
  EXPECT_EQ(said(), Said{"EXTEND_TIMEOUT_USEC=90000000"});
}

TEST_F(ServiceNotifierTest, SaysReadyAndStopping) {
  ServiceNotifier notifier(loop_.get());
  notifier.ready();
  EXPECT_EQ(said(), Said{"READY=1"});
  notifier.stopping();
  EXPECT_EQ(said(), Said{"STOPPING=1"}) << "the environment is still there";
}

TEST_F(ServiceNotifierTest, SaysAStatusOnlyWhenItChanges) {
  ServiceNotifier notifier(loop_.get());
  notifier.status("serving: 3 of 3 backends up, 4 workers");
  notifier.status("serving: 3 of 3 backends up, 4 workers");
  EXPECT_EQ(said(), Said{"STATUS=serving: 3 of 3 backends up, 4 workers"});
  notifier.status("serving: 2 of 3 backends up, 4 workers");
  EXPECT_EQ(said(), Said{"STATUS=serving: 2 of 3 backends up, 4 workers"});
}

TEST_F(ServiceNotifierTest, AStatusCannotSayAnythingElse) {
  ServiceNotifier notifier(loop_.get());
  notifier.status("fine\nMAINPID=1");
  EXPECT_EQ(said(), Said{"STATUS=fine MAINPID=1"});
}

TEST_F(ServiceNotifierTest, PingsTheWatchdogAgainAndAgain) {
  ::setenv("WATCHDOG_USEC", "20000", 1);
  ServiceNotifier notifier(loop_.get());
  notifier.watchdog();
  Said all;
  EXPECT_TRUE(loop_.run_until([&] {
    for (const std::string& datagram : said()) all.push_back(datagram);
    return all.size() >= 3;
  }));
  for (const std::string& datagram : all) EXPECT_EQ(datagram, "WATCHDOG=1");
}

TEST_F(ServiceNotifierTest, LeavesTheWatchdogAloneThatIsNotItsOwn) {
  ServiceNotifier notifier(loop_.get());
  notifier.watchdog();  // none is set
  EXPECT_EQ(uv_loop_alive(loop_.get()), 0);
  ::setenv("WATCHDOG_USEC", "20000", 1);
  ::setenv("WATCHDOG_PID", "1", 1);
  notifier.watchdog();
  EXPECT_EQ(uv_loop_alive(loop_.get()), 0);
}

TEST_F(ServiceNotifierTest, IsSilentWhereNoOneListens) {
  ::unsetenv("NOTIFY_SOCKET");
  ServiceNotifier notifier(loop_.get());
  notifier.ready();
  notifier.status("serving");
  EXPECT_TRUE(said().empty());
  EXPECT_EQ(log_.text(), "");
}

TEST_F(ServiceNotifierTest, KeepsInOrderWhatFindsNoRoom) {
  ServiceNotifier notifier(loop_.get());
  std::size_t sent = 0;
  while (log_.text().empty() && ++sent < 10'000) notifier.ask_for_time(sent);
  notifier.ready();
  notifier.status("serving");
  EXPECT_EQ(log_.count("warning systemd is not reading notifications; they are queued"), 1);
  EXPECT_EQ(said().size(), sent - 1);

  notifier.status("serving");
  const Said late = {"EXTEND_TIMEOUT_USEC=" + std::to_string(sent * 1000), "READY=1",
                     "STATUS=serving"};
  EXPECT_EQ(said(), late);
}

TEST_F(ServiceNotifierTest, ASocketThatIsGoneIsLoggedOnce) {
  socket_.reset();
  ServiceNotifier notifier(loop_.get());
  notifier.ready();
  notifier.stopping();
  EXPECT_EQ(log_.count("warning cannot notify systemd: Connection refused"), 1) << log_.text();
}

}  // namespace
}  // namespace ringmaster::test
