// Prometheus' text exposition format, version 0.0.4, of prometheus-cpp's metric families. The
// library's own TextSerializer writes the same through iostreams, at a microsecond a line: with a
// hundred backends it would hold the master's only thread for longer than a scrape may. It is the
// oracle of the unit test instead.
#pragma once

#include <prometheus/metric_family.h>

#include <string>
#include <vector>

namespace ringmaster {

// Counters, gauges and histograms; no other type occurs.
std::string write_metrics_text(const std::vector<prometheus::MetricFamily>& families);

}  // namespace ringmaster
