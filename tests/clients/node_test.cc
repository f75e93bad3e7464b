// Node.js: its http module, whose agents keep connections, and fetch, which is undici.
#include <gtest/gtest.h>

#include "tests/clients/tool.h"
#include "tests/support/backend.h"
#include "tests/support/ringmaster.h"

namespace ringmaster::test {
namespace {

// Echoes what it gets; /early answers with 103 (Early Hints) first.
void serve(Conversation& conversation) {
  do {
    conversation.read_body();
    const Request& request = conversation.request();
    if (request.target == "/early") {
      conversation.stream().send("HTTP/1.1 103 Early Hints\r\nLink: </style.css>\r\n\r\n");
    }
    conversation.reply({.body = request.method + " " + request.target + " " + request.body,
                        .chunked = request.target.starts_with("/chunked")});
  } while (conversation.next());
}

class Node : public ::testing::TestWithParam<const char*> {};

TEST_P(Node, GetsWhatItAsksFor) {
  Backend backend("s1", Backend::Script(serve));
  Ringmaster ringmaster("[server]\nworkers = 2\n" + backend.toml());
  const Finished finished = run(
      script("node", "node_client.mjs",
             {GetParam(), ringmaster.endpoint().ip, std::to_string(ringmaster.endpoint().port)}));
  EXPECT_EQ(finished.exit, kFine) << finished.log;
  EXPECT_EQ(finished.output, "fine\n") << finished.log;
}

INSTANTIATE_TEST_SUITE_P(With, Node,
                         ::testing::Values("agent", "upload", "expect", "hints", "pipelining",
                                           "fetch"),
                         [](const auto& one) { return std::string(one.param); });

}  // namespace
}  // namespace ringmaster::test
