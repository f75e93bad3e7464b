// What Prometheus makes of our metrics is what the clients saw: counts to the request, ratios,
// quantiles within a tenth, and alerts under way for what is wrong.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>

#include "shared/memory/metrics_slab.h"
#include "tests/observability/prometheus.h"
#include "tests/support/backend.h"
#include "tests/support/ringmaster.h"

namespace ringmaster::test {
namespace {

Reply mixed(const Request& request) {
  return {.status = request.target.starts_with("/500") ? 500 : 200, .body = request.target};
}

bool is_pending(const Prometheus& prometheus, const std::string& alert) {
  return !prometheus.query("ALERTS{alertname=\"" + alert + "\"}").empty();
}

TEST(Prometheus, CountsWhatClientsSaw) {
  Backend a("a", mixed), b("b", mixed);
  Ringmaster ringmaster("[server]\nworkers = 2\n" + toml_of(a, b));
  const Prometheus prometheus(ringmaster.admin());
  // Its rates begin with the first sample: that one is to say zero.
  ASSERT_TRUE(wait_until([&] { return prometheus.scrapes() >= 2; }));

  std::map<std::string, double> answered;
  Client client(ringmaster.endpoint());
  for (int i = 0; i < 400; ++i) {
    const std::string path = (i % 20 == 0 ? "/500/" : "/200/") + std::to_string(i);
    ++answered[client.get(path).backend()];
  }
  ASSERT_TRUE(prometheus.wait_for_scrape());

  EXPECT_EQ(prometheus.value("sum(requests_total)"), 400);
  EXPECT_EQ(prometheus.value("requests_total{backend=\"a\"}"), answered["a"]);
  EXPECT_EQ(prometheus.value("requests_total{backend=\"b\"}"), answered["b"]);
  EXPECT_EQ(prometheus.value("sum(ringmaster_responses_total{code=\"5xx\"})"), 20);
  EXPECT_EQ(prometheus.value("sum(request_duration_seconds_count)"), 400);
  EXPECT_EQ(prometheus.value("sum(active_connections)"), 0);
  EXPECT_EQ(prometheus.value("count(ringmaster_backend_up == 1)"), 2);
  EXPECT_NEAR(prometheus.value("sum(ringmaster_ring_share_ratio)"), 1, 1e-9);
  // Recorded by the shipped rules: 20 of 400 failed.
  EXPECT_TRUE(wait_until([&] {
    return std::abs(prometheus.value("ringmaster:errors:ratio_rate5m") - 0.05) < 1e-6;
  })) << prometheus.value("ringmaster:errors:ratio_rate5m");
}

TEST(Prometheus, HasAlertsUnderWayForWhatIsWrong) {
  Backend a("a", mixed), b("b", mixed);
  const std::string config = "[server]\nworkers = 2\n" + toml_of(a, b);
  Ringmaster ringmaster(config);
  const Prometheus prometheus(ringmaster.admin());
  ASSERT_TRUE(wait_until([&] { return prometheus.scrapes() >= 2; }));
  ASSERT_TRUE(prometheus.query("ALERTS").empty());

  b.stop();
  ringmaster.write_config("[server]\nworkers = \"many\"\n" + toml_of(a, b));
  EXPECT_NE(ringmaster.ctl({"reload"}).exit, (Exit{0, 0}));
  EXPECT_TRUE(ringmaster.wait_for_state("b", "down"));
  EXPECT_TRUE(wait_until([&] { return is_pending(prometheus, "RingmasterReloadFailed"); }));
  EXPECT_TRUE(wait_until([&] { return is_pending(prometheus, "RingmasterBackendDown"); }));
  const auto down = prometheus.query("ALERTS{alertname=\"RingmasterBackendDown\"}");
  ASSERT_EQ(down.size(), 1u);
  EXPECT_EQ(down[0].labels.at("backend"), "b");
  EXPECT_EQ(prometheus.value("sum(ringmaster_backend_up)"), 1);

  // And both are over when what was wrong is.
  b.start();
  ringmaster.write_config(config);
  EXPECT_EQ(ringmaster.ctl({"reload"}).exit, (Exit{0, 0}));
  EXPECT_TRUE(ringmaster.wait_for_state("b", "up"));
  EXPECT_TRUE(wait_until([&] { return prometheus.query("ALERTS").empty(); }));
}

// A page with recorded latencies, counted as a worker counts them and served to Prometheus.
TEST(Prometheus, QuantilesAreWithinATenthOfRecordedLatencies) {
  std::mt19937_64 random(7);  // the same latencies in every run
  std::lognormal_distribution<double> most(std::log(3.0), 0.7);
  std::lognormal_distribution<double> some(std::log(220.0), 0.3);
  std::vector<double> latencies_ms;
  for (int i = 0; i < 20'000; ++i) {
    latencies_ms.push_back(std::max(1.0, i % 30 == 0 ? some(random) : most(random)));
  }
  const auto histogram = std::make_unique<RequestHistogram>();
  for (const double ms : latencies_ms) histogram->observe(static_cast<std::uint64_t>(ms * 1e6));
  std::sort(latencies_ms.begin(), latencies_ms.end());

  std::atomic<bool> counted = false;  // the first scrape finds nothing, for rates to begin at
  Backend page("page", [&](const Request&) {
    std::string text = "# TYPE request_duration_seconds histogram\n";
    std::uint64_t below = 0;
    for (std::size_t i = 0; i <= RequestHistogram::kBounds; ++i) {
      if (counted) below += histogram->bucket(i);
      const std::string bound = i == RequestHistogram::kBounds
                                    ? "+Inf"
                                    : std::to_string(kRequestBoundsUs[i] / 1'000'000.0);
      text +=
          "request_duration_seconds_bucket{le=\"" + bound + "\"} " + std::to_string(below) + "\n";
    }
    text += "request_duration_seconds_count " + std::to_string(below) + "\n";
    return Reply{.body = text, .fields = {{"Content-Type", "text/plain; version=0.0.4"}}};
  });
  const Prometheus prometheus(page.endpoint());
  ASSERT_TRUE(wait_until([&] { return prometheus.scrapes() >= 2; }));
  counted = true;
  ASSERT_TRUE(prometheus.wait_for_scrape());

  for (const double q : {0.5, 0.9, 0.95, 0.99}) {
    const auto rank = static_cast<std::size_t>(q * static_cast<double>(latencies_ms.size()));
    const double truth = latencies_ms[rank - 1] / 1000;
    const std::string expression = "histogram_quantile(" + std::to_string(q) +
                                   ", sum by (le) (rate(request_duration_seconds_bucket[5m])))";
    EXPECT_NEAR(prometheus.value(expression), truth, truth / 10) << q;
  }
}

}  // namespace
}  // namespace ringmaster::test
