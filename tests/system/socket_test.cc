// The service behind ringmaster.socket: systemd holds the listeners, and all else is as without it.
#include <gtest/gtest.h>

#include <csignal>
#include <functional>

#include "tests/system/service.h"
#include "tests/system/traffic.h"

namespace ringmaster::test {
namespace {

class SystemSocket : public ::testing::Test {
 protected:
  void SetUp() override { ASSERT_TRUE(traffic_.is_flowing()); }
  // Waits until another master serves.
  void expect_restart_by(const std::function<void(pid_t)>& blow) {
    const pid_t master = service_.main_pid();
    blow(master);
    EXPECT_TRUE(wait_until([&] {
      const pid_t now = service_.main_pid();
      return now != 0 && now != master && service_.is_serving();
    }));
    EXPECT_TRUE(traffic_.wait_for_more(100));
  }
  void expect_in_place(const std::function<Finished()>& change) {
    const pid_t master = service_.main_pid();
    const Finished done = change();
    EXPECT_EQ(done.exit, kDone) << done.output << done.log;
    EXPECT_EQ(service_.main_pid(), master);
    EXPECT_TRUE(traffic_.wait_for_more(100));
  }
  void reload() {
    expect_in_place([] { return systemctl({"reload", "ringmaster.service"}); });
  }
  void TearDown() override {
    const Tally tally = traffic_.stop();
    EXPECT_EQ(tally.failures(), 0u) << ::testing::PrintToString(tally);
    EXPECT_EQ(tally.tunnels_lost(), 0u) << ::testing::PrintToString(tally);
    EXPECT_EQ(watch_.fallen(), "");
  }

  const Origin origin_{{8081, 8082, 8083}};
  const Service service_{origin_, "", {.with_socket = true, .drop_in = "WatchdogSec=2s\n"}};
  CounterWatch watch_{service_.admin()};
  Traffic traffic_{{.server = service_.endpoint()}};
};

TEST_F(SystemSocket, AKilledMasterAndReloadsBeforeAndBehindCostNobodyAnything) {
  reload();
  expect_restart_by([](pid_t master) { ::kill(master, SIGKILL); });
  reload();
  reload();
  expect_restart_by([](pid_t master) { ::kill(master, SIGKILL); });
}

TEST_F(SystemSocket, AHungMasterCostsNobodyAnything) {
  expect_restart_by([](pid_t master) { ::kill(master, SIGSTOP); });
  reload();
}

TEST_F(SystemSocket, UpgradesAndADeathBetweenThemCostNobodyAnything) {
  expect_in_place([] { return install(packages()[0]); });  // unless it is that one already
  expect_in_place([] { return install(packages()[1]); });
  expect_restart_by([](pid_t master) { ::kill(master, SIGABRT); });
  expect_in_place([] { return install(packages()[0]); });
}

}  // namespace
}  // namespace ringmaster::test
