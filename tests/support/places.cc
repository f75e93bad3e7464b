#include "tests/support/places.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>

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
    std::ifstream file(ringmaster_binary(), std::ios::binary);
    const std::string image(std::istreambuf_iterator<char>(file), {});
    return image.find("libasan.so") != std::string::npos;  // named among the libraries it needs
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
