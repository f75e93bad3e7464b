// The monitor with real probes of backends on the same loop. Intervals are short, or so long that a
// probe they would bring cannot be what a test sees.
#include "master/health/health_monitor.h"

#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <vector>

#include "master/routing_publisher.h"
#include "shared/base/clock.h"
#include "tests/unit/health/fake_backend.h"
#include "tests/unit/master/test_loop.h"

namespace ringmaster::test {
namespace {

constexpr Duration kNever{3'600'000};

class HealthMonitorTest : public testing::Test, protected HealthMonitor::Observer {
 protected:
  HealthMonitorTest() : segment_(*Segment::create()) {
    config_.health.interval = Duration{20};
    config_.health.fast_interval = Duration{10};
    config_.health.timeout = Duration{2'000};
  }

  void on_health_changed() override { ++changes_; }

  void add(const SocketAddress& address) {
    BackendConfig backend;
    backend.name = "s" + std::to_string(config_.backends.size() + 1);
    backend.host = address.ip().to_string();
    backend.port = address.port();
    config_.backends.push_back(backend);
    upstreams_.push_back(*segment_.add_upstream(backend.name));
  }
  // `serving`: a generation that goes on meanwhile.
  void start(std::uint32_t serving = 0) {
    monitor_.reset();
    monitor_ = std::make_unique<HealthMonitor>(loop_.get(), config_, segment_, upstreams_,
                                               static_cast<HealthMonitor::Observer&>(*this));
    monitor_->start(serving);
  }
  void start_and_await_first_round() {
    start();
    ASSERT_TRUE(loop_.run_until([this] { return monitor_->first_round_done(); }));
  }
  void move(std::size_t i, const SocketAddress& address) {
    config_.backends[i].host = address.ip().to_string();
    config_.backends[i].port = address.port();
  }
  // As an earlier master would have left it.
  void was_known(std::size_t i) { shared(i).set_place(place_of(config_.backends[i])); }
  UpstreamState& shared(std::size_t i) { return segment_.upstream(upstreams_[i]); }
  bool comes_to(HealthState state, std::size_t i = 0) {
    return loop_.run_until([&] { return shared(i).health() == state; });
  }
  std::uint64_t ejections(HealthCause cause, std::size_t i = 0) {
    const auto& metrics = segment_.master().upstreams[upstreams_[i]];
    return metrics.ejections[static_cast<std::size_t>(cause)].get();
  }
  std::uint64_t checks(HealthCause cause, std::size_t i = 0) {
    const auto& metrics = segment_.master().upstreams[upstreams_[i]];
    return metrics.health_checks[static_cast<std::size_t>(cause)].get();
  }
  void report(std::size_t i = 0) {
    segment_.suspicions().report(upstreams_[i]);
    monitor_->on_reports();
  }

  CapturedLog log_;
  TestLoop loop_;
  Segment segment_;
  Config config_;
  std::vector<std::uint32_t> upstreams_;
  FakeBackend backend_{loop_.get()};
  std::unique_ptr<HealthMonitor> monitor_;
  int changes_ = 0;
};

TEST_F(HealthMonitorTest, TheFirstRoundDecidesAloneAndIsAnnouncedOnce) {
  config_.health.interval = kNever;
  FakeBackend dead(loop_.get());
  dead.refuse();
  add(backend_.address());
  add(dead.address());
  start();
  EXPECT_FALSE(monitor_->first_round_done());
  EXPECT_EQ(shared(0).address(), backend_.address()) << "a literal address is published at once";
  ASSERT_TRUE(loop_.run_until([this] { return monitor_->first_round_done(); }));

  EXPECT_EQ(shared(0).health(), HealthState::kUp);
  EXPECT_EQ(shared(1).health(), HealthState::kDown);
  EXPECT_EQ(shared(1).cause(), HealthCause::kConnect);
  EXPECT_EQ(monitor_->up_count(), 1u);
  EXPECT_EQ(changes_, 2);
  EXPECT_EQ(log_.count("info s1 up: 200, first probe"), 1);
  EXPECT_EQ(log_.count("warning s2 down: connect: connection refused, first probe"), 1);
  EXPECT_EQ(ejections(HealthCause::kConnect, 1), 1u);
}

TEST_F(HealthMonitorTest, FallsAfterFallFailuresAndRisesAfterRiseSuccesses) {
  config_.health.fall = 3;
  add(backend_.address());
  start_and_await_first_round();
  backend_.refuse();
  ASSERT_TRUE(comes_to(HealthState::kSuspect));
  ASSERT_TRUE(comes_to(HealthState::kDown));
  EXPECT_EQ(log_.count("warning s1 down: connect: connection refused, 3 of 3"), 1);
  EXPECT_EQ(ejections(HealthCause::kConnect), 1u);
  EXPECT_EQ(checks(HealthCause::kConnect), 3u);

  backend_.listen();
  ASSERT_TRUE(comes_to(HealthState::kUp));
  EXPECT_EQ(log_.count("info s1 up: 200, 2 of 2"), 1);
  EXPECT_EQ(monitor_->up_count(), 1u);
}

TEST_F(HealthMonitorTest, AStateThatLastsIsNotLoggedAgain) {
  add(backend_.address());
  start_and_await_first_round();
  ASSERT_TRUE(loop_.run_until([this] { return checks(HealthCause::kNone) >= 5; }));
  backend_.refuse();
  ASSERT_TRUE(loop_.run_until([this] { return checks(HealthCause::kConnect) >= 5; }));
  EXPECT_EQ(log_.count("info s1 up: 200, first probe"), 1);
  EXPECT_EQ(log_.count("warning s1 down: connect: connection refused, 2 of 2"), 1);
  const std::string text = log_.text();
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 2) << text;
}

TEST_F(HealthMonitorTest, EveryKindOfFailureIsCountedByItsCause) {
  config_.health.timeout = Duration{50};
  config_.health.fall = 1;
  add(backend_.address());
  start_and_await_first_round();
  backend_.reply = "HTTP/1.1 500 Oh\r\n\r\n";
  ASSERT_TRUE(comes_to(HealthState::kDown));
  EXPECT_EQ(shared(0).cause(), HealthCause::kStatus);
  EXPECT_EQ(log_.count("warning s1 down: status: 500, 1 of 1"), 1);
  backend_.reply = "what?\r\n";
  ASSERT_TRUE(loop_.run_until([this] { return shared(0).cause() == HealthCause::kProtocol; }));
  backend_.hangs = true;
  ASSERT_TRUE(loop_.run_until([this] { return shared(0).cause() == HealthCause::kTimeout; }));
  EXPECT_EQ(ejections(HealthCause::kStatus), 1u);
  EXPECT_EQ(ejections(HealthCause::kTimeout), 0u) << "it was out already";
  EXPECT_GE(checks(HealthCause::kProtocol), 1u);
}

// The promise: under 100 ms from the first refused connection, whatever the intervals.
TEST_F(HealthMonitorTest, AConfirmedReportEjectsAtOnce) {
  config_.health.interval = kNever;
  config_.health.fast_interval = kNever;
  config_.health.fall = 5;
  add(backend_.address());
  start_and_await_first_round();
  backend_.refuse();
  const auto reported_at = std::chrono::steady_clock::now();
  report();
  EXPECT_EQ(shared(0).health(), HealthState::kSuspect);
  ASSERT_TRUE(comes_to(HealthState::kDown));
  const auto took = std::chrono::steady_clock::now() - reported_at;
  EXPECT_LT(took, std::chrono::milliseconds(100));
  EXPECT_EQ(log_.count("warning s1 down: connect: connection refused, after a worker's report"), 1);
}

TEST_F(HealthMonitorTest, AReportThatIsNotConfirmedLeavesTheBackendUp) {
  config_.health.interval = kNever;
  add(backend_.address());
  start_and_await_first_round();
  const std::int64_t since = monitor_->snapshot(0).since_ms;
  report();
  ASSERT_TRUE(loop_.run_until([this] { return checks(HealthCause::kNone) == 2; }));
  EXPECT_EQ(shared(0).health(), HealthState::kUp);
  EXPECT_EQ(monitor_->snapshot(0).since_ms, since);
  EXPECT_EQ(log_.text().find("down"), std::string::npos) << log_.text();
}

TEST_F(HealthMonitorTest, AReportIsNotAnsweredByAProbeThatBeganBeforeIt) {
  add(backend_.address());
  start_and_await_first_round();
  backend_.hangs = true;
  const std::size_t before = backend_.requests.size();
  ASSERT_TRUE(loop_.run_until([&] { return backend_.requests.size() > before; }));
  // The routine probe waits for its answer, for two seconds; now the backend refuses.
  backend_.refuse();
  report();
  ASSERT_TRUE(loop_.run_until([this] { return shared(0).health() == HealthState::kDown; },
                              std::chrono::milliseconds(1'000)));
  EXPECT_EQ(shared(0).cause(), HealthCause::kConnect);
}

// Each report could start a probe anew, and none would ever come to its end.
TEST_F(HealthMonitorTest, AStormOfReportsNeitherPreventsAVerdictNorFloodsTheBackend) {
  config_.health.interval = kNever;
  config_.health.timeout = Duration{300};
  config_.health.fall = 100;
  add(backend_.address());
  start_and_await_first_round();
  backend_.hangs = true;
  const int before = backend_.connections;
  ASSERT_TRUE(loop_.run_until([this] {
    report();
    return shared(0).health() == HealthState::kDown;
  }));
  EXPECT_EQ(shared(0).cause(), HealthCause::kTimeout);
  EXPECT_EQ(backend_.connections - before, 1);
}

TEST_F(HealthMonitorTest, AReportDuringAVerificationIsVerifiedToo) {
  config_.health.interval = kNever;
  config_.health.fast_interval = kNever;
  add(backend_.address());
  start_and_await_first_round();
  report();
  // Answered from before the trouble; the second report comes while that answer is on its way.
  const std::size_t before = backend_.requests.size();
  ASSERT_TRUE(loop_.run_until([&] { return backend_.requests.size() > before; }));
  ASSERT_EQ(checks(HealthCause::kNone), 1u) << "the verification is still under way";
  report();
  backend_.refuse();
  ASSERT_TRUE(comes_to(HealthState::kDown));
  EXPECT_EQ(shared(0).cause(), HealthCause::kConnect);
}

TEST_F(HealthMonitorTest, ReportsOfStrangersAreIgnored) {
  config_.health.interval = kNever;
  add(backend_.address());
  start_and_await_first_round();
  segment_.suspicions().report(kMaxUpstreams - 1);
  monitor_->on_reports();
  EXPECT_EQ(shared(0).health(), HealthState::kUp);
}

TEST_F(HealthMonitorTest, SnapshotTellsWhatIsKnown) {
  config_.health.interval = kNever;
  add(backend_.address());
  start();
  EXPECT_EQ(monitor_->snapshot(0).state, HealthState::kUnknown);
  EXPECT_EQ(monitor_->snapshot(0).last_result, "");
  ASSERT_TRUE(comes_to(HealthState::kUp));
  const BackendHealth health = monitor_->snapshot(0);
  EXPECT_EQ(health.state, HealthState::kUp);
  EXPECT_EQ(health.reason, "200, first probe");
  EXPECT_EQ(health.last_result, "200");
  EXPECT_GT(health.last_duration_ms, 0);
  EXPECT_LT(health.last_duration_ms, 2'000);
  EXPECT_EQ(health.successes, 1u);
  using std::chrono::system_clock;
  const auto now = std::chrono::duration_cast<Duration>(system_clock::now().time_since_epoch());
  EXPECT_NEAR(static_cast<double>(health.since_ms), static_cast<double>(now.count()), 10'000);
}

TEST_F(HealthMonitorTest, AThousandBackendsAreKnownWithinASecondOrSo) {
  config_.health.interval = kNever;
  for (int i = 0; i < 1000; ++i) add(backend_.address());
  const auto began = std::chrono::steady_clock::now();
  start_and_await_first_round();
  const auto took = std::chrono::steady_clock::now() - began;
  EXPECT_EQ(monitor_->up_count(), 1000u);
  EXPECT_LT(took, std::chrono::seconds(3));
}

TEST_F(HealthMonitorTest, HostNamesAreResolvedAndProbed) {
  config_.health.interval = kNever;
  add(backend_.address());
  config_.backends[0].host = "localhost";
  start();
  EXPECT_FALSE(shared(0).is_usable()) << "as long as there is no address";
  ASSERT_TRUE(loop_.run_until([this] { return monitor_->first_round_done(); }));
  EXPECT_EQ(shared(0).health(), HealthState::kUp) << log_.text();
  EXPECT_EQ(shared(0).address(), backend_.address());
}

TEST_F(HealthMonitorTest, ANameThatCannotBeResolvedIsDownAndDoesNotHoldUpTheFirstRound) {
  add(backend_.address());
  add(backend_.address());
  config_.backends[1].host = "no-such-host.invalid";
  start_and_await_first_round();
  EXPECT_EQ(shared(0).health(), HealthState::kUp);
  EXPECT_EQ(shared(1).health(), HealthState::kDown);
  EXPECT_EQ(shared(1).cause(), HealthCause::kResolve);
  EXPECT_TRUE(monitor_->snapshot(1).reason.starts_with("resolve: "));
  EXPECT_TRUE(shared(1).address().is_empty());
}

TEST_F(HealthMonitorTest, ANewGenerationTakesOverWhatIsDown) {
  config_.health.rise = 3;
  add(backend_.address());
  was_known(0);
  shared(0).publish_address(backend_.address());
  shared(0).set_health(HealthState::kDown, HealthCause::kConnect);
  start_and_await_first_round();
  EXPECT_EQ(shared(0).health(), HealthState::kDown) << "one success is not enough to come back";
  ASSERT_TRUE(comes_to(HealthState::kUp));
  EXPECT_EQ(log_.count("info s1 up: 200, 3 of 3"), 1);
}

TEST_F(HealthMonitorTest, ABackendThatMovedWhileNobodyServedIsKnownOnlyByItsName) {
  config_.health.interval = kNever;
  add(backend_.address());
  start_and_await_first_round();
  FakeBackend moved(loop_.get());
  move(0, moved.address());
  start();
  EXPECT_FALSE(monitor_->first_round_done());
  EXPECT_EQ(shared(0).address(), moved.address());
  EXPECT_EQ(shared(0).health(), HealthState::kUnknown);
  ASSERT_TRUE(loop_.run_until([this] { return monitor_->first_round_done(); }));
  EXPECT_EQ(shared(0).health(), HealthState::kUp);
  start();
  EXPECT_TRUE(monitor_->first_round_done()) << "the next one knows it there";
}

TEST_F(HealthMonitorTest, WhereABackendMovesIsTheWorkersBusinessOnceItIsInForce) {
  config_.health.interval = kNever;
  add(backend_.address());
  start_and_await_first_round();
  ASSERT_TRUE(publish_routing(config_, segment_, 1));
  const std::uint64_t was = shared(0).place();
  FakeBackend dead(loop_.get());
  dead.refuse();
  move(0, dead.address());
  start(1);
  ASSERT_TRUE(loop_.run_until([this] { return monitor_->first_round_done(); }));
  EXPECT_EQ(monitor_->snapshot(0).state, HealthState::kDown);
  EXPECT_EQ(shared(0).health(), HealthState::kUp);
  EXPECT_EQ(shared(0).address(), backend_.address());
  EXPECT_EQ(shared(0).place(), was);

  monitor_->put_in_force();
  EXPECT_EQ(shared(0).health(), HealthState::kDown);
  EXPECT_EQ(shared(0).keys(), kNoKeys);
  EXPECT_EQ(shared(0).address(), dead.address());
  EXPECT_EQ(shared(0).place(), place_of(config_.backends[0]));
  EXPECT_EQ(shared(0).reason(), "connect: connection refused, first probe");
}

TEST_F(HealthMonitorTest, WhatAnOperatorDrainedStaysSoWhereverItMoves) {
  config_.health.interval = kNever;
  add(backend_.address());
  start_and_await_first_round();
  ASSERT_TRUE(publish_routing(config_, segment_, 1));
  FakeBackend moved(loop_.get());
  move(0, moved.address());
  start(1);
  ASSERT_TRUE(shared(0).is_usable());
  EXPECT_TRUE(monitor_->set_drained("s1", true));
  EXPECT_EQ(shared(0).health(), HealthState::kDraining) << "also by the config that is in force";
  EXPECT_EQ(shared(0).keys(), kNoKeys);
  ASSERT_TRUE(loop_.run_until([this] { return monitor_->first_round_done(); }));
  monitor_->put_in_force();
  EXPECT_EQ(shared(0).keys(), kNoKeys);

  move(0, backend_.address());  // while nobody serves
  start();
  EXPECT_EQ(shared(0).health(), HealthState::kDraining) << "before the first probe, too";
  EXPECT_EQ(shared(0).keys(), kNoKeys);
}

TEST_F(HealthMonitorTest, ABackendThatMovesToNowhereHasNoAddress) {
  config_.health.interval = kNever;
  add(backend_.address());
  start_and_await_first_round();
  ASSERT_TRUE(publish_routing(config_, segment_, 1));
  config_.backends[0].host = "no-such-host.invalid";
  start(1);
  ASSERT_TRUE(loop_.run_until([this] { return monitor_->first_round_done(); }));
  EXPECT_EQ(shared(0).health(), HealthState::kUp) << "by the config that is still in force";
  monitor_->put_in_force();
  EXPECT_EQ(shared(0).health(), HealthState::kDown);
  EXPECT_EQ(shared(0).cause(), HealthCause::kResolve);
  EXPECT_TRUE(shared(0).address().is_empty());
}

TEST_F(HealthMonitorTest, MayBeDestroyedAfterAnyTurn) {
  FakeBackend dead(loop_.get());
  dead.refuse();
  add(backend_.address());
  add(dead.address());
  add(backend_.address());
  config_.backends[2].host = "localhost";
  for (int turns = 0; turns < 12; ++turns) {
    start();
    for (int i = 0; i < turns; ++i) {
      loop_.turn();
      report(static_cast<std::size_t>(i % 3));
    }
    monitor_.reset();
    loop_.turn();
  }
  // A lookup under way is only done with in its own time.
  EXPECT_TRUE(loop_.run_until([this] { return loop_.get()->active_reqs.count == 0; }));
}

TEST_F(HealthMonitorTest, ABackendThatIsBackStartsSlowly) {
  config_.health.slow_start = Duration{400};
  add(backend_.address());
  start_and_await_first_round();
  EXPECT_EQ(shared(0).health(), HealthState::kUp) << "who was there from the start is warm";
  backend_.refuse();
  ASSERT_TRUE(comes_to(HealthState::kDown));
  EXPECT_EQ(shared(0).keys(), kNoKeys);
  backend_.listen();
  ASSERT_TRUE(comes_to(HealthState::kSlowStart));
  EXPECT_NE(shared(0).ramp_began_ms(), 0u);
  KeyShare before = 0;
  ASSERT_TRUE(loop_.run_until([&] {
    const KeyShare now = shared(0).keys();
    EXPECT_GE(now, before);
    before = now;
    return shared(0).health() == HealthState::kUp;
  }));
  EXPECT_EQ(shared(0).keys(), kAllKeys);
  EXPECT_EQ(shared(0).ramp_began_ms(), 0u);
}

TEST_F(HealthMonitorTest, ASlowStartThatAnotherMasterBeganGoesOn) {
  config_.health.slow_start = kNever;
  config_.health.interval = kNever;
  add(backend_.address());
  was_known(0);
  shared(0).publish_address(backend_.address());
  shared(0).set_health(HealthState::kSlowStart, HealthCause::kNone, 7);
  shared(0).set_ramp_began_ms(monotonic_ms());
  start();
  EXPECT_TRUE(monitor_->first_round_done()) << "what was found out still holds";
  EXPECT_EQ(shared(0).health(), HealthState::kSlowStart);
  EXPECT_LT(shared(0).keys(), kAllKeys);
}

TEST_F(HealthMonitorTest, WhatAnOperatorDrainedStaysSoForTheNextMaster) {
  add(backend_.address());
  shared(0).set_drained(true);
  start_and_await_first_round();
  EXPECT_EQ(shared(0).health(), HealthState::kDraining);
  EXPECT_EQ(shared(0).keys(), kNoKeys);
  EXPECT_EQ(monitor_->up_count(), 0u);
  EXPECT_TRUE(monitor_->set_drained("s1", false));
  EXPECT_EQ(shared(0).health(), HealthState::kUp);
  EXPECT_EQ(shared(0).keys(), kAllKeys);
}

TEST_F(HealthMonitorTest, PanicsOnlyWhereNoBackupServes) {
  config_.health.panic_threshold = 0.6;
  FakeBackend dead(loop_.get());
  dead.refuse();
  add(dead.address());
  add(dead.address());
  add(backend_.address());
  config_.backends[2].backup = true;
  start_and_await_first_round();
  EXPECT_FALSE(monitor_->is_panicking()) << "the backup serves";
  EXPECT_EQ(shared(0).keys(), kNoKeys);

  backend_.refuse();
  ASSERT_TRUE(comes_to(HealthState::kDown, 2));
  EXPECT_TRUE(monitor_->is_panicking());
  EXPECT_EQ(shared(0).keys(), kAllKeys);
  EXPECT_EQ(shared(0).health(), HealthState::kDown) << "it is used, and not called up";
  EXPECT_NE(log_.text().find("only 0 of 2 backends are up"), std::string::npos)
      << "backups do not count";
  EXPECT_EQ(shared(2).keys(), kNoKeys) << "a backup that is down helps nobody";

  dead.listen();
  ASSERT_TRUE(comes_to(HealthState::kUp, 0));
  ASSERT_TRUE(comes_to(HealthState::kUp, 1));
  EXPECT_FALSE(monitor_->is_panicking());
}

// Its keys would go to backends that are down.
TEST_F(HealthMonitorTest, InPanicNobodyStartsSlowly) {
  config_.health.slow_start = kNever;
  config_.health.panic_threshold = 1.0;
  FakeBackend dead(loop_.get());
  dead.refuse();
  add(backend_.address());
  add(dead.address());
  start_and_await_first_round();
  ASSERT_TRUE(monitor_->is_panicking());
  backend_.refuse();
  ASSERT_TRUE(comes_to(HealthState::kDown));
  backend_.listen();
  ASSERT_TRUE(comes_to(HealthState::kUp));
  EXPECT_EQ(shared(0).keys(), kAllKeys);
  monitor_->set_drained("s1", true);
  monitor_->set_drained("s1", false);
  EXPECT_EQ(shared(0).keys(), kAllKeys);
}

TEST_F(HealthMonitorTest, PanicEndsASlowStart) {
  config_.health.slow_start = kNever;
  config_.health.panic_threshold = 1.0;
  FakeBackend other(loop_.get());
  add(backend_.address());
  add(other.address());
  start_and_await_first_round();
  monitor_->set_drained("s1", true);
  monitor_->set_drained("s1", false);
  ASSERT_LT(shared(0).keys(), kAllKeys);
  other.refuse();
  ASSERT_TRUE(comes_to(HealthState::kDown, 1));
  ASSERT_TRUE(monitor_->is_panicking());
  EXPECT_EQ(shared(0).keys(), kAllKeys);
  EXPECT_EQ(shared(1).keys(), kAllKeys);
}

TEST(UpstreamStateTest, AShareOfKeysGrowsByKeysAndLosesNone) {
  std::size_t before = 0;
  for (KeyShare share = 0; share <= kAllKeys; share += kAllKeys / 5) {
    std::size_t within = 0;
    for (std::uint64_t hash = 0; hash < 65536; ++hash) {
      const bool is_in = UpstreamState::is_within(share, hash << 16 | hash);
      if (share > 0 && UpstreamState::is_within(share - 1, hash)) {
        ASSERT_TRUE(is_in);
      }
      within += is_in ? 1 : 0;
    }
    EXPECT_NEAR(static_cast<double>(within), static_cast<double>(share), 2.0);
    EXPECT_GE(within, before);
    before = within;
  }
  EXPECT_EQ(before, 65536u) << "all keys are all";
}

}  // namespace
}  // namespace ringmaster::test
