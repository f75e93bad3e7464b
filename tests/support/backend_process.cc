#include "tests/support/backend_process.h"

#include <stdexcept>

#include "tests/support/backend.h"
#include "tests/support/places.h"

namespace ringmaster::test {

BackendProcess::BackendProcess(const std::string& name)
    : name_(name), process_({test_backend_binary(), name}) {
  if (!wait_until([this] { return process_.output().ends_with("\n"); })) {
    throw std::runtime_error("the test backend does not start: " + process_.log());
  }
  std::string where = process_.output();  // "127.0.0.1:8080\n"
  where.pop_back();
  endpoint_ = Endpoint::parse(where);
}

std::string BackendProcess::toml(const std::string& more) const {
  return backend_table(name_, endpoint_, more);
}

}  // namespace ringmaster::test
