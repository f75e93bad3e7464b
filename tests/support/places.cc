#include "tests/support/places.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <ios>
#include <string>
#include <string_view>

namespace ringmaster::test {
namespace {

std::string either(const char* variable, const char* built) {
  const char* named = std::getenv(variable);
  return named != nullptr ? named : built;
}

}  // namespace

std::string ringmaster_binary() {
  return either("RINGMASTER_BINARY", RINGMASTER_BINARY);
}

bool binary_is_sanitized() {
  static const bool is_sanitized = [] {
    // Named among the libraries it needs, which an ELF file tells near its beginning: not all of
    // its 50 MB are read then.
    constexpr std::string_view kRuntime = "libasan.so";
    std::ifstream file(ringmaster_binary(), std::ios::binary);
    std::string bytes;
    for (std::string block(1 << 20, '\0'); file; bytes.erase(0, bytes.size() - kRuntime.size())) {
      file.read(block.data(), static_cast<std::streamsize>(block.size()));
      bytes.append(block, 0, static_cast<std::size_t>(file.gcount()));
      if (bytes.find(kRuntime) != std::string::npos) return true;
      if (bytes.size() < kRuntime.size()) break;
    }
    return false;
  }();
  return is_sanitized;
}

std::string other_layout_binary() {
  return either("RINGMASTER_OTHER_LAYOUT", RINGMASTER_OTHER_LAYOUT);
}

std::string test_backend_binary() {
  return either("RINGMASTER_TEST_BACKEND", RINGMASTER_TEST_BACKEND);
}

std::string allocation_counter_library() {
  return RINGMASTER_ALLOCATION_COUNTER;
}

std::string own_dns_library() {
  return RINGMASTER_OWN_DNS;
}

std::string chromium_binary() {
  return RINGMASTER_CHROMIUM;
}

std::string chromedriver_binary() {
  return RINGMASTER_CHROMEDRIVER;
}

std::string output_path(const std::string& file) {
  std::filesystem::create_directories(RINGMASTER_TEST_OUTPUT);
  return std::string(RINGMASTER_TEST_OUTPUT "/") + file;
}

std::string source_path(const std::string& file) {
  return std::string(RINGMASTER_SOURCE_DIR "/") + file;
}

}  // namespace ringmaster::test
