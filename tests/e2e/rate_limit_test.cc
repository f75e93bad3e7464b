// A limit is a limit: burst + rate × time a client, to one request, over all workers together.
#include <gtest/gtest.h>

#include <map>

#include "tests/support/backend.h"
#include "tests/support/ringmaster.h"

namespace ringmaster::test {
namespace {

// Asks `times` times, in turn over connections that reach every worker; counts the answers by
// status.
std::map<int, int> hammer(const Ringmaster& ringmaster, const std::string& from_ip, int times) {
  std::vector<Client> clients;
  for (int i = 0; i < 12; ++i) clients.emplace_back(ringmaster.endpoint(), from_ip);
  std::map<int, int> statuses;
  for (int i = 0; i < times; ++i) {
    const std::string path = "/" + std::to_string(i);
    ++statuses[clients[static_cast<std::size_t>(i) % clients.size()].get(path).status];
  }
  return statuses;
}

TEST(RateLimit, AdmitsTheBurstAndTheRateAcrossWorkersAndNothingMore) {
  Backend backend("s1");
  Ringmaster ringmaster(
      "[server]\nworkers = 4\n[rate_limit]\nrequests_per_second = 5\nburst = 40\n" +
      backend.toml());

  const Stopwatch watch;
  std::map<int, int> statuses = hammer(ringmaster, "127.0.0.2", 200);
  const double seconds_taken = static_cast<double>(watch.elapsed().count()) / 1000;

  EXPECT_EQ(statuses[200] + statuses[429], 200);
  EXPECT_GE(statuses[200], 40);
  EXPECT_LE(statuses[200], 40 + 5 * seconds_taken + 1);
  EXPECT_EQ(backend.request_count(), static_cast<std::size_t>(statuses[200]));
}

TEST(RateLimit, CountsExactlyWhatItDrops) {
  Backend backend("s1");
  Ringmaster ringmaster(
      "[server]\nworkers = 2\n[rate_limit]\nrequests_per_second = 1\nburst = 10\n" +
      backend.toml());

  std::map<int, int> statuses = hammer(ringmaster, "127.0.0.2", 50);

  EXPECT_TRUE(wait_until([&] {
    return ringmaster.metrics().get("requests_dropped_total") == statuses[429] &&
           ringmaster.metrics().sum("requests_total") == statuses[200];
  })) << ringmaster.metrics().text();
}

TEST(RateLimit, SaysWhenToComeBackAndKeepsItsWord) {
  Backend backend("s1");
  Ringmaster ringmaster("[rate_limit]\nrequests_per_second = 1\nburst = 2\n" + backend.toml());
  Client client(ringmaster.endpoint());

  Response response = client.get("/");
  for (int i = 0; i < 10 && response.status == 200; ++i) response = client.get("/");

  ASSERT_EQ(response.status, 429);
  EXPECT_EQ(response.field("Retry-After"), "1");
  EXPECT_FALSE(response.body.empty());
  // Being refused costs nothing, so asking on and on is answered after one second at the latest.
  EXPECT_TRUE(wait_until([&] { return client.get("/").status == 200; }, seconds(1) + noise()));
}

TEST(RateLimit, EachClientHasItsOwnLimit) {
  Backend backend("s1");
  Ringmaster ringmaster("[rate_limit]\nrequests_per_second = 1\nburst = 5\n" + backend.toml());

  EXPECT_GT(hammer(ringmaster, "127.0.0.2", 30)[429], 0);
  EXPECT_EQ(hammer(ringmaster, "127.0.0.3", 5)[200], 5);
}

TEST(RateLimit, AClientCannotForgeItsAddress) {
  Backend backend("s1");
  Ringmaster ringmaster("[rate_limit]\nrequests_per_second = 1\nburst = 5\n" + backend.toml());
  Client client(ringmaster.endpoint());

  int refused = 0;
  for (int i = 0; i < 30; ++i) {
    const std::string claim = "X-Forwarded-For: 203.0.113." + std::to_string(i) + "\r\n";
    refused += client.get("/", claim).status == 429 ? 1 : 0;
  }
  EXPECT_GT(refused, 0);
}

TEST(RateLimit, BehindATrustedProxyTheClientIsTheOneItNames) {
  Backend backend("s1");
  Ringmaster ringmaster(
      "[server]\ntrusted_proxies = [\"127.0.0.0/8\"]\n"
      "[rate_limit]\nrequests_per_second = 1\nburst = 5\n" +
      backend.toml());
  Client client(ringmaster.endpoint());

  for (int i = 0; i < 30; ++i) {
    const std::string claim = "X-Forwarded-For: 203.0.113." + std::to_string(i) + "\r\n";
    EXPECT_EQ(client.get("/", claim).status, 200);
  }
}

// RFC 9110 section 5.6.1.2: empty members of a list count for nothing.
TEST(RateLimit, ATrustedProxyMayAddPortsAndCommas) {
  Backend backend("s1");
  Ringmaster ringmaster(
      "[server]\ntrusted_proxies = [\"127.0.0.0/8\"]\n"
      "[rate_limit]\nrequests_per_second = 1\nburst = 5\n" +
      backend.toml());
  Client client(ringmaster.endpoint());
  for (int i = 0; i < 20; ++i) {
    const std::string n = std::to_string(i);
    for (const std::string& name : {"203.0.113." + n + ":4711", "[2001:db8:0:" + n + "::1]:4711",
                                    "198.51.100." + n + ", ", "192.0.2." + n + ", ,127.0.0.1"}) {
      EXPECT_EQ(client.get("/", "X-Forwarded-For: " + name + "\r\n").status, 200) << name;
    }
  }
  int refused = 0;
  for (int port = 1; port <= 20; ++port) {  // one and the same
    const std::string name = "203.0.113.99:" + std::to_string(port);
    refused += client.get("/", "X-Forwarded-For: " + name + "\r\n").status == 429 ? 1 : 0;
  }
  EXPECT_GT(refused, 0);
}

TEST(RateLimit, ExemptClientsAreNeverRefused) {
  Backend backend("s1");
  Ringmaster ringmaster(
      "[rate_limit]\nrequests_per_second = 1\nburst = 1\nexempt = [\"127.0.0.64/26\"]\n" +
      backend.toml());

  EXPECT_EQ(hammer(ringmaster, "127.0.0.65", 50)[200], 50);
  EXPECT_GT(hammer(ringmaster, "127.0.0.2", 20)[429], 0);
}

const std::string kBehindAProxy = "[server]\ntrusted_proxies = [\"127.0.0.0/8\"]\n";

// Asks once for each of these clients, as a trusted proxy names them.
std::map<int, int> ask_for(Client& proxy, const std::vector<std::string>& clients) {
  std::map<int, int> statuses;
  for (const std::string& ip : clients) {
    ++statuses[proxy.get("/", "X-Forwarded-For: " + ip + "\r\n").status];
  }
  return statuses;
}

// Addresses that differ in two digits between these.
std::vector<std::string> addresses(const std::string& before, const std::string& after) {
  std::vector<std::string> all;
  for (int i = 10; i < 50; ++i) all.push_back(before + std::to_string(i) + after);
  return all;
}

// At most a burst of 5, and 1 a second since.
void expect_one_limit_for(const std::vector<std::string>& clients, Client& proxy) {
  const Stopwatch watch;
  std::map<int, int> statuses = ask_for(proxy, clients);
  const double seconds_taken = static_cast<double>(watch.elapsed().count()) / 1000;
  EXPECT_EQ(statuses[200] + statuses[429], static_cast<int>(clients.size()));
  EXPECT_GE(statuses[200], 5);
  EXPECT_LE(statuses[200], 5 + seconds_taken + 1) << clients.front();
}

void expect_no_limit_for(const std::vector<std::string>& clients, Client& proxy) {
  EXPECT_EQ(ask_for(proxy, clients)[200], static_cast<int>(clients.size())) << clients.front();
}

TEST(RateLimit, AddressesOfOneIpv6PrefixAreOneClientAndOthersAreNot) {
  const std::string limit = "[rate_limit]\nrequests_per_second = 1\nburst = 5\n";
  Backend backend("s1");
  {
    Ringmaster ringmaster(kBehindAProxy + limit + backend.toml());
    Client proxy(ringmaster.endpoint());
    expect_one_limit_for(addresses("2001:db8:0:1::", ":7"), proxy);
    expect_no_limit_for(addresses("2001:db8:0:", "::7"), proxy);
  }
  {
    Ringmaster ringmaster(kBehindAProxy + limit + "ipv6_prefix = 56\n" + backend.toml());
    Client proxy(ringmaster.endpoint());
    expect_one_limit_for(addresses("2001:db8:0:1", "::7"), proxy);  // two digits of four
    expect_no_limit_for(addresses("2001:db8:0:", "00::7"), proxy);
  }
  {
    Ringmaster ringmaster(kBehindAProxy + limit + "ipv6_prefix = 128\n" + backend.toml());
    Client proxy(ringmaster.endpoint());
    expect_no_limit_for(addresses("2001:db8::", ""), proxy);
    expect_one_limit_for(std::vector<std::string>(40, "2001:db8:1::7"), proxy);
  }
}

// IPv4 addresses lie within one /64 of the IPv6 addresses that they are kept as.
TEST(RateLimit, AnIpv4AddressIsAClientOfItsOwnHoweverItIsWritten) {
  Backend backend("s1");
  Ringmaster ringmaster(kBehindAProxy + "[rate_limit]\nrequests_per_second = 1\nburst = 5\n" +
                        backend.toml());
  Client proxy(ringmaster.endpoint());
  expect_no_limit_for(addresses("192.0.2.", ""), proxy);
  std::vector<std::string> one(20, "203.0.113.7");
  one.resize(40, "::ffff:203.0.113.7");
  expect_one_limit_for(one, proxy);
}

TEST(RateLimit, WhoIsExemptIsTheClientAndNotTheProxyThatNamesIt) {
  Backend backend("s1");
  Ringmaster ringmaster(kBehindAProxy +
                        "[rate_limit]\nrequests_per_second = 1\nburst = 5\n"
                        "exempt = [\"127.0.0.0/8\", \"2001:db8:e::/48\"]\n" +
                        backend.toml());
  Client proxy(ringmaster.endpoint());
  expect_no_limit_for(std::vector<std::string>(40, "2001:db8:e:1::7"), proxy);
  expect_one_limit_for(std::vector<std::string>(40, "2001:db8:f:1::7"), proxy);
  expect_one_limit_for(std::vector<std::string>(40, "203.0.113.7"), proxy);
  expect_no_limit_for(std::vector<std::string>(40, "127.0.0.7"), proxy);
}

TEST(RateLimit, ARefusalLeavesTheConnectionUsable) {
  Backend backend("s1");
  Ringmaster ringmaster("[rate_limit]\nrequests_per_second = 1\nburst = 1\n" + backend.toml());
  Client client(ringmaster.endpoint());

  std::map<int, int> statuses;
  for (int i = 0; i < 10; ++i) {
    const Response response = client.get("/");
    EXPECT_FALSE(response.says_close());
    ++statuses[response.status];
  }

  EXPECT_EQ(statuses[200] + statuses[429], 10);
  EXPECT_GT(statuses[429], 0);
}

// Refused is refused: that the client then leaves is no news.
TEST(RateLimit, ARefusedPostCountsOnceThoughItsClientLeaves) {
  Backend backend("s1", Backend::Script([](Conversation& conversation) {
                    conversation.stream().send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n");
                    conversation.read_body();
                    conversation.stream().send("ok");
                  }));
  Ringmaster ringmaster(
      "[server]\nworkers = 1\n[rate_limit]\nrequests_per_second = 1\nburst = 1\n" + backend.toml());
  const std::string begin = "the rest is not sent where this is refused";
  // The second is, unless it comes a second after the first; what is let in is sent to its end.
  const auto is_let_in = [&] {
    Client client(ringmaster.endpoint());
    client.send(request_head("POST", "/", "Content-Length: 1000\r\n") + begin);
    Response response = client.receive_head();
    const bool let_in = response.status == 200;
    EXPECT_TRUE(let_in || response.status == 429) << response.status;
    if (let_in) client.send(std::string(1000 - begin.size(), 'x'));
    client.receive_body(response, [](std::string_view) {});
    if (!let_in) client.stream().reset();
    return let_in;
  };
  EXPECT_TRUE(is_let_in());
  ASSERT_TRUE(wait_until([&] { return !is_let_in(); }));
  EXPECT_TRUE(wait_until([&] {
    return ringmaster.metrics().get("ringmaster_client_connections{state=\"active\"}") == 0;
  }));
  EXPECT_EQ(ringmaster.metrics().get("requests_dropped_total"), 1);
  EXPECT_EQ(ringmaster.metrics().sum("ringmaster_rejected_total"), 0)
      << ringmaster.metrics().text();
}

TEST(RateLimit, ARefusedPostGetsItsAnswerThoughItsBodyIsNotWanted) {
  Backend backend("s1");
  Ringmaster ringmaster("[rate_limit]\nrequests_per_second = 1\nburst = 1\n" + backend.toml());
  get(ringmaster.endpoint(), "/");

  std::map<int, int> statuses;
  const std::string body = pattern(100'000);
  for (int i = 0; i < 10; ++i) ++statuses[Client(ringmaster.endpoint()).post("/", body).status];

  EXPECT_EQ(statuses[200] + statuses[429], 10);
  EXPECT_GT(statuses[429], 0);
}

}  // namespace
}  // namespace ringmaster::test
