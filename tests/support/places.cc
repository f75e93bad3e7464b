#include "tests/support/places.h"

#include <cstdlib>

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

std::string test_backend_binary() {
  return either("RINGMASTER_TEST_BACKEND", RINGMASTER_TEST_BACKEND);
}

std::string allocation_counter_library() {
  return RINGMASTER_ALLOCATION_COUNTER;
}

std::string source_path(const std::string& file) {
  return std::string(RINGMASTER_SOURCE_DIR "/") + file;
}

}  // namespace ringmaster::test
