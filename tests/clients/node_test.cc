// Node.js: its http module, whose agents keep connections; fetch; and undici, which pipelines.
#include <gtest/gtest.h>

#include "tests/clients/tool.h"
#include "tests/support/backend.h"
#include "tests/support/ringmaster.h"

namespace ringmaster::test {
namespace {

// Echoes what it gets; /early answers with 103 (Early Hints) first, /trailers with a trailer.
void serve(Conversation& conversation) {
  do {
    conversation.read_body();
    const Request& request = conversation.request();
    const std::string echo = request.method + " " + request.target + " " + request.body;
    if (request.target == "/trailers") {
      conversation.stream().send(
          "HTTP/1.1 200 OK\r\nTrailer: X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n" + chunk(echo) +
          "0\r\nX-Sum: 7\r\n\r\n");
      continue;
    }
    if (request.target == "/early") {
      conversation.stream().send("HTTP/1.1 103 Early Hints\r\nLink: </style.css>\r\n\r\n");
    }
    conversation.reply({.body = echo, .chunked = request.target.starts_with("/chunked")});
  } while (conversation.next());
}

class Node : public ::testing::TestWithParam<const char*> {};

TEST_P(Node, GetsWhatItAsksFor) {
  Backend backend("s1", Backend::Script(serve));
  Ringmaster ringmaster("[server]\nworkers = 2\n" + backend.toml());
  auto node =
      script("node", "node_client.mjs",
             {GetParam(), ringmaster.endpoint().ip, std::to_string(ringmaster.endpoint().port)});
  // Where Debian's modules find each other, also those of another Node than Debian's.
  node.insert(node.begin(), "NODE_PATH=/usr/share/nodejs");
  const Finished finished = run(tool("env", std::move(node)));
  EXPECT_EQ(finished.exit, kFine) << finished.log;
  EXPECT_EQ(finished.output, "fine\n") << finished.log;
}

INSTANTIATE_TEST_SUITE_P(With, Node,
                         ::testing::Values("agent", "upload", "expect", "hints", "trailers",
                                           "pipelining", "fetch", "undici_pipelining",
                                           "undici_streams"),
                         [](const auto& one) { return std::string(one.param); });

}  // namespace
}  // namespace ringmaster::test
