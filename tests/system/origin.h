// The backends behind the balancer under test: answer every GET, slowly where asked (/slow), and
// echo on connections that were upgraded. A thread of its own, so that nothing a test does holds it
// up.
#pragma once

#include <uv.h>

#include <string>
#include <thread>
#include <vector>

#include "tests/support/stream.h"

namespace ringmaster::test {

class Origin {
 public:
  // How long /slow takes.
  static constexpr milliseconds kSlow{700};

  // Listens on these ports of 127.0.0.1. Throws std::system_error.
  explicit Origin(const std::vector<std::uint16_t>& ports);
  Origin(const Origin&) = delete;
  Origin& operator=(const Origin&) = delete;
  ~Origin();

  // A [[backend]] table for each port: b1, b2, …
  std::string toml() const;

 private:
  const std::vector<std::uint16_t> ports_;
  uv_loop_t loop_;
  uv_async_t end_;
  std::vector<uv_tcp_t> listeners_;
  std::thread thread_;
};

}  // namespace ringmaster::test
