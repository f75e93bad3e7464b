#include "tests/support/backend_process.h"

#include <stdexcept>

#include "tests/support/places.h"

namespace ringmaster::test {

BackendProcess::BackendProcess(const std::string& name)
    : name_(name), process_({test_backend_binary(), name}) {
  if (!wait_until([this] { return process_.output().ends_with("\n"); })) {
    throw std::runtime_error("the test backend does not start: " + process_.log());
  }
  const std::string where = process_.output();  // "127.0.0.1:8080\n"
  const std::size_t colon = where.find(':');
  endpoint_ = {where.substr(0, colon),
               static_cast<std::uint16_t>(std::stoi(where.substr(colon + 1)))};
}

std::string BackendProcess::toml(const std::string& more) const {
  return "\n[[backend]]\nname = \"" + name_ + "\"\naddress = \"" + endpoint_.to_string() + "\"\n" +
         more + "\n";
}

}  // namespace ringmaster::test
