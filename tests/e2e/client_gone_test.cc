// A client that is gone is noticed, also where nothing that comes from it is waited for: it holds
// no backend, and its leaving is not held against one.
#include <gtest/gtest.h>

#include <cstdint>
#include <future>
#include <nlohmann/json.hpp>
#include <string>

#include "tests/support/backend.h"
#include "tests/support/behaviour.h"
#include "tests/support/client.h"
#include "tests/support/ringmaster.h"

namespace ringmaster::test {
namespace {

class ClientGone : public ::testing::Test {
 protected:
  bool is_asked() {
    return wait_until([&] { return backend_.in_flight() == 1; });
  }
  // Nothing but its leaving ends the request before the test is out of patience.
  void expect_noticed(const std::string& reason) {
    const auto is_free = [&] {
      return ringmaster_.metrics().get("active_connections{backend=\"s1\"}") == 0;
    };
    EXPECT_TRUE(wait_until(is_free, seconds(5) + noise()));
    EXPECT_EQ(ringmaster_.rejected("client_gone"), reason == "client_gone" ? 1 : 0);
    EXPECT_EQ(ringmaster_.backend_state("s1"), "up");
    silent_.set();
  }

  Event silent_;
  Backend backend_{"s1", Backend::Script([this](Conversation& conversation) {
                     if (conversation.request().has("Upgrade")) switch_protocols(conversation);
                     silent_.wait();
                   })};
  Ringmaster ringmaster_{"[server]\nworkers = 1\nbody_timeout = \"5m\"\n" + backend_.toml()};
  Client client_{ringmaster_.endpoint()};
};

TEST_F(ClientGone, BehindItsEndWhileItWaits) {
  client_.send(request_head("GET", "/"));
  ASSERT_TRUE(is_asked());
  client_.stream().shutdown_write();
  client_.stream().reset();
  expect_noticed("client_gone");
}

TEST_F(ClientGone, BehindItsEndOfATunnel) {
  client_.send(request_head("GET", "/chat", kUpgrade));
  ASSERT_EQ(client_.receive_head().status, 101);
  client_.stream().shutdown_write();
  client_.stream().reset();
  expect_noticed("");
}

std::uint64_t beats(const Ringmaster& ringmaster) {
  return ringmaster.status().at("workers").at(0).at("heartbeat");
}

// Both have ended in order, and what the client sent before is still on its way.
TEST(ClientLeft, ATunnelThatItsBackendEndedFirstLosesNothing) {
  Event go_on;
  std::promise<std::string> received;
  Backend backend("s1", Backend::Script([&](Conversation& conversation) {
                    Stream& stream = conversation.stream();
                    switch_protocols(conversation);
                    stream.shutdown_write();
                    go_on.wait();
                    received.set_value(stream.read_all());
                  }));
  Ringmaster ringmaster("[server]\nworkers = 1\n" + backend.toml());
  Client client(ringmaster.endpoint());
  client.send(request_head("GET", "/", kUpgrade));
  ASSERT_EQ(client.receive_head().status, 101);
  ASSERT_TRUE(client.is_ended());
  // Until the worker takes no more, and not much longer: the end is to get through to it.
  const double before = ringmaster.metrics().sum("ringmaster_received_bytes_total");
  std::size_t sent = 0;
  const auto is_taken = [&] {
    const double taken = ringmaster.metrics().sum("ringmaster_received_bytes_total") - before;
    return static_cast<std::size_t>(taken) >= sent;
  };
  do {
    client.send(std::string(32 << 10, 'x'));
    sent += 32 << 10;
  } while (wait_until(is_taken, milliseconds(200)));
  client.stream().shutdown_write();
  // A worker looks for clients who are gone at every fifth beat: twice in any ten.
  const std::uint64_t last = beats(ringmaster);
  ASSERT_TRUE(wait_until([&] { return beats(ringmaster) > last + 10; }));
  go_on.set();
  EXPECT_EQ(received.get_future().get().size(), sent);
}

// It has begun to answer what it is still being sent.
TEST(ClientLeft, InTheMiddleOfItsRequestIsToldToTheBackend) {
  Event told;
  Backend backend("s1", Backend::Script([&](Conversation& conversation) {
                    conversation.stream().send("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n");
                    EXPECT_EQ(conversation.stream().read_all(), "abc");
                    told.set();
                  }));
  Ringmaster ringmaster("[server]\nbody_timeout = \"5m\"\n" + backend.toml());
  Client client(ringmaster.endpoint());
  client.send(request_head("POST", "/", "Content-Length: 6\r\n") + "abc");
  ASSERT_EQ(client.receive_head().status, 200);
  client.stream().shutdown_write();

  EXPECT_TRUE(told.wait());
  EXPECT_THROW(client.stream().read_all(), StreamError) << "the answer is not whole";
  EXPECT_EQ(ringmaster.rejected("client_gone"), 1);
  EXPECT_EQ(ringmaster.rejected("response_cut"), 0);
}

TEST_F(ClientGone, WithMoreRequestsThanThereIsRoomFor) {
  client_.send(request_head("GET", "/"));
  ASSERT_TRUE(is_asked());
  client_.stream().send_until_stalled(std::string(8 << 20, 'x'), milliseconds(200));
  client_.stream().reset();
  expect_noticed("client_gone");
}

TEST_F(ClientGone, InABodyThatTheBackendDoesNotTake) {
  client_.send(request_head("POST", "/", "Content-Length: 100000000\r\n"));
  client_.stream().send_until_stalled(std::string(64 << 20, 'x'), milliseconds(200));
  ASSERT_TRUE(is_asked());
  client_.stream().reset();
  expect_noticed("client_gone");
}

}  // namespace
}  // namespace ringmaster::test
