// /status: the facts of /metrics, and what no metric can hold (addresses, reasons, processes), as
// JSON for people, for the page and for `ringmaster ctl`. Reads only.
#pragma once

#include <string>

#include "master/report_source.h"

namespace ringmaster {

inline constexpr const char* kStatusContentType = "application/json";

std::string render_status(const ReportSource& source);

}  // namespace ringmaster
