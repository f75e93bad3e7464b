// An upgrade of the package is a reload onto the new binary: the same process, and nobody notices.
#include <gtest/gtest.h>

#include "tests/support/client.h"
#include "tests/system/service.h"
#include "tests/system/traffic.h"

namespace ringmaster::test {
namespace {

std::string running_version(const Service& service) {
  const Metrics metrics = service.metrics();
  for (const auto& [series, value] : metrics.all()) {
    if (!series.starts_with("ringmaster_build_info{")) continue;
    const std::size_t at = series.find("version=\"") + 9;
    return series.substr(at, series.find('"', at) - at);
  }
  return {};
}

TEST(SystemUpgrade, FiveUnderLoadCostNobodyAnything) {
  const Origin origin({8081, 8082, 8083});
  const Service service(origin);
  ASSERT_EQ(install(packages()[0]).exit, kDone);
  const pid_t pid = service.main_pid();
  CounterWatch watch(service.admin());
  Traffic traffic({.server = service.endpoint()});
  ASSERT_TRUE(traffic.is_flowing());
  for (std::size_t i = 1; i <= 5; ++i) {
    const Package& next = packages()[i % 2];
    const Finished upgrade = install(next);
    ASSERT_EQ(upgrade.exit, kDone) << upgrade.output << upgrade.log;
    EXPECT_EQ(running_version(service), next.version);
    EXPECT_EQ(service.main_pid(), pid);
    EXPECT_EQ(property("ringmaster.service", "ActiveState"), "active");
  }
  const Tally tally = traffic.stop();
  EXPECT_EQ(tally.failures(), 0u) << ::testing::PrintToString(tally);
  EXPECT_EQ(tally.tunnels_lost(), 0u) << ::testing::PrintToString(tally);
  EXPECT_EQ(watch.fallen(), "");
  EXPECT_EQ(watch.missed(), 0u) << "of " << watch.scrapes() << " scrapes";
}

TEST(SystemUpgrade, WhereTheNewVersionIsRefusedTheOldOneGoesOn) {
  const Origin origin({8081});
  const Service service(origin);
  ASSERT_EQ(install(packages()[0]).exit, kDone);
  service.write_config("[server]\nworkers = \"many\"\n");
  const Finished upgrade = install(packages()[1]);
  EXPECT_EQ(upgrade.exit, kDone) << upgrade.output << upgrade.log;
  EXPECT_NE(upgrade.log.find("the reload failed"), std::string::npos) << upgrade.log;
  EXPECT_EQ(installed_version(), packages()[1].version);
  EXPECT_EQ(running_version(service), packages()[0].version);
  EXPECT_EQ(get(service.endpoint(), "/").status, 200);
}

TEST(SystemUpgrade, AServiceThatWasStoppedStaysStopped) {
  const Origin origin({8081});
  const Service service(origin);
  ASSERT_EQ(install(packages()[0]).exit, kDone);
  ASSERT_EQ(systemctl({"stop", "ringmaster"}).exit, kDone);
  ASSERT_EQ(installed_version(), packages()[0].version);
  ASSERT_EQ(install(packages()[1]).exit, kDone);
  EXPECT_EQ(installed_version(), packages()[1].version);
  EXPECT_EQ(property("ringmaster.service", "ActiveState"), "inactive");
}

}  // namespace
}  // namespace ringmaster::test
