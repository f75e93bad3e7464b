// /status as programs read it.
#include "master/reports/status_report.h"

#include <gtest/gtest.h>

#include <ctime>
#include <nlohmann/json.hpp>
#include <string>

#include "tests/unit/health/fake_backend.h"
#include "tests/unit/reports/report_fixture.h"

namespace ringmaster::test {
namespace {

using Json = nlohmann::json;

class StatusReportTest : public ReportFixture {
 protected:
  Json status() { return Json::parse(render_status(source())); }
};

TEST_F(StatusReportTest, TellsOfTheService) {
  const Json report = status();
  EXPECT_EQ(report.at("generation"), 1);
  EXPECT_EQ(report.at("ready"), true);
  EXPECT_EQ(report.at("stopping"), false);
  EXPECT_TRUE(report.at("version").is_string());
  EXPECT_GT(report.at("uptime_seconds").get<double>(), 1e6);
  EXPECT_EQ(report.at("requests_total"), 0);
  EXPECT_EQ(report.at("backends").size(), 3u);
  EXPECT_EQ(report.at("workers").size(), 0u);
}

TEST_F(StatusReportTest, TellsOfABackendBeforeItsFirstProbe) {
  const Json backend = status().at("backends").at(0);
  EXPECT_EQ(backend.at("name"), "s1");
  EXPECT_EQ(backend.at("address"), "127.0.0.1:8081");
  EXPECT_TRUE(backend.at("resolved").is_null());
  EXPECT_EQ(backend.at("state"), "unknown");
  EXPECT_TRUE(backend.at("last_probe").is_null());
  EXPECT_EQ(backend.at("weight"), 1);
  EXPECT_EQ(backend.at("backup"), false);
  EXPECT_EQ(backend.at("ring_share"), 0.25);
}

TEST_F(StatusReportTest, TellsOfABackendThatWasProbed) {
  FakeBackend backend(loop_.get());
  backend.reply = "HTTP/1.1 500 Oh\r\n\r\n";
  for (auto& config : config_.backends) config.port = backend.address().port();
  monitor_->start(0);
  ASSERT_TRUE(loop_.run_until([this] { return monitor_->first_round_done(); }));
  const Json report = status().at("backends").at(1);
  EXPECT_EQ(report.at("resolved"), backend.address().to_string());
  EXPECT_EQ(report.at("state"), "down");
  EXPECT_EQ(report.at("cause"), "status");
  EXPECT_EQ(report.at("reason"), "status: 500, first probe");
  EXPECT_EQ(report.at("last_probe").at("result"), "status: 500");
  EXPECT_GT(report.at("last_probe").at("duration_ms").get<double>(), 0);
  const auto since = report.at("since").get<std::string>();
  std::tm parsed{};
  const char* rest = ::strptime(since.c_str(), "%Y-%m-%dT%H:%M:%S", &parsed);
  ASSERT_NE(rest, nullptr) << since;
  EXPECT_EQ(since.size(), std::string("2024-05-01T12:00:00.250Z").size());
  EXPECT_TRUE(rest[0] == '.' && since.ends_with("Z")) << since;
  EXPECT_NEAR(std::difftime(::timegm(&parsed), std::time(nullptr)), 0, 60);
}

TEST_F(StatusReportTest, SumsLikeTheMetrics) {
  for (std::uint32_t slot : {0u, 2u}) {
    UpstreamMetrics& upstream = slab_of(slot).upstreams[upstreams_[2]];
    upstream.responses[0].add(100);
    upstream.responses[1].add(5);
    upstream.in_flight.add(1);
    upstream.connections_idle.add(2);
    upstream.connections_reused.add(3);
    slab_of(slot).worker.clients_active.add(4);
    slab_of(slot).worker.rate_limited.add(6);
  }
  config_.rate_limit.requests_per_second = 10;
  const Json report = status();
  const Json& backend = report.at("backends").at(2);
  EXPECT_EQ(backend.at("requests"), 10);
  EXPECT_EQ(backend.at("in_flight"), 2);
  EXPECT_EQ(backend.at("connections"), (Json{{"idle", 4}, {"busy", 0}, {"reused", 6}}));
  EXPECT_EQ(report.at("requests_total"), 10);
  EXPECT_EQ(report.at("client_connections"), (Json{{"idle", 0}, {"active", 8}, {"tunnel", 0}}));
  EXPECT_EQ(report.at("rate_limit").at("requests_per_second"), 10);
  EXPECT_EQ(report.at("rate_limit").at("dropped"), 12);
  EXPECT_EQ(report.at("rate_limit").at("entries"), 42);
}

TEST_F(StatusReportTest, TellsOfErrorsAndDurations) {
  UpstreamMetrics& upstream = slab_of(0).upstreams[upstreams_[1]];
  upstream.responses[4].add(3);
  upstream.retries[static_cast<std::size_t>(RetryCause::kEjected)].add(2);
  upstream.request_duration.observe(700'000);
  slab_of(0).worker.rejected[static_cast<std::size_t>(RejectReason::kNoBackend)].add(4);
  segment_.master().worker_restarts[0].add(5);
  const Json report = Json::parse(render_status(source(), /*has_histograms=*/true));
  const Json& backend = report.at("backends").at(1);
  EXPECT_EQ(backend.at("responses").at("5xx"), 3);
  EXPECT_EQ(backend.at("retries"), (Json{{"ejected", 2}}));
  EXPECT_EQ(backend.at("request_duration_buckets"), (Json{0, 1}));
  EXPECT_EQ(report.at("request_duration_bounds_us"), Json(kRequestBoundsUs));
  EXPECT_EQ(report.at("rejected"), (Json{{"no_backend", 4}}));
  EXPECT_EQ(report.at("worker_restarts"), (Json{{"signal", 5}, {"exit", 0}, {"hung", 0}}));
  EXPECT_EQ(report.at("config").at("last_reload_successful"), true);
  EXPECT_FALSE(status().at("backends").at(1).contains("request_duration_buckets"));
}

TEST_F(StatusReportTest, ListsTheWorkersThatThereAre) {
  slab_of(2);
  segment_.slot(0).assign(1);
  segment_.slot(0).set_pid(4711);
  segment_.slot(0).announce(WorkerState::kServing);
  segment_.slot(0).set_connections(9);
  segment_.slot(0).beat();
  segment_.slot(2).assign(1);
  ReportSource with_ages = source();
  with_ages.heartbeat_ages_ms = {750};
  const Json workers = Json::parse(render_status(with_ages)).at("workers");
  ASSERT_EQ(workers.size(), 2u);
  EXPECT_EQ(workers.at(0), (Json{{"pid", 4711},
                                 {"slot", 0},
                                 {"generation", 1},
                                 {"state", "serving"},
                                 {"connections", 9},
                                 {"heartbeat", 1},
                                 {"heartbeat_age_ms", 750}}));
  EXPECT_EQ(workers.at(1).at("state"), "starting");
}

}  // namespace
}  // namespace ringmaster::test
