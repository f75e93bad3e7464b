#include "master/demo/demo_config.h"

#include <fmt/format.h>
#include <unistd.h>

namespace ringmaster {

std::string demo_control_path() {
  if (::access("/tmp", W_OK) != 0) return {};
  return fmt::format("/tmp/ringmaster-demo-{}.sock", ::geteuid());
}

std::string demo_config_text() {
  return fmt::format(R"(# What `ringmaster --demo` runs with.
[server]
listen = "0.0.0.0:3000"
workers = 2

[admin]
listen = "127.0.0.1:9180"
socket = "{}"

[[backend]]
name = "s1"
address = "127.0.0.1:8081"

[[backend]]
name = "s2"
address = "127.0.0.1:8082"

[[backend]]
name = "s3"
address = "127.0.0.1:8083"
)",
                     demo_control_path());
}

}  // namespace ringmaster
