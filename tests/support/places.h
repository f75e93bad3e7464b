// Where the things lie that tests run and read. The environment may name others: RINGMASTER_BINARY,
// RINGMASTER_OTHER_LAYOUT, RINGMASTER_TEST_BACKEND.
#pragma once

#include <string>

namespace ringmaster::test {

std::string ringmaster_binary();
// Whether that binary was built with AddressSanitizer: it is slower then, and makes calls of its
// own.
bool binary_is_sanitized();
// The same program, but that it knows another layout of the shared memory.
std::string other_layout_binary();
std::string test_backend_binary();
// To preload.
std::string allocation_counter_library();
std::string own_dns_library();
// Empty where there is none.
std::string chromium_binary();
std::string chromedriver_binary();
// A file that is kept for people to look at, in the build's folder; the folder is there.
std::string output_path(const std::string& file);
// A file of the source tree, named from its root.
std::string source_path(const std::string& file);

}  // namespace ringmaster::test
