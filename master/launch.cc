#include "master/launch.h"

#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <filesystem>
#include <string_view>
#include <system_error>

namespace ringmaster {
namespace {

bool is_same_file(const std::string& one, const std::string& other) {
  struct stat a;
  struct stat b;
  return ::stat(one.c_str(), &a) == 0 && ::stat(other.c_str(), &b) == 0 && a.st_dev == b.st_dev &&
         a.st_ino == b.st_ino;
}

}  // namespace

std::string path_of_binary(const std::string& name) {
  std::error_code ignored;
  const std::string named = std::filesystem::absolute(name, ignored);
  const bool is_path = name.find('/') != std::string::npos;
  if (is_path && is_same_file(named, "/proc/self/exe")) return named;
  std::array<char, PATH_MAX> path;
  const ssize_t size = ::readlink("/proc/self/exe", path.data(), path.size());
  std::string binary = size > 0 ? std::string(path.data(), static_cast<std::size_t>(size)) : "";
  constexpr std::string_view kReplaced = " (deleted)";
  if (binary.ends_with(kReplaced)) binary.resize(binary.size() - kReplaced.size());
  return binary;
}

}  // namespace ringmaster
