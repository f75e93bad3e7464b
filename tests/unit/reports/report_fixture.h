// A segment with three backends, and all that a report needs around it.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <vector>

#include "master/reports/report_source.h"
#include "tests/unit/master/test_loop.h"

namespace ringmaster::test {

class ReportFixture : public testing::Test, protected HealthMonitor::Observer {
 protected:
  ReportFixture() : segment_(*Segment::create()) {
    for (const char* stranger : {"gone", "also-gone"}) (void)*segment_.add_upstream(stranger);
    for (const char* name : {"s1", "s2", "s3"}) {
      BackendConfig backend;
      backend.name = name;
      backend.host = "127.0.0.1";
      backend.port = 8081;
      config_.backends.push_back(backend);
      upstreams_.push_back(*segment_.add_upstream(name));
    }
    segment_.master().service_started_ms.set(1'700'000'000'500);
    segment_.master().config_loaded_ms.set(1'700'000'000'500);
    monitor_ = std::make_unique<HealthMonitor>(loop_.get(), config_, segment_, upstreams_,
                                               static_cast<HealthMonitor::Observer&>(*this));
  }
  void on_health_changed() override {}

  MetricsSlab& slab_of(std::uint32_t slot) {
    segment_.use_slot(slot);
    return segment_.metrics(slot);
  }
  ReportSource source() {
    return {.config = config_,
            .segment = segment_,
            .upstreams = upstreams_,
            .health = *monitor_,
            .generation = 1,
            .ready = true,
            .stopping = false,
            .rate_limit_entries = 42,
            .ring_shares = ring_shares_,
            .own_generation = 1};
  }

  TestLoop loop_;
  Config config_;
  Segment segment_;
  std::vector<std::uint32_t> upstreams_;
  std::vector<double> ring_shares_{0, 0, 0.25, 0.25, 0.5};
  std::unique_ptr<HealthMonitor> monitor_;
};

}  // namespace ringmaster::test
