// WebSocket (RFC 6455) through the tunnel, with a client and a server that know the protocol.
#include <gtest/gtest.h>

#include "tests/clients/tool.h"
#include "tests/support/backend.h"
#include "tests/support/ringmaster.h"

namespace ringmaster::test {
namespace {

class WebSocketServer {
 public:
  WebSocketServer() : process_(script("python3", "websocket.py", {"serve", own_loopback()})) {
    if (!wait_until([this] { return process_.output().ends_with("\n"); })) {
      throw std::runtime_error("the WebSocket server does not start: " + process_.log());
    }
  }

  // A config for it. It answers no plain request, so that the probe only connects.
  std::string toml() const {
    const std::string address = process_.output();
    return "[health]\npath = \"\"\n" +
           backend_table("ws", Endpoint::parse(address.substr(0, address.size() - 1)));
  }

 private:
  Process process_;
};

class WebSocket : public ::testing::TestWithParam<const char*> {};

TEST_P(WebSocket, GoesThroughTheTunnel) {
  const WebSocketServer server;
  Ringmaster ringmaster("[server]\nworkers = 2\n\n" + server.toml());
  const Finished finished =
      run(script("python3", "websocket.py",
                 {"talk", GetParam(), "ws://" + ringmaster.endpoint().to_string() + "/chat"}));
  EXPECT_EQ(finished.exit, kFine) << finished.log;
  EXPECT_EQ(finished.output, "fine\n") << finished.log;
  EXPECT_TRUE(wait_until([&] {
    return ringmaster.metrics().get("active_connections{backend=\"ws\"}") == 0;
  })) << "a tunnel is left";
}

INSTANTIATE_TEST_SUITE_P(That, WebSocket,
                         ::testing::Values("echoes", "pings", "closes", "is_closed", "is_long",
                                           "is_many"),
                         [](const auto& one) { return std::string(one.param); });

}  // namespace
}  // namespace ringmaster::test
