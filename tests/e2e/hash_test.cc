// The same key reaches the same backend, whichever worker and before and after a restart; when a
// backend dies only its own keys move, and they come back.
#include <gtest/gtest.h>

#include <map>
#include <nlohmann/json.hpp>

#include "tests/support/backend.h"
#include "tests/support/ringmaster.h"

namespace ringmaster::test {
namespace {

using Mapping = std::map<std::string, std::string>;  // path to the backend that answered

constexpr int kKeys = 200;

Mapping ask_all(Client& client) {
  Mapping mapping;
  for (int i = 0; i < kKeys; ++i) {
    const std::string path = "/item/" + std::to_string(i);
    const Response response = client.get(path);
    mapping[path] = response.status == 200 ? response.backend() : std::to_string(response.status);
  }
  return mapping;
}

Mapping ask_all(const Ringmaster& ringmaster) {
  Client client(ringmaster.endpoint());
  return ask_all(client);
}

std::map<std::string, int> shares(const Mapping& mapping) {
  std::map<std::string, int> counts;
  for (const auto& [path, backend] : mapping) ++counts[backend];
  return counts;
}

std::size_t workers_with_connections(const Ringmaster& ringmaster) {
  std::size_t count = 0;
  const nlohmann::json status = ringmaster.status();
  for (const auto& worker : status.at("workers")) count += worker.at("connections") > 0 ? 1 : 0;
  return count;
}

TEST(Hash, EveryWorkerSendsAKeyToTheSameBackend) {
  Backend a("a"), b("b"), c("c");
  Ringmaster ringmaster("[server]\nworkers = 3\n" + toml_of(a, b, c));
  std::vector<Client> clients;
  ASSERT_TRUE(wait_until([&] {  // the connections stay open, so they reach every worker in the end
    clients.emplace_back(ringmaster.endpoint());
    return workers_with_connections(ringmaster) == 3;
  }));

  const Mapping mapping = ask_all(clients.front());

  EXPECT_EQ(shares(mapping).size(), 3u);
  for (Client& client : clients) ASSERT_EQ(ask_all(client), mapping);
}

TEST(Hash, TheMappingOutlivesARestartAndAReorderedConfig) {
  Backend a("a"), b("b"), c("c"), d("d");
  Mapping before;
  {
    Ringmaster ringmaster("[server]\nworkers = 1\n" + toml_of(a, b, c, d));
    before = ask_all(ringmaster);
  }
  Ringmaster ringmaster("[server]\nworkers = 2\n" + toml_of(d, b, a, c));

  EXPECT_EQ(ask_all(ringmaster), before);
}

TEST(Hash, OnlyTheKeysOfADeadBackendMoveAndTheyComeBack) {
  Backend a("a"), b("b"), c("c"), d("d");
  Ringmaster ringmaster("[health]\ninterval = \"200ms\"\ntimeout = \"200ms\"\n" +
                        toml_of(a, b, c, d));
  const Mapping before = ask_all(ringmaster);

  b.stop();
  ASSERT_TRUE(ringmaster.wait_for_state("b", "down"));
  const Mapping without = ask_all(ringmaster);
  std::map<std::string, int> heirs;
  for (const auto& [path, backend] : before) {
    if (backend == "b") {
      ++heirs[without.at(path)];
    } else {
      EXPECT_EQ(without.at(path), backend) << path;
    }
  }
  EXPECT_EQ(heirs.count("b"), 0u);
  EXPECT_EQ(heirs.size(), 3u) << "its keys spread over all that are left";

  b.start();
  ASSERT_TRUE(ringmaster.wait_for_state("b", "up"));
  EXPECT_EQ(ask_all(ringmaster), before);
}

TEST(Hash, ARemovedBackendTakesOnlyItsKeysWithIt) {
  Backend a("a"), b("b"), c("c");
  const Mapping before = ask_all(Ringmaster(toml_of(a, b, c)));
  const Mapping after = ask_all(Ringmaster(toml_of(a, c)));

  for (const auto& [path, backend] : before) {
    EXPECT_TRUE(backend == "b" || after.at(path) == backend) << path;
  }
}

TEST(Hash, WeightsAreRespected) {
  Backend a("a"), b("b");
  Ringmaster ringmaster(a.toml("weight = 3") + b.toml());

  const nlohmann::json status = ringmaster.status();
  double share = 0;
  for (const auto& backend : status.at("backends")) {
    if (backend.at("name") == "a") share = backend.at("ring_share");
  }
  EXPECT_NEAR(share, 0.75, 0.05);
}

TEST(Hash, TheQueryIsPartOfTheKeyUnlessItIsThePathAlone) {
  Backend a("a"), b("b"), c("c");
  const auto backends_of_queries = [&](const std::string& key) {
    Ringmaster ringmaster("[hash]\nkey = \"" + key + "\"\n" + toml_of(a, b, c));
    Client client(ringmaster.endpoint());
    std::map<std::string, int> counts;
    for (int i = 0; i < 50; ++i) ++counts[client.get("/same?q=" + std::to_string(i)).backend()];
    return counts.size();
  };

  EXPECT_EQ(backends_of_queries("uri"), 3u);
  EXPECT_EQ(backends_of_queries("path"), 1u);
}

TEST(Hash, ClientAddressesHeadersAndCookiesCanBeTheKey) {
  Backend a("a"), b("b"), c("c");
  const auto backends_of = [&](const std::string& key, const std::string& field, int different) {
    Ringmaster ringmaster("[hash]\nkey = \"" + key + "\"\n" + toml_of(a, b, c));
    Client client(ringmaster.endpoint());
    std::map<std::string, int> counts;
    for (int i = 0; i < 50; ++i) {
      const std::string value = std::to_string(different != 0 ? i : 7);
      const std::string path = "/" + std::to_string(i);
      ++counts[client.get(path, field + value + "\r\n").backend()];
    }
    return counts.size();
  };

  EXPECT_EQ(backends_of("header:X-User", "x-user: ", 0), 1u);
  EXPECT_EQ(backends_of("header:X-User", "x-user: ", 1), 3u);
  EXPECT_EQ(backends_of("cookie:sid", "Cookie: a=b; sid=", 0), 1u);
  EXPECT_EQ(backends_of("cookie:sid", "Cookie: a=b; sid=", 1), 3u);
  EXPECT_EQ(backends_of("client_ip", "X-Any: ", 1), 1u);
}

}  // namespace
}  // namespace ringmaster::test
