// A test backend in a process of its own, for what can only be done to a process: SIGSTOP, SIGKILL.
#pragma once

#include <string>

#include "tests/support/process.h"
#include "tests/support/stream.h"

namespace ringmaster::test {

class BackendProcess {
 public:
  explicit BackendProcess(const std::string& name);

  const std::string& name() const { return name_; }
  const Endpoint& endpoint() const { return endpoint_; }
  std::string toml(const std::string& more = "") const;
  void signal(int number) const { process_.signal(number); }

 private:
  std::string name_;
  Process process_;
  Endpoint endpoint_;
};

}  // namespace ringmaster::test
