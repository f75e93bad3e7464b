#include "tests/support/places.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <ios>
#include <string>

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
    // Named among the libraries it needs, which an ELF file tells near its beginning: it is 50 MB.
    std::ifstream file(ringmaster_binary(), std::ios::binary);
    std::string beginning(1 << 20, '\0');
    file.read(beginning.data(), static_cast<std::streamsize>(beginning.size()));
    return beginning.find("libasan.so") != std::string::npos;
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
