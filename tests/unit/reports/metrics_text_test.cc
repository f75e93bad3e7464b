// The text format as prometheus-cpp writes it: its serializer, which is too slow for the master's
// only thread, says what is right.
#include "master/reports/metrics_text.h"

#include <gtest/gtest.h>
#include <prometheus/text_serializer.h>

#include <limits>
#include <sstream>
#include <string>

namespace ringmaster::test {
namespace {

using prometheus::ClientMetric;
using prometheus::MetricFamily;
using prometheus::MetricType;

ClientMetric metric(std::vector<ClientMetric::Label> labels, double value) {
  ClientMetric metric;
  metric.label = std::move(labels);
  metric.counter.value = value;
  metric.gauge.value = value;
  return metric;
}

std::vector<MetricFamily> all_kinds() {
  MetricFamily counter{"a_total", "Counts.", MetricType::Counter, {}};
  counter.metric.push_back(metric({}, 0));
  counter.metric.push_back(metric({{"backend", "s1"}}, 1'234'567'890'123));
  MetricFamily gauge{"b", "Is.", MetricType::Gauge, {}};
  gauge.metric.push_back(metric({{"a", "x"}, {"b", "say \"hi\"\\\n"}}, -0.1));
  gauge.metric.push_back(metric({{"a", "time"}}, 1'700'000'000.5));
  gauge.metric.push_back(metric({{"a", "small"}}, 1.5e-9));
  gauge.metric.push_back(metric({{"a", "inf"}}, std::numeric_limits<double>::infinity()));
  MetricFamily histogram{"c_seconds", "Lasts.", MetricType::Histogram, {}};
  for (const bool labelled : {false, true}) {
    ClientMetric series;
    if (labelled) series.label = {{"backend", "s1"}};
    series.histogram.bucket = {{1, 0.0005}, {5, 0.00132}, {5, 1}, {7, 30}};
    series.histogram.sample_count = 9;
    series.histogram.sample_sum = 61.25;
    histogram.metric.push_back(series);
  }
  return {counter, gauge, histogram};
}

// Line by line the same but for the way a number is written.
TEST(MetricsText, IsWhatTheLibraryWrites) {
  const auto families = all_kinds();
  std::istringstream ours(write_metrics_text(families));
  std::istringstream theirs(prometheus::TextSerializer().Serialize(families));
  std::string our_line, their_line;
  int lines = 0;
  while (std::getline(theirs, their_line)) {
    ASSERT_TRUE(std::getline(ours, our_line)) << "missing: " << their_line;
    ++lines;
    if (their_line.starts_with("#")) {
      EXPECT_EQ(our_line, their_line);
      continue;
    }
    const auto split = their_line.rfind(' ');
    EXPECT_EQ(our_line.substr(0, our_line.rfind(' ')), their_line.substr(0, split));
    EXPECT_EQ(std::stod(our_line.substr(our_line.rfind(' '))), std::stod(their_line.substr(split)))
        << their_line;
  }
  EXPECT_FALSE(std::getline(ours, our_line)) << "too much: " << our_line;
  EXPECT_GT(lines, 20);
}

TEST(MetricsText, WritesWholeNumbersWithoutAnExponent) {
  MetricFamily family{"a", "Is.", MetricType::Gauge, {}};
  for (const double value : {100'000.0, 9'007'199'254'740'992.0, -3.0}) {
    family.metric.push_back(metric({}, value));
  }
  EXPECT_EQ(write_metrics_text({family}),
            "# HELP a Is.\n# TYPE a gauge\na 100000\na 9007199254740992\na -3\n");
}

}  // namespace
}  // namespace ringmaster::test
