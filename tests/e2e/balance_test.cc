// Workers share the connections fairly: none has clearly more than its part.
#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "tests/support/backend.h"
#include "tests/support/ringmaster.h"

namespace ringmaster::test {
namespace {

constexpr int kConnections = 1000;
constexpr int kWorkers = 4;

std::vector<int> connections_of_workers(const Ringmaster& ringmaster) {
  std::vector<int> counts;
  const nlohmann::json status = ringmaster.status();
  for (const auto& worker : status.at("workers")) counts.push_back(worker.at("connections"));
  return counts;
}

void expect_balanced(const Ringmaster& ringmaster) {
  std::vector<int> counts;
  ASSERT_TRUE(wait_until([&] {
    counts = connections_of_workers(ringmaster);
    int total = 0;
    for (const int count : counts) total += count;
    return total == kConnections;
  })) << ::testing::PrintToString(counts);
  ASSERT_EQ(counts.size(), static_cast<std::size_t>(kWorkers));
  EXPECT_LE(*std::max_element(counts.begin(), counts.end()), 1.25 * kConnections / kWorkers)
      << ::testing::PrintToString(counts);
}

TEST(Balance, AThousandIdleConnectionsSpreadOverTheWorkers) {
  Backend backend("s1");
  Ringmaster ringmaster("[server]\nworkers = 4\n" + backend.toml());
  std::vector<Client> clients;

  for (int i = 0; i < kConnections; ++i) clients.emplace_back(ringmaster.endpoint());

  expect_balanced(ringmaster);
}

TEST(Balance, AThousandConnectionsUsedOneByOneSpreadToo) {
  Backend backend("s1");
  Ringmaster ringmaster("[server]\nworkers = 4\n" + backend.toml());
  std::vector<Client> clients;

  for (int i = 0; i < kConnections; ++i) {
    clients.emplace_back(ringmaster.endpoint());
    ASSERT_EQ(clients.back().get("/").status, 200);
  }

  expect_balanced(ringmaster);
}

}  // namespace
}  // namespace ringmaster::test
