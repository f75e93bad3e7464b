// An answer, or a tunnel, that ends when the backend's connection does, while the client still
// sends. What was sent behind the backend's end is answered by a reset, which takes nothing back; a
// reset instead of an end means that the rest is missing. Which of them it was must not depend on
// what the worker looks at first, the client's bytes or the backend's end.
#include <gtest/gtest.h>

#include <csignal>
#include <tuple>

#include "tests/support/backend.h"
#include "tests/support/ringmaster.h"

namespace ringmaster::test {
namespace {

enum class End { kInOrder, kReset };
enum class First { kClient, kBackend };

class Unframed : public ::testing::TestWithParam<std::tuple<End, First>> {
 protected:
  static bool ends_in_order() { return std::get<End>(GetParam()) == End::kInOrder; }

  // The client sends more, and the backend ends, both unseen by the worker until it goes on.
  void send_and_end(Client& client) {
    ASSERT_TRUE(has_first_.wait());
    const pid_t worker = ringmaster_.workers().at(0);
    ::kill(worker, SIGSTOP);
    ASSERT_TRUE(wait_until([&] { return is_stopped(worker); }));
    if (std::get<First>(GetParam()) == First::kClient) client.send("more");
    may_end_.set();
    ASSERT_TRUE(has_ended_.wait());
    if (std::get<First>(GetParam()) == First::kBackend) client.send("more");
    ::kill(worker, SIGCONT);
  }

  double cut_responses() const { return ringmaster_.rejected("response_cut"); }

  Event has_first_, may_end_, has_ended_;
  Backend backend_{"s1", Backend::Script([this](Conversation& conversation) {
                     Stream& stream = conversation.stream();
                     const bool is_tunnel = conversation.request().has("Upgrade");
                     stream.send(is_tunnel ? "HTTP/1.1 101 Switching Protocols\r\n"
                                             "Connection: Upgrade\r\nUpgrade: test\r\n\r\nall"
                                           : "HTTP/1.1 200 OK\r\n\r\nall");
                     stream.read_exactly(5);
                     has_first_.set();
                     may_end_.wait();
                     ends_in_order() ? stream.close() : stream.reset();
                     has_ended_.set();
                   })};
  Ringmaster ringmaster_{"[server]\nworkers = 1\n[health]\ninterval = \"60s\"\n" + backend_.toml()};
};

INSTANTIATE_TEST_SUITE_P(Ends, Unframed,
                         ::testing::Combine(::testing::Values(End::kInOrder, End::kReset),
                                            ::testing::Values(First::kClient, First::kBackend)),
                         [](const auto& row) {
                           const bool in_order = std::get<End>(row.param) == End::kInOrder;
                           const bool client_first = std::get<First>(row.param) == First::kClient;
                           return std::string(in_order ? "InOrder" : "WithAReset") +
                                  (client_first ? "BehindBytesOfTheClient"
                                                : "BeforeBytesOfTheClient");
                         });

TEST_P(Unframed, AnswerIsCompleteIfItsConnectionEndedInOrder) {
  Client client(ringmaster_.endpoint());
  client.send(request_head("POST", "/", "Content-Length: 100\r\n") + "first");
  Response response = client.receive_head();
  EXPECT_EQ(response.status, 200);
  EXPECT_EQ(client.stream().read_until("all\r\n"), "3\r\nall\r\n");
  send_and_end(client);
  if (ends_in_order()) {
    EXPECT_EQ(client.stream().read_all(), "0\r\n\r\n");
    EXPECT_EQ(cut_responses(), 0);
  } else {
    EXPECT_THROW(client.stream().read_all(), StreamError);
    EXPECT_EQ(cut_responses(), 1);
  }
}

TEST_P(Unframed, TunnelEndsAsItsBackendEndedIt) {
  Client client(ringmaster_.endpoint());
  client.send(request_head("GET", "/", kUpgrade));
  EXPECT_EQ(client.receive_head().status, 101);
  client.send("first");
  EXPECT_EQ(client.stream().read_exactly(3), "all");
  send_and_end(client);
  if (ends_in_order()) {
    EXPECT_TRUE(client.is_ended());
  } else {
    EXPECT_THROW(client.is_ended(), StreamError);
  }
}

}  // namespace
}  // namespace ringmaster::test
