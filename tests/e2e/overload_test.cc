// A backend never has more in flight than its max_connections, whichever workers they come from;
// where all are full, clients are told to come back, and a place that frees up is used again.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <nlohmann/json.hpp>

#include "tests/support/backend.h"
#include "tests/support/behaviour.h"
#include "tests/support/ringmaster.h"

namespace ringmaster::test {
namespace {

const std::string kOneAtATime = "max_connections = 1\n";
const std::string kTwoAtATime = "max_connections = 2\n";

bool comes_to_have_in_flight(const Ringmaster& ringmaster, double count) {
  return wait_until([&] { return ringmaster.metrics().sum("active_connections") == count; });
}

TEST(Overload, WithEveryBackendFullClientsAreToldToComeBack) {
  Event go_on;
  Backend a("a", answers_after(go_on, "late")), b("b", answers_after(go_on, "late"));
  Ringmaster ringmaster("[server]\nworkers = 2\n" + a.toml(kOneAtATime) + b.toml(kOneAtATime));
  std::vector<Client> holders;
  for (int i = 0; i < 2; ++i) {
    holders.emplace_back(ringmaster.endpoint());
    holders.back().send(request_head("GET", "/held"));
  }
  ASSERT_TRUE(wait_until([&] { return a.in_flight() == 1 && b.in_flight() == 1; }));

  Client client(ringmaster.endpoint());
  const Response refusal = client.get("/quick");

  EXPECT_EQ(refusal.status, 503);
  EXPECT_EQ(refusal.field("Retry-After"), "1");
  EXPECT_FALSE(refusal.body.empty());
  EXPECT_FALSE(refusal.says_close());
  EXPECT_TRUE(wait_until([&] { return ringmaster.rejected("overloaded") == 1; }));
  EXPECT_EQ(ringmaster.rejected("no_backend"), 0) << "they are up";
  EXPECT_EQ(ringmaster.ready_status(), 200);
  EXPECT_EQ(a.request_count() + b.request_count(), 2u);

  go_on.set();
  for (Client& holder : holders) EXPECT_EQ(holder.receive().body, "late");
  EXPECT_EQ(client.get("/quick").status, 200);
}

// Busy is not down.
TEST(Overload, ABackupDoesNotHelpOutWhereTheOthersAreOnlyFull) {
  Event go_on;
  Backend a("a", answers_after(go_on, "late"));
  Backend spare("spare");
  Ringmaster ringmaster(a.toml(kOneAtATime) + spare.toml("backup = true\n"));
  Client holder(ringmaster.endpoint());
  holder.send(request_head("GET", "/held"));
  ASSERT_TRUE(wait_until([&] { return a.in_flight() == 1; }));

  EXPECT_EQ(get(ringmaster.endpoint(), "/quick").status, 503);
  EXPECT_EQ(spare.request_count(), 0u);
  EXPECT_TRUE(wait_until([&] { return ringmaster.rejected("overloaded") == 1; }));
  go_on.set();
  EXPECT_EQ(holder.receive().body, "late");
}

TEST(Overload, AllWorkersTogetherKeepToTheLimit) {
  Event go_on;
  Backend a("a", answers_after(go_on, "late"));
  Ringmaster ringmaster("[server]\nworkers = 4\n" + a.toml(kTwoAtATime));
  std::vector<Client> clients;
  for (int i = 0; i < 24; ++i) clients.emplace_back(ringmaster.endpoint());
  ASSERT_TRUE(wait_until([&] {
    const nlohmann::json status = ringmaster.status();
    const nlohmann::json& workers = status.at("workers");
    return std::count_if(workers.begin(), workers.end(),
                         [](const auto& worker) { return worker.at("connections") > 0; }) > 1;
  })) << "one worker's limit would prove nothing";

  for (std::size_t i = 0; i < 2; ++i) {
    clients[i].send(request_head("GET", "/held"));
    ASSERT_TRUE(wait_until([&] { return a.request_count() == i + 1; }));
  }
  for (std::size_t i = 2; i < clients.size(); ++i) EXPECT_EQ(clients[i].get("/held").status, 503);

  EXPECT_EQ(a.request_count(), 2u);
  go_on.set();
  for (std::size_t i = 0; i < 2; ++i) EXPECT_EQ(clients[i].receive().body, "late");
}

class FreedPlace : public ::testing::TestWithParam<bool> {};
INSTANTIATE_TEST_SUITE_P(When, FreedPlace, ::testing::Bool(), [](const auto& row) {
  return row.param ? "ItsClientLeaves" : "ItIsAnswered";
});

// As often as one likes: a place that was lost, or given back twice, would show.
TEST_P(FreedPlace, IsUsedAgainAndOnlyOnce) {
  const bool leaves = GetParam();
  std::atomic<int> may_answer = 0;
  std::atomic<int> answered = 0;  // one is held at a time
  Backend a("a", Backend::Script([&](Conversation& conversation) {
              do {
                conversation.read_body();
                if (conversation.request().target == "/held") {
                  EXPECT_TRUE(wait_until([&] {
                    return may_answer > answered || conversation.stream().is_readable();
                  }));
                  answered = may_answer.load();
                }
                conversation.reply({.body = "late"});
              } while (conversation.next());
            }));
  Ringmaster ringmaster("[server]\nworkers = 2\n" + a.toml(kOneAtATime));
  Client other(ringmaster.endpoint());

  for (int round = 0; round < 5; ++round) {
    Client holder(ringmaster.endpoint());
    holder.send(request_head("GET", "/held"));
    ASSERT_TRUE(comes_to_have_in_flight(ringmaster, 1));
    EXPECT_EQ(other.get("/quick").status, 503);
    if (leaves) {
      holder.stream().reset();
    } else {
      ++may_answer;
      EXPECT_EQ(holder.receive().body, "late");
    }
    ASSERT_TRUE(comes_to_have_in_flight(ringmaster, 0));
    EXPECT_EQ(other.get("/quick").status, 200);
  }
  EXPECT_TRUE(wait_until([&] { return ringmaster.rejected("overloaded") == 5; }));
}

}  // namespace
}  // namespace ringmaster::test
