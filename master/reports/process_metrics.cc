#include "master/reports/process_metrics.h"

#include <dirent.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cstdio>

namespace ringmaster {
namespace {

std::uint64_t nanoseconds(const timeval& time) {
  return static_cast<std::uint64_t>(time.tv_sec) * 1'000'000'000u +
         static_cast<std::uint64_t>(time.tv_usec) * 1'000u;
}

double count_open_files() {
  DIR* directory = ::opendir("/proc/self/fd");
  if (directory == nullptr) return 0;
  double count = -3;  // ".", ".." and the one that reads them
  while (::readdir(directory) != nullptr) ++count;
  ::closedir(directory);
  return count;
}

}  // namespace

std::uint64_t process_cpu_ns() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  return nanoseconds(usage.ru_utime) + nanoseconds(usage.ru_stime);
}

std::vector<ProcessMetric> read_process_metrics(double started_s, std::uint64_t cpu_ns) {
  rlimit files{};
  ::getrlimit(RLIMIT_NOFILE, &files);
  unsigned long virtual_pages = 0;
  unsigned long resident_pages = 0;
  if (std::FILE* statm = std::fopen("/proc/self/statm", "re")) {
    if (std::fscanf(statm, "%lu %lu", &virtual_pages, &resident_pages) != 2) resident_pages = 0;
    std::fclose(statm);
  }
  const auto page = static_cast<double>(::sysconf(_SC_PAGESIZE));
  return {
      {"process_cpu_seconds_total",
       "User and system CPU time of the master, crashed ones included.", true,
       static_cast<double>(cpu_ns) / 1e9},
      {"process_resident_memory_bytes", "Resident memory of the master.", false,
       static_cast<double>(resident_pages) * page},
      {"process_virtual_memory_bytes", "Address space of the master.", false,
       static_cast<double>(virtual_pages) * page},
      {"process_open_fds", "Open descriptors of the master.", false, count_open_files()},
      {"process_max_fds", "Most descriptors that a process may open.", false,
       static_cast<double>(files.rlim_cur)},
      {"process_start_time_seconds", "When the master started.", false, started_s},
  };
}

}  // namespace ringmaster
