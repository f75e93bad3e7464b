// Retries stay a small part of the load: backends in trouble are not asked for ever more. What
// cannot load a live backend twice is asked again all the same.
#include <gtest/gtest.h>

#include <mutex>
#include <set>

#include "tests/support/backend.h"
#include "tests/support/ringmaster.h"

namespace ringmaster::test {
namespace {

// Probes never interfere.
const std::string kSeldomProbed = "[health]\ninterval = \"60s\"\n";

std::vector<Client> ask(const Ringmaster& ringmaster, std::size_t count, const std::string& path) {
  std::vector<Client> clients;
  for (std::size_t i = 0; i < count; ++i) {
    clients.emplace_back(ringmaster.endpoint());
    clients.back().send(request_head("GET", path));
  }
  return clients;
}

// All requests are taken in, then all of them lost at once, then the retries likewise.
TEST(RetryBudget, BoundsAStormOfRetries) {
  constexpr std::size_t kRequests = 60;
  std::atomic<std::size_t> received = 0;
  Event lose_first, lose_rest;
  const Backend::Script hang_up = [&](Conversation& conversation) {
    conversation.read_body();
    (++received <= kRequests ? lose_first : lose_rest).wait();
  };
  Backend a("a", hang_up), b("b", hang_up), c("c", hang_up);
  Ringmaster ringmaster("[server]\nworkers = 2\n[upstream]\nretries = 2\n" + kSeldomProbed +
                        toml_of(a, b, c));
  std::vector<Client> clients = ask(ringmaster, kRequests, "/");
  ASSERT_TRUE(wait_until([&] { return received == kRequests; }));

  lose_first.set();
  ASSERT_TRUE(wait_until([&] {
    const double refused = ringmaster.metrics().get("ringmaster_retries_refused_total");
    return static_cast<double>(received) + refused == 2 * kRequests;
  })) << received;
  const std::size_t retried = received - kRequests;
  EXPECT_GE(retried, 3u);
  EXPECT_LE(retried, kRequests / 5);

  lose_rest.set();
  for (Client& client : clients) EXPECT_EQ(client.receive().status, 502);
  EXPECT_LE(received, kRequests + 2 * retried) << "who is retried already needs no further budget";
}

// Whoever is answered needs no budget any more, however long the answer is.
TEST(RetryBudget, IsGivenBackWhenTheAnswerBegins) {
  constexpr std::size_t kStreams = 8;
  std::mutex mutex;
  std::set<std::string> asked_before;
  Event end;
  const Backend::Script script = [&](Conversation& conversation) {
    conversation.read_body();
    {
      const std::lock_guard lock(mutex);
      if (asked_before.insert(conversation.request().target).second) return;  // hangs up
    }
    conversation.stream().send("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n");
    end.wait();
    conversation.stream().send("end");
  };
  Backend a("a", script), b("b", script);
  Ringmaster ringmaster("[upstream]\nretry_budget = 0.0\n" + kSeldomProbed + toml_of(a, b));
  std::vector<Client> clients;
  for (std::size_t i = 0; i < kStreams; ++i) {
    clients.emplace_back(ringmaster.endpoint());
    clients.back().send(request_head("GET", "/" + std::to_string(i)));
    EXPECT_EQ(clients.back().receive_head().status, 200);
  }
  EXPECT_EQ(ringmaster.metrics().get("ringmaster_retries_refused_total"), 0);
  end.set();
  for (Client& client : clients) EXPECT_EQ(client.stream().read_exactly(3), "end");
}

// One backend holds far more requests than the budget would let through, and dies.
TEST(RetryBudget, IsNotSpentOnABackendThatDied) {
  constexpr std::size_t kRequests = 30;
  std::atomic<std::size_t> waiting = 0;
  std::atomic<bool> all_are_in = false;
  const Backend::Script script = [&](Conversation& conversation) {
    do {
      conversation.read_body();
      const bool must_wait = conversation.request().target == "/key?wait" && !all_are_in;
      must_wait ? void(++waiting) : conversation.reply({});
    } while (conversation.next());
  };
  Backend a("a", script), b("b", script);
  Ringmaster ringmaster("[server]\nworkers = 2\n[hash]\nkey = \"path\"\n" + kSeldomProbed +
                        toml_of(a, b));
  Backend& owner = get(ringmaster.endpoint(), "/key").backend() == "a" ? a : b;
  std::vector<Client> clients = ask(ringmaster, kRequests, "/key?wait");
  ASSERT_TRUE(wait_until([&] { return waiting == kRequests; }));

  all_are_in = true;
  owner.stop();

  for (Client& client : clients) EXPECT_EQ(client.receive().status, 200);
  EXPECT_EQ(ringmaster.metrics().get("ringmaster_retries_refused_total"), 0);
}

// Nobody can be loaded twice by a connection that was never made.
TEST(RetryBudget, IsNotSpentOnRefusedConnections) {
  Backend a("a"), b("b");
  Ringmaster ringmaster("[upstream]\nretry_budget = 0.0\n" + kSeldomProbed + toml_of(a, b));
  a.stop();
  std::vector<Client> clients;
  for (int i = 0; i < 20; ++i) {
    clients.emplace_back(ringmaster.endpoint());
    clients.back().send(request_head("GET", "/" + std::to_string(i)));
  }
  for (Client& client : clients) EXPECT_EQ(client.receive().status, 200);
}

}  // namespace
}  // namespace ringmaster::test
