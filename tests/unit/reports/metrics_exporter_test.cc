// /metrics as its readers parse it: every name and label there from the start, every sum true.
#include "master/reports/metrics_exporter.h"

#include <gtest/gtest.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <string>
#include <thread>

#include "tests/unit/reports/exposition.h"
#include "tests/unit/reports/report_fixture.h"

namespace ringmaster::test {
namespace {

class MetricsExporterTest : public ReportFixture {
 protected:
  Exposition scrape() { return Exposition(render_metrics(source())); }
};

TEST_F(MetricsExporterTest, EveryFamilyOfTheContractIsThere) {
  const Exposition metrics = scrape();
  const std::map<std::string, std::string> expected{
      {"requests_total", "counter"},
      {"requests_dropped_total", "counter"},
      {"active_connections", "gauge"},
      {"request_duration_seconds", "histogram"},
      {"ringmaster_responses_total", "counter"},
      {"ringmaster_rejected_total", "counter"},
      {"ringmaster_backend_up", "gauge"},
      {"ringmaster_backend_state", "gauge"},
      {"ringmaster_ejections_total", "counter"},
      {"ringmaster_health_checks_total", "counter"},
      {"ringmaster_retries_total", "counter"},
      {"ringmaster_retries_refused_total", "counter"},
      {"ringmaster_panic_mode", "gauge"},
      {"ringmaster_upstream_connections", "gauge"},
      {"ringmaster_upstream_connections_reused_total", "counter"},
      {"ringmaster_upstream_connect_duration_seconds", "histogram"},
      {"ringmaster_ring_share_ratio", "gauge"},
      {"ringmaster_hash_spills_total", "counter"},
      {"ringmaster_client_connections", "gauge"},
      {"ringmaster_client_connections_limit", "gauge"},
      {"ringmaster_client_connections_total", "counter"},
      {"ringmaster_received_bytes_total", "counter"},
      {"ringmaster_sent_bytes_total", "counter"},
      {"ringmaster_rate_limit_entries", "gauge"},
      {"ringmaster_rate_limit_overflow_total", "counter"},
      {"ringmaster_access_log_dropped_total", "counter"},
      {"ringmaster_workers", "gauge"},
      {"ringmaster_worker_restarts_total", "counter"},
      {"ringmaster_config_generation", "gauge"},
      {"ringmaster_config_last_reload_successful", "gauge"},
      {"ringmaster_config_last_reload_success_timestamp_seconds", "gauge"},
      {"ringmaster_build_info", "gauge"},
      {"ringmaster_start_time_seconds", "gauge"},
      {"process_cpu_seconds_total", "counter"},
      {"process_resident_memory_bytes", "gauge"},
      {"process_virtual_memory_bytes", "gauge"},
      {"process_open_fds", "gauge"},
      {"process_max_fds", "gauge"},
      {"process_start_time_seconds", "gauge"},
  };
  EXPECT_EQ(metrics.types(), expected);
  for (const auto& [name, type] : expected) EXPECT_TRUE(metrics.has_help(name)) << name;
}

TEST_F(MetricsExporterTest, EverySeriesIsThereBeforeItsFirstEvent) {
  const Exposition metrics = scrape();
  for (const std::string backend : {"s1", "s2", "s3"}) {
    const std::string of = "{backend=\"" + backend + "\"";
    EXPECT_EQ(metrics.value("requests_total" + of + "}"), 0);
    EXPECT_EQ(metrics.value("active_connections" + of + "}"), 0);
    EXPECT_EQ(metrics.value("request_duration_seconds_count" + of + "}"), 0);
    for (const std::string code : {"1xx", "2xx", "3xx", "4xx", "5xx"}) {
      EXPECT_EQ(metrics.value("ringmaster_responses_total" + of + ",code=\"" + code + "\"}"), 0);
    }
    for (const auto cause : kRetryCauseLabels) {
      EXPECT_EQ(
          metrics.value("ringmaster_retries_total" + of + ",cause=\"" + std::string(cause) + "\"}"),
          0);
    }
    for (const std::string cause : {"connect", "timeout", "status", "protocol", "resolve"}) {
      EXPECT_EQ(metrics.value("ringmaster_ejections_total" + of + ",cause=\"" + cause + "\"}"), 0);
      EXPECT_EQ(metrics.value("ringmaster_health_checks_total" + of + ",result=\"" + cause + "\"}"),
                0);
    }
    EXPECT_EQ(metrics.value("ringmaster_health_checks_total" + of + ",result=\"success\"}"), 0);
  }
  EXPECT_EQ(metrics.series("ringmaster_rejected_total").size(), kRejectReasonCount - 1);
  EXPECT_FALSE(metrics.has("ringmaster_rejected_total{reason=\"rate_limited\"}"));
  EXPECT_EQ(metrics.value("requests_dropped_total"), 0);
}

TEST_F(MetricsExporterTest, SumsOverAllSlots) {
  for (std::uint32_t slot : {0u, 1u, 5u}) {
    MetricsSlab& slab = slab_of(slot);
    UpstreamMetrics& upstream = slab.upstreams[upstreams_[1]];
    upstream.responses[0].add(7);
    upstream.responses[1].add(100 + slot);
    upstream.responses[3].add(10);
    upstream.responses[4].add(1);
    upstream.in_flight.add(2);
    upstream.connections_idle.add(3);
    upstream.connections_busy.add(4);
    upstream.retries[2].add(5);
    slab.worker.rate_limited.add(6);
    slab.worker.rejected[static_cast<std::size_t>(RejectReason::kNoBackend)].add(8);
    slab.worker.client_received_bytes.add(1'000'000'000'001);
  }
  const Exposition metrics = scrape();
  EXPECT_EQ(metrics.value("requests_total{backend=\"s2\"}"), 306 + 30 + 3) << "1xx left out";
  EXPECT_EQ(metrics.value("requests_total{backend=\"s1\"}"), 0);
  EXPECT_EQ(metrics.value("ringmaster_responses_total{backend=\"s2\",code=\"1xx\"}"), 21);
  EXPECT_EQ(metrics.value("ringmaster_responses_total{backend=\"s2\",code=\"2xx\"}"), 306);
  EXPECT_EQ(metrics.value("active_connections{backend=\"s2\"}"), 6);
  EXPECT_EQ(metrics.value("ringmaster_upstream_connections{backend=\"s2\",state=\"idle\"}"), 9);
  EXPECT_EQ(metrics.value("ringmaster_upstream_connections{backend=\"s2\",state=\"busy\"}"), 12);
  EXPECT_EQ(metrics.value("ringmaster_retries_total{backend=\"s2\",cause=\"stale_connection\"}"),
            15);
  EXPECT_EQ(metrics.value("requests_dropped_total"), 18);
  EXPECT_EQ(metrics.value("ringmaster_rejected_total{reason=\"no_backend\"}"), 24);
  EXPECT_EQ(metrics.value("ringmaster_received_bytes_total{side=\"client\"}"), 3'000'000'000'003)
      << "to the last digit";
}

TEST_F(MetricsExporterTest, HistogramsAddUp) {
  RequestHistogram& one = slab_of(0).upstreams[upstreams_[0]].request_duration;
  RequestHistogram& two = slab_of(3).upstreams[upstreams_[0]].request_duration;
  one.observe(400'000);         // 0.4 ms
  one.observe(1'000'000);       // a bound belongs to its bucket
  two.observe(1'000'001);       // and what is above it, to the next
  two.observe(60'000'000'000);  // above all
  const Exposition metrics = scrape();
  const auto bucket = [&](const std::string& le) {
    return metrics.value("request_duration_seconds_bucket{backend=\"s1\",le=\"" + le + "\"}");
  };
  EXPECT_EQ(bucket("0.0005"), 1);
  EXPECT_EQ(bucket("0.001"), 2);
  EXPECT_EQ(bucket("0.0011"), 3);
  EXPECT_EQ(bucket("30"), 3);
  EXPECT_EQ(bucket("+Inf"), 4);
  EXPECT_EQ(metrics.value("request_duration_seconds_count{backend=\"s1\"}"), 4);
  EXPECT_NEAR(metrics.value("request_duration_seconds_sum{backend=\"s1\"}"), 60.0024, 1e-4);
}

TEST_F(MetricsExporterTest, StatesAreOneHot) {
  segment_.upstream(upstreams_[0]).set_health(HealthState::kSuspect, HealthCause::kConnect);
  segment_.upstream(upstreams_[1]).set_health(HealthState::kDown, HealthCause::kConnect);
  const Exposition metrics = scrape();  // the third was never probed
  const auto state = [&](const std::string& backend, const std::string& name) {
    return metrics.value("ringmaster_backend_state{backend=\"" + backend + "\",state=\"" + name +
                         "\"}");
  };
  for (const std::string backend : {"s1", "s2", "s3"}) {
    double sum = 0;
    for (const std::string name : {"up", "suspect", "down", "draining", "slow_start"}) {
      sum += state(backend, name);
    }
    EXPECT_EQ(sum, 1) << backend;
  }
  EXPECT_EQ(state("s1", "suspect"), 1);
  EXPECT_EQ(state("s2", "down"), 1);
  EXPECT_EQ(state("s3", "down"), 1);
  EXPECT_EQ(metrics.value("ringmaster_backend_up{backend=\"s1\"}"), 1);
  EXPECT_EQ(metrics.value("ringmaster_backend_up{backend=\"s2\"}"), 0);
  EXPECT_EQ(metrics.value("ringmaster_backend_up{backend=\"s3\"}"), 0);
}

TEST_F(MetricsExporterTest, WhatTheMasterCountsAndKnows) {
  segment_.master().upstreams[upstreams_[0]].ejections[1].add(2);
  segment_.master().upstreams[upstreams_[0]].health_checks[0].add(9);
  segment_.master().worker_restarts[2].add(3);
  slab_of(0);
  slab_of(1);
  segment_.slot(0).assign(1);
  segment_.slot(0).announce(WorkerState::kServing);
  segment_.slot(1).assign(1);
  segment_.slot(1).announce(WorkerState::kDraining);
  const Exposition metrics = scrape();
  EXPECT_EQ(metrics.value("ringmaster_ejections_total{backend=\"s1\",cause=\"connect\"}"), 2);
  EXPECT_EQ(metrics.value("ringmaster_health_checks_total{backend=\"s1\",result=\"success\"}"), 9);
  EXPECT_EQ(metrics.value("ringmaster_worker_restarts_total{cause=\"hung\"}"), 3);
  EXPECT_EQ(metrics.value("ringmaster_workers{state=\"serving\"}"), 1);
  EXPECT_EQ(metrics.value("ringmaster_workers{state=\"draining\"}"), 1);
  EXPECT_EQ(metrics.value("ringmaster_config_generation"), 1);
  EXPECT_EQ(metrics.value("ringmaster_config_last_reload_successful"), 1);
  EXPECT_EQ(metrics.value("ringmaster_rate_limit_entries"), 42);
  EXPECT_NEAR(metrics.sum("ringmaster_ring_share_ratio"), 1, 1e-9);
  EXPECT_EQ(metrics.value("ringmaster_ring_share_ratio{backend=\"s3\"}"), 0.5);
  EXPECT_EQ(metrics.series("ringmaster_build_info").size(), 1u);
  EXPECT_EQ(metrics.value("ringmaster_start_time_seconds"), 1'700'000'000.5);
  EXPECT_GT(metrics.value("process_resident_memory_bytes"), 1e6);
  EXPECT_GT(metrics.value("process_open_fds"), 2);
  EXPECT_GE(metrics.value("process_max_fds"), metrics.value("process_open_fds"));
  EXPECT_GT(metrics.value("process_cpu_seconds_total"), 0);
}

TEST_F(MetricsExporterTest, ProcessorTimeIncludesThatOfMastersBefore) {
  MasterSlab& facts = segment_.master();
  facts.earlier_cpu_ns.set(1'000'000'000'000);  // as the one after a crash finds it
  const double shown = scrape().value("process_cpu_seconds_total");
  EXPECT_GT(shown, 1000);
  EXPECT_EQ(static_cast<double>(facts.shown_cpu_ns.get()) / 1e9, shown);
}

// While a worker counts, no scrape may catch two figures that should be one.
TEST_F(MetricsExporterTest, EachScrapeAgreesWithItself) {
  std::atomic<bool> stop = false;
  UpstreamMetrics& upstream = slab_of(0).upstreams[upstreams_[0]];
  std::thread worker([&] {
    for (std::uint64_t i = 0; !stop; ++i) {
      upstream.responses[1 + i % 4].add();
      upstream.request_duration.observe(i * 1000 % 40'000'000);
    }
  });
  double last = 0;
  for (int i = 0; i < 50; ++i) {
    const Exposition metrics = scrape();
    const double requests = metrics.sum("requests_total");
    double responses = 0;
    for (const std::string code : {"2xx", "3xx", "4xx", "5xx"}) {
      responses +=
          metrics.value("ringmaster_responses_total{backend=\"s1\",code=\"" + code + "\"}");
    }
    EXPECT_EQ(requests, responses);
    EXPECT_EQ(metrics.value("request_duration_seconds_count{backend=\"s1\"}"),
              metrics.value("request_duration_seconds_bucket{backend=\"s1\",le=\"+Inf\"}"));
    EXPECT_GE(requests, last) << "a counter fell";
    last = requests;
  }
  stop = true;
  worker.join();
}

// One scrape of a large installation, while probes wait: its budget is 5 ms. CPU time of this
// thread, the best of several: what others do on the machine stays out.
TEST_F(MetricsExporterTest, AScrapeOfAHundredBackendsAndSixteenWorkersIsQuick) {
  config_.backends.clear();
  upstreams_.clear();
  for (int i = 0; i < 100; ++i) {
    BackendConfig backend;
    backend.name = "backend-" + std::to_string(i);
    config_.backends.push_back(backend);
    upstreams_.push_back(*segment_.add_upstream(backend.name));
  }
  ring_shares_.assign(segment_.upstream_count(), 0.01);
  for (std::uint32_t slot = 0; slot < 16; ++slot) {
    for (const std::uint32_t upstream : upstreams_) {
      UpstreamMetrics& metrics = slab_of(slot).upstreams[upstream];
      metrics.responses[1].add(123'456'789);
      for (std::uint64_t ms = 1; ms < 30'000; ms += ms / 9 + 1) {
        metrics.request_duration.observe(ms * 1'000'000);
      }
    }
  }
  const auto cpu_ms = [] {
    timespec now{};
    ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return static_cast<double>(now.tv_sec) * 1e3 + static_cast<double>(now.tv_nsec) / 1e6;
  };
  double least = 1e9;
  std::size_t bytes = 0;
  for (int i = 0; i < 20; ++i) {
    const double start = cpu_ms();
    bytes = render_metrics(source()).size();
    least = std::min(least, cpu_ms() - start);
  }
  std::printf("a scrape of 100 backends and 16 workers: %.2f ms, %zu bytes\n", least, bytes);
#if defined(__SANITIZE_ADDRESS__)
  EXPECT_LT(least, 500) << "the sanitizers' own checks included";
#else
  EXPECT_LT(least, 15) << "three times its budget, for slower machines";
#endif
}

// What promtool says of the names that the contract fixes without a prefix is nothing either.
TEST_F(MetricsExporterTest, PromtoolFindsNothing) {
  ASSERT_EQ(std::system("command -v promtool >/dev/null"), 0) << "apt install prometheus";
  const std::string path = testing::TempDir() + "metrics_" + std::to_string(::getpid());
  std::FILE* file = std::fopen(path.c_str(), "we");
  const std::string text = render_metrics(source());
  ASSERT_EQ(std::fwrite(text.data(), 1, text.size(), file), text.size());
  std::fclose(file);
  EXPECT_EQ(std::system(("promtool check metrics <" + path).c_str()), 0);
  std::remove(path.c_str());
}

}  // namespace
}  // namespace ringmaster::test
