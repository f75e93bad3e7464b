#include "master/reports/metric_families.h"

#include "master/reports/metrics_text.h"

namespace ringmaster {

using prometheus::MetricType;

prometheus::ClientMetric& MetricFamilyBuilder::append(MetricLabels labels) {
  auto& metric = family_.metric.emplace_back();
  metric.label.reserve(labels.size());
  for (const auto& [name, value] : labels) {
    metric.label.push_back({std::string(name), std::string(value)});
  }
  return metric;
}

MetricFamilyBuilder& MetricFamilyBuilder::add(MetricLabels labels, double value) {
  auto& metric = append(labels);
  if (family_.type == MetricType::Counter) {
    metric.counter.value = value;
  } else {
    metric.gauge.value = value;
  }
  return *this;
}

MetricFamilyBuilder MetricFamilies::counter(std::string_view name, std::string_view help) {
  return begin(MetricType::Counter, name, help);
}

MetricFamilyBuilder MetricFamilies::gauge(std::string_view name, std::string_view help) {
  return begin(MetricType::Gauge, name, help);
}

MetricFamilyBuilder MetricFamilies::histogram(std::string_view name, std::string_view help) {
  return begin(MetricType::Histogram, name, help);
}

MetricFamilyBuilder MetricFamilies::begin(MetricType type, std::string_view name,
                                          std::string_view help) {
  families_.push_back({std::string(name), std::string(help), type, {}});
  return MetricFamilyBuilder(families_.back());
}

std::string MetricFamilies::serialize() const {
  return write_metrics_text(families_);
}

}  // namespace ringmaster
