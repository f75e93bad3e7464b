#include "master/demo_config.h"

namespace ringmaster {

std::string_view demo_config_text() {
  return R"(# What `ringmaster --demo` runs with.
[server]
listen = "0.0.0.0:3000"
workers = 2

[admin]
listen = "127.0.0.1:9180"

[[backend]]
name = "s1"
address = "127.0.0.1:8081"

[[backend]]
name = "s2"
address = "127.0.0.1:8082"

[[backend]]
name = "s3"
address = "127.0.0.1:8083"
)";
}

}  // namespace ringmaster
