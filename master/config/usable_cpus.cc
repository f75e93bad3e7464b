#include "master/config/usable_cpus.h"

#include <sched.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <limits>
#include <sstream>

namespace ringmaster {
namespace {

// cpu.max: microseconds of each period, or "max".
std::optional<std::uint32_t> quota_of_group(const std::filesystem::path& directory) {
  std::ifstream file(directory / "cpu.max");
  std::uint64_t quota = 0;
  std::uint64_t period = 0;
  if (!(file >> quota >> period) || quota == 0 || period == 0) return std::nullopt;
  const std::uint64_t cpus = quota / period + (quota % period != 0 ? 1 : 0);
  return static_cast<std::uint32_t>(
      std::min<std::uint64_t>(cpus, std::numeric_limits<std::uint32_t>::max()));
}

// Below the root of the hierarchy; the line of version 2 has the number 0 and no controllers.
std::optional<std::filesystem::path> group_in(const std::string& membership) {
  constexpr std::string_view kMark = "0::/";
  std::istringstream lines(membership);
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with(kMark)) return line.substr(kMark.size());
  }
  return std::nullopt;
}

}  // namespace

std::optional<std::uint32_t> cpus_by_quota(const std::string& root, const std::string& membership) {
  const auto group = group_in(membership);
  if (!group) return std::nullopt;
  std::filesystem::path directory = root;
  std::optional<std::uint32_t> least = quota_of_group(directory);
  for (const auto& name : *group) {
    directory /= name;
    const auto quota = quota_of_group(directory);
    if (quota && (!least || *quota < *least)) least = quota;
  }
  return least;
}

std::uint32_t usable_cpus() {
  cpu_set_t cpus;
  CPU_ZERO(&cpus);
  const bool is_known = ::sched_getaffinity(0, sizeof cpus, &cpus) == 0;
  const auto allowed = static_cast<std::uint32_t>(is_known ? CPU_COUNT(&cpus) : 1);
  std::ifstream file("/proc/self/cgroup");
  const std::string membership{std::istreambuf_iterator<char>(file), {}};
  const std::uint32_t paid_for = cpus_by_quota("/sys/fs/cgroup", membership).value_or(allowed);
  return std::max(std::min(allowed, paid_for), 1u);
}

}  // namespace ringmaster
