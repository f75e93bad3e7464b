// /status: the facts of /metrics, and what no metric can hold (addresses, reasons, processes), as
// JSON for people, for the page and for `ringmaster ctl`. Reads only.
#pragma once

#include <string>

#include "master/reports/report_source.h"

namespace ringmaster {

inline constexpr const char* kStatusContentType = "application/json";

// `has_histograms`: with the buckets of the request durations too, and no line breaks: for the
// page, which makes quantiles of the last moments of them.
std::string render_status(const ReportSource& source, bool has_histograms = false);

}  // namespace ringmaster
