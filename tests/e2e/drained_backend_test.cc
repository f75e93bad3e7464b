// `ringmaster ctl drain`: a backend is taken out for maintenance. Nothing new reaches it, what it
// has is finished, and no reload or crash brings it back before an operator does.
#include <gtest/gtest.h>

#include <csignal>
#include <nlohmann/json.hpp>

#include "tests/support/backend.h"
#include "tests/support/backend_process.h"
#include "tests/support/load.h"
#include "tests/support/ringmaster.h"

namespace ringmaster::test {
namespace {

constexpr Exit kDone{0, 0};

// Asks for many keys; the drained backend gets none of them.
void expect_nothing_new(const Ringmaster& ringmaster, const Backend& drained) {
  const std::size_t before = drained.request_count();
  for (int i = 0; i < 60; ++i) {
    EXPECT_EQ(get(ringmaster.endpoint(), "/" + std::to_string(i)).status, 200);
  }
  EXPECT_EQ(drained.request_count(), before);
}

TEST(DrainedBackend, FinishesWhatItHasAndGetsNothingNew) {
  Event may_answer;
  const auto wait_if_asked = [&](const Request& request) {
    if (request.target.ends_with("?wait")) may_answer.wait();
    return Reply{};
  };
  Backend a("a", wait_if_asked), b("b", wait_if_asked);
  Ringmaster ringmaster("[server]\nworkers = 2\n[hash]\nkey = \"path\"\n" + toml_of(a, b));
  Backend& drained = get(ringmaster.endpoint(), "/key").backend() == "a" ? a : b;
  Client waiting(ringmaster.endpoint());
  waiting.send(request_head("GET", "/key?wait"));
  ASSERT_TRUE(wait_until([&] { return drained.in_flight() == 1; }));

  ASSERT_EQ(ringmaster.ctl({"drain", drained.name()}).exit, kDone);

  const std::string label = "{backend=\"" + drained.name() + "\"";
  EXPECT_EQ(ringmaster.backend_state(drained.name()), "draining");
  EXPECT_EQ(ringmaster.metrics().get("ringmaster_backend_state" + label + ",state=\"draining\"}"),
            1);
  EXPECT_EQ(ringmaster.metrics().get("ringmaster_backend_up" + label + "}"), 0);
  EXPECT_EQ(ringmaster.metrics().get("active_connections" + label + "}"), 1);
  expect_nothing_new(ringmaster, drained);
  EXPECT_NE(get(ringmaster.endpoint(), "/key").backend(), drained.name());
  EXPECT_EQ(drained.in_flight(), 1) << "asked again elsewhere, or cut";

  may_answer.set();
  const Response answer = waiting.receive();
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.backend(), drained.name());
  EXPECT_TRUE(wait_until(
      [&] { return ringmaster.metrics().get("active_connections" + label + "}") == 0; }));
}

TEST(DrainedBackend, ThatDiesIsNotWaitedFor) {
  BackendProcess a("a"), b("b");
  Ringmaster ringmaster("[hash]\nkey = \"path\"\n" + a.toml() + b.toml());
  BackendProcess& drained = get(ringmaster.endpoint(), "/key").backend() == "a" ? a : b;
  Client waiting(ringmaster.endpoint());
  ASSERT_EQ(waiting.get("/key").backend(), drained.name());
  drained.signal(SIGSTOP);
  waiting.send(request_head("GET", "/key"));
  ASSERT_TRUE(wait_until([&] {
    return ringmaster.metrics().sum("active_connections", {"backend=\"" + drained.name() + "\""}) ==
           1;
  }));
  ASSERT_EQ(ringmaster.ctl({"drain", drained.name()}).exit, kDone);
  EXPECT_NE(waiting.receive().backend(), drained.name());
}

// What an operator has taken out cannot be ejected; and they may have forgotten.
TEST(DrainedBackend, ThatIsSwitchedOffIsNoEjection) {
  Backend a("a"), b("b");
  const std::string often = "[health]\ninterval = \"50ms\"\n";
  Ringmaster ringmaster(often + toml_of(a, b));
  const auto is_found_down = [&] {
    const nlohmann::json probe = ringmaster.status().at("backends").at(0).at("last_probe");
    return !probe.is_null() && probe.at("failures") > 2;
  };
  ASSERT_EQ(ringmaster.ctl({"drain", "a"}).exit, kDone);
  const nlohmann::json drained = ringmaster.status().at("backends").at(0);
  EXPECT_TRUE(drained.at("reason").get<std::string>().starts_with("drained by an operator"));
  a.stop();
  ASSERT_TRUE(wait_until(is_found_down));
  ASSERT_EQ(ringmaster.ctl({"reload"}).exit, kDone);
  ASSERT_TRUE(wait_until(is_found_down));
  EXPECT_EQ(ringmaster.metrics().sum("ringmaster_ejections_total", {"backend=\"a\""}), 0);
  EXPECT_NE(ringmaster.process().log().find("drained by an operator: a;"), std::string::npos);

  const Finished last = ringmaster.ctl({"drain", "b"});
  EXPECT_NE(last.output.find("every request gets 503"), std::string::npos) << last.output;
  EXPECT_NE(ringmaster.ctl({"status"}).output.find("NO BACKEND IN USE"), std::string::npos);
}

TEST(DrainedBackend, CostsNoClientAnything) {
  Backend a("a"), b("b"), c("c");
  Ringmaster ringmaster("[server]\nworkers = 2\n" + toml_of(a, b, c));
  Load load(ringmaster.endpoint(), 6);
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(load.wait_for_more(50));
    ASSERT_EQ(ringmaster.ctl({"drain", "b"}).exit, kDone);
    ASSERT_TRUE(load.wait_for_more(50));
    ASSERT_EQ(ringmaster.ctl({"ready", "b"}).exit, kDone);
  }
  const Load::Outcome outcome = load.stop();
  EXPECT_TRUE(outcome.is_flawless()) << ::testing::PrintToString(outcome);
}

