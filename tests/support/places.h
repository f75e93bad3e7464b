// Where the things lie that tests run and read. The environment may name others: RINGMASTER_BINARY,
// RINGMASTER_TEST_BACKEND.
#pragma once

#include <string>

namespace ringmaster::test {

std::string ringmaster_binary();
std::string test_backend_binary();
std::string allocation_counter_library();
// A file of the source tree, named from its root.
std::string source_path(const std::string& file);

}  // namespace ringmaster::test
