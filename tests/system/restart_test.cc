// systemctl stop, start and restart, with and without ringmaster.socket.
#include <gtest/gtest.h>

#include <future>

#include "tests/support/client.h"
#include "tests/system/service.h"
#include "tests/system/traffic.h"

namespace ringmaster::test {
namespace {

TEST(SystemRestart, FiveUnderLoadCostNobodyAnythingWhereTheSocketHoldsTheQueue) {
  const Origin origin({8081, 8082, 8083});
  const Service service(origin, "", {.with_socket = true});
  CounterWatch watch(service.admin());
  Traffic traffic({.server = service.endpoint(), .tunnels = 0});
  ASSERT_TRUE(traffic.is_flowing());
  for (int i = 0; i < 5; ++i) {
    ASSERT_EQ(systemctl({"restart", "ringmaster.service"}).exit, kDone);
    ASSERT_TRUE(traffic.wait_for_more(200));
  }
  const Tally tally = traffic.stop();
  EXPECT_EQ(tally.failures(), 0u) << ::testing::PrintToString(tally);
  EXPECT_EQ(watch.fallen(), "");
}

TEST(SystemRestart, TheSocketStartsAServiceThatIsStopped) {
  const Origin origin({8081});
  const Service service(origin, "", {.with_socket = true});
  ASSERT_EQ(systemctl({"stop", "ringmaster.service"}).exit, kDone);
  EXPECT_EQ(property("ringmaster.service", "ActiveState"), "inactive");
  EXPECT_EQ(get(service.endpoint(), "/").status, 200) << "it waited in the queue";
  EXPECT_EQ(property("ringmaster.service", "ActiveState"), "active");
}

// Nobody gives up, and nobody is kept busy by it. `complaint`: what each try leaves in the journal.
void expect_client_waits_out(const std::string& broken, const std::string& complaint) {
  const Origin origin({8081});
  const Service service(origin, "", {.with_socket = true});
  ASSERT_EQ(systemctl({"stop", "ringmaster.service"}).exit, kDone);
  service.write_config(broken);
  Client client(service.endpoint());
  client.send(request_head("GET", "/"));
  const Stopwatch since_asked;  // time itself is what is tested
  ASSERT_TRUE(wait_until([&] { return since_asked.elapsed() > seconds(6); }, seconds(10)));

  const std::string journal = service.journal();
  std::size_t tries = 0;
  for (std::size_t at = 0; (at = journal.find(complaint, at)) != std::string::npos; ++at) ++tries;
  EXPECT_GE(tries, 2u);
  EXPECT_LE(tries, 8u);
  EXPECT_EQ(property("ringmaster.socket", "ActiveState"), "active");
  service.write_config("");
  EXPECT_EQ(client.receive().status, 200);
  EXPECT_EQ(get(service.endpoint(), "/").status, 200);
}

TEST(SystemRestart, ClientsWaitAtTheSocketUntilARefusedConfigIsMended) {
  expect_client_waits_out("[server]\nworkers = \"many\"\n", "\"many\" is not known");
}

TEST(SystemRestart, ClientsWaitAtTheSocketUntilThereIsWhatAStartNeeds) {
  expect_client_waits_out("[admin]\nlisten = \"127.0.0.1:8081\"\n",
                          "cannot listen on 127.0.0.1:8081");
}

TEST(SystemRestart, AStopTakesTheTimeThatTheConfigGivesItNotTheUnit) {
  const Origin origin({8081});
  const Service service(origin, "[server]\nworkers = 2\npre_drain = \"3s\"\n",
                        {.drop_in = "TimeoutStopSec=1s\n"});
  const Stopwatch since_told;
  EXPECT_EQ(systemctl({"stop", "ringmaster.service"}).exit, kDone);
  EXPECT_GE(since_told.elapsed(), seconds(3));
  EXPECT_EQ(property("ringmaster.service", "Result"), "success");
}

TEST(SystemRestart, SaysThatNobodyFindsAControlSocketInItsTmp) {
  const Origin origin({8081});
  const Service service(origin, "[admin]\nsocket = \"/tmp/ringmaster.sock\"\n");
  EXPECT_NE(service.journal().find("/tmp/ringmaster.sock: this service has a /tmp of its own"),
            std::string::npos);
  EXPECT_NE(ctl({"status"}).exit, kDone);
  EXPECT_EQ(systemctl({"reload", "ringmaster.service"}).exit, kDone) << "which runs inside";
}

TEST(SystemRestart, WithoutTheSocketAStopAnswersWhatIsThereAndRefusesTheRest) {
  const Origin origin({8081});
  const Service service(origin);
  Client client(service.endpoint());
  client.send(request_head("GET", "/slow"));
  ASSERT_TRUE(wait_until([&] { return service.metrics().sum("active_connections") == 1; }));
  auto stop = std::async(std::launch::async, [] {
    return systemctl({"stop", "ringmaster.service"});
  });
  EXPECT_TRUE(wait_until([&] { return is_refused(service.endpoint()); }));
  const Response last = client.receive();
  EXPECT_EQ(last.status, 200);
  EXPECT_TRUE(last.says_close());
  EXPECT_EQ(stop.get().exit, kDone);
  EXPECT_EQ(property("ringmaster.service", "Result"), "success");
  EXPECT_EQ(systemctl({"start", "ringmaster.service"}).exit, kDone);
  EXPECT_EQ(get(service.endpoint(), "/").status, 200);
}

}  // namespace
}  // namespace ringmaster::test
