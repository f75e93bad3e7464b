// The flight recorder's JSON (master/reports/flight_report.h) for people: what `ringmaster ctl
// recorder` and `ctl why` print.
#pragma once

#include <string>

namespace ringmaster {

// A table, one request a line. What cannot be read is returned as it is; likewise below.
std::string render_recorder_table(const std::string& json);

// For each request, what happened to it, in order, with the reasons.
std::string render_request_story(const std::string& json);

}  // namespace ringmaster
