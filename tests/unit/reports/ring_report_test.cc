// /status/ring as the page reads it, compared with the ring itself.
#include "master/reports/ring_report.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>

#include "master/routing_publisher.h"
#include "tests/unit/reports/report_fixture.h"

namespace ringmaster::test {
namespace {

using Json = nlohmann::json;

class RingReportTest : public ReportFixture {
 protected:
  void publish() { ASSERT_TRUE(publish_routing(config_, segment_, 1).ok()); }
  void set(std::size_t backend, HealthState state) {
    segment_.upstream(upstreams_[backend]).set_health(state, HealthCause::kNone);
  }
  Json report() { return Json::parse(reporter_.render(source())); }
  // The share of keys that moved from one backend to another.
  double moved(const Json& report, const std::string& from, const Json& to) {
    double share = 0;
    for (const Json& move : report.at("moved")) {
      if (move.at("from") == from && move.at("to") == to) share += move.at("share").get<double>();
    }
    return share;
  }
  double share_of(std::size_t backend) {
    return segment_.ring(1, false).shares(segment_.upstream_count())[upstreams_[backend]];
  }

  RingReport reporter_;
};

TEST_F(RingReportTest, TellsWhoseEachPlaceIs) {
  publish();
  for (std::size_t i = 0; i < 3; ++i) set(i, HealthState::kUp);
  const Json ring = report();
  EXPECT_EQ(ring.at("points"), 3000);
  EXPECT_EQ(ring.at("backends").at(1), (Json{{"name", "s2"}, {"state", "up"}}));
  ASSERT_EQ(ring.at("home").size(), kRingPlaces);
  EXPECT_EQ(ring.at("home"), ring.at("serves"));
  EXPECT_EQ(ring.at("moved"), Json::array());
  std::array<int, 3> places{};
  for (const Json& home : ring.at("home")) ++places.at(home.get<std::size_t>());
  for (std::size_t i = 0; i < 3; ++i) {
    EXPECT_NEAR(places[i] / double{kRingPlaces}, share_of(i), 0.06);
  }
}

TEST_F(RingReportTest, TellsWhoTookOverAndHowMuch) {
  publish();
  set(0, HealthState::kUp);
  set(1, HealthState::kDown);
  set(2, HealthState::kSuspect);
  const Json ring = report();
  EXPECT_NEAR(moved(ring, "s2", "s1") + moved(ring, "s2", "s3"), share_of(1), 1e-9);
  EXPECT_GT(moved(ring, "s2", "s1"), 0.1);
  EXPECT_GT(moved(ring, "s2", "s3"), 0.1);
  EXPECT_EQ(ring.at("moved").size(), 2u);
  for (std::uint32_t i = 0; i < kRingPlaces; ++i) {
    const int home = ring.at("home").at(i);
    const int serves = ring.at("serves").at(i);
    EXPECT_NE(serves, 1);
    if (home != 1) {
      EXPECT_EQ(home, serves);
    }
  }

  set(1, HealthState::kUp);
  EXPECT_EQ(report().at("moved"), Json::array()) << "it is made anew when a state changes";
}

TEST_F(RingReportTest, KnowsBackupsAndNobody) {
  config_.backends[2].backup = true;
  publish();
  set(0, HealthState::kDown);
  set(1, HealthState::kDraining);
  set(2, HealthState::kUp);
  const Json by_backup = report();
  EXPECT_NEAR(moved(by_backup, "s1", "s3") + moved(by_backup, "s2", "s3"), 1, 1e-9);
  EXPECT_EQ(by_backup.at("serves").at(0), 2);

  set(2, HealthState::kDown);
  const Json by_nobody = report();
  EXPECT_NEAR(moved(by_nobody, "s1", nullptr) + moved(by_nobody, "s2", nullptr), 1, 1e-9);
  EXPECT_EQ(by_nobody.at("serves").at(0), -1);
}

TEST_F(RingReportTest, IsMadeOnlyOnceWhileNothingChanges) {
  publish();
  const char* const first = reporter_.render(source()).data();
  EXPECT_EQ(reporter_.render(source()).data(), first);
}

}  // namespace
}  // namespace ringmaster::test
