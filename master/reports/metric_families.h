// A list of prometheus-cpp's metric families, filled by hand: the figures come from shared memory,
// so there is nothing for the library's own counters and registry to keep.
#pragma once

#include <prometheus/metric_family.h>

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "master/reports/totals.h"

namespace ringmaster {

using MetricLabels = std::initializer_list<std::pair<std::string_view, std::string_view>>;

// One family under construction. Series are added in the order in which they are to appear.
class MetricFamilyBuilder {
 public:
  explicit MetricFamilyBuilder(prometheus::MetricFamily& family) noexcept : family_(family) {}

  // The value of a counter or gauge.
  MetricFamilyBuilder& add(MetricLabels labels, double value);
  MetricFamilyBuilder& add(MetricLabels labels, std::uint64_t value) {
    return add(labels, static_cast<double>(value));
  }
  // Bounds are in microseconds, one fewer than buckets; _count and the +Inf bucket are the sum of
  // the buckets.
  template <std::size_t kBounds>
  MetricFamilyBuilder& add(MetricLabels labels, const std::array<std::uint32_t, kBounds>& bounds_us,
                           const HistogramTotals<kBounds + 1>& totals);

 private:
  prometheus::ClientMetric& append(MetricLabels labels);

  // Borrowed.
  prometheus::MetricFamily& family_;
};

class MetricFamilies {
 public:
  MetricFamilies() { families_.reserve(kUsualCount); }

  // Each builder is valid until the next family is begun.
  MetricFamilyBuilder counter(std::string_view name, std::string_view help);
  MetricFamilyBuilder gauge(std::string_view name, std::string_view help);
  MetricFamilyBuilder histogram(std::string_view name, std::string_view help);

  // The text exposition format, version 0.0.4.
  std::string serialize() const;

 private:
  MetricFamilyBuilder begin(prometheus::MetricType type, std::string_view name,
                            std::string_view help);
  static constexpr std::size_t kUsualCount = 40;

  // Owned.
  std::vector<prometheus::MetricFamily> families_;
};

template <std::size_t kBounds>
MetricFamilyBuilder& MetricFamilyBuilder::add(MetricLabels labels,
                                              const std::array<std::uint32_t, kBounds>& bounds_us,
                                              const HistogramTotals<kBounds + 1>& totals) {
  auto& histogram = append(labels).histogram;
  std::uint64_t cumulative = 0;
  histogram.bucket.reserve(kBounds);
  for (std::size_t i = 0; i < kBounds; ++i) {
    cumulative += totals.buckets[i];
    histogram.bucket.push_back({cumulative, static_cast<double>(bounds_us[i]) / 1e6});
  }
  histogram.sample_count = cumulative + totals.buckets[kBounds];
  histogram.sample_sum = static_cast<double>(totals.sum_ns) / 1e9;
  return *this;
}

}  // namespace ringmaster
