// The process_… metrics that every Prometheus client library exports, of the master.
#pragma once

#include <cstdint>
#include <vector>

namespace ringmaster {

struct ProcessMetric {
  const char* name;
  const char* help;
  bool is_counter;
  double value;
};

// User and system time of this process since it began, over all images it ran.
std::uint64_t process_cpu_ns();

// `started_s`: since 1970. `cpu_ns`: of this master and those before it.
std::vector<ProcessMetric> read_process_metrics(double started_s, std::uint64_t cpu_ns);

}  // namespace ringmaster
