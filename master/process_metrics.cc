#include "master/process_metrics.h"

#include <dirent.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cstdio>

namespace ringmaster {
namespace {

double seconds(const timeval& time) {
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
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

std::vector<ProcessMetric> read_process_metrics(double started_s) {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
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
      {"process_cpu_seconds_total", "User and system CPU time of the master.", true,
       seconds(usage.ru_utime) + seconds(usage.ru_stime)},
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
