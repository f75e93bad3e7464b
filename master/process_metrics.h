// The process_… metrics that every Prometheus client library exports, of the master.
#pragma once

#include <vector>

namespace ringmaster {

struct ProcessMetric {
  const char* name;
  const char* help;
  bool is_counter;
  double value;
};

// `started_s`: since 1970.
std::vector<ProcessMetric> read_process_metrics(double started_s);

}  // namespace ringmaster
