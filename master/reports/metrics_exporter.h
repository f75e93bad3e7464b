// /metrics: what all workers counted, summed over their slots, as families of prometheus-cpp. Reads
// only. Every scrape is consistent in itself: each counter is read once and all else derived from
// that reading. Every series that can exist does, from the first scrape on: a rate over a series
// that appears with its first event misses that event.
#pragma once

#include <string>

#include "master/reports/report_source.h"

namespace ringmaster {

inline constexpr const char* kMetricsContentType = "text/plain; version=0.0.4; charset=utf-8";

std::string render_metrics(const ReportSource& source);

}  // namespace ringmaster