TEST(DrainedBackend, StaysSoWhateverDiesOrIsReloaded) {
  Backend a("a"), b("b");
  Ringmaster ringmaster("[server]\nworkers = 2\n" + toml_of(a, b));
  ASSERT_EQ(ringmaster.ctl({"drain", "a"}).exit, kDone);

  for (const pid_t worker : ringmaster.workers()) ::kill(worker, SIGKILL);
  ASSERT_TRUE(wait_until([&] {
    const Metrics metrics = ringmaster.metrics();
    return metrics.get("ringmaster_worker_restarts_total{cause=\"signal\"}") == 2 &&
           metrics.get("ringmaster_workers{state=\"serving\"}") == 2;
  }));
  expect_nothing_new(ringmaster, a);

  ASSERT_EQ(ringmaster.ctl({"reload"}).exit, kDone);
  EXPECT_EQ(ringmaster.backend_state("a"), "draining");
  expect_nothing_new(ringmaster, a);

  // That it answers, or does not, is no reason either.
  const auto last_probe = [&] {
    return ringmaster.status().at("backends").at(0).at("last_probe").at("result");
  };
  const auto good = last_probe();
  a.stop();
  ASSERT_TRUE(wait_until([&] { return last_probe() != good; }));
  EXPECT_EQ(ringmaster.backend_state("a"), "draining");
  a.start();
  ASSERT_TRUE(wait_until([&] { return last_probe() == good; }));
  EXPECT_EQ(ringmaster.backend_state("a"), "draining");
  expect_nothing_new(ringmaster, a);

  ASSERT_EQ(ringmaster.ctl({"ready", "a"}).exit, kDone);
  ASSERT_TRUE(ringmaster.wait_for_state("a", "up"));
  EXPECT_TRUE(wait_until([&] {
    const std::size_t before = a.request_count();
    for (int i = 0; i < 60; ++i) get(ringmaster.endpoint(), "/" + std::to_string(i));
    return a.request_count() > before;
  }));
}

TEST(DrainedBackend, WithAllDrainedTheServiceSaysThatItIsNotReady) {
  Backend a("a");
  Ringmaster ringmaster("[health]\npanic_threshold = 1.0\n" + a.toml());
  ASSERT_EQ(ringmaster.ctl({"drain", "a"}).exit, kDone);
  EXPECT_EQ(ringmaster.ready_status(), 503);
  EXPECT_EQ(get(ringmaster.endpoint(), "/").status, 503) << "panic is no way round an operator";
}

}  // namespace
}  // namespace ringmaster::test
