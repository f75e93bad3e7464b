// One hot key does not drown the backend that owns it: with a balance factor, what is more than its
// share of the load walks on, whichever worker it came to.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <list>
#include <map>

#include "tests/support/backend.h"
#include "tests/support/ringmaster.h"

namespace ringmaster::test {
namespace {

constexpr std::size_t kBackends = 10;

// Backends that keep every request until the test lets go.
class BoundedLoad : public ::testing::Test {
 protected:
  BoundedLoad() {
    for (std::size_t i = 0; i < kBackends; ++i) {
      backends_.emplace_back("s" + std::to_string(i), Backend::Script([this](Conversation& it) {
                               it.read_body();
                               release_.wait();
                               it.reply({});
                             }));
    }
  }
  ~BoundedLoad() override { release_.set(); }

  std::string config(const std::string& factor) const {
    std::string text = "[server]\nworkers = 2\n[hash]\nbalance_factor = " + factor + "\n";
    for (const Backend& backend : backends_) text += backend.toml();
    return text;
  }
  std::size_t in_flight() const {
    std::int64_t sum = 0;
    for (const Backend& backend : backends_) sum += backend.in_flight();
    return static_cast<std::size_t>(sum);
  }
  std::size_t busiest() const {
    std::int64_t most = 0;
    for (const Backend& backend : backends_) most = std::max(most, backend.in_flight());
    return static_cast<std::size_t>(most);
  }
  // One after the other, so that each finds the ones before it counted.
  void ask(const Ringmaster& ringmaster, std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) {
      const std::size_t wanted = in_flight() + 1;
      clients_.emplace_back(ringmaster.endpoint());
      clients_.back().send(request_head("GET", "/hot"));
      ASSERT_TRUE(wait_until([&] { return in_flight() == wanted; }));
    }
  }

  Event release_;
  std::list<Backend> backends_;
  std::list<Client> clients_;
};

TEST_F(BoundedLoad, AHotKeySpreadsOverAsManyBackendsAsItNeeds) {
  Ringmaster ringmaster(config("1.25"));
  for (const std::size_t count : {1u, 7u, 24u, 68u}) {
    ask(ringmaster, count);
    const double bound = std::ceil(1.25 * static_cast<double>(in_flight()) / kBackends);
    EXPECT_LE(busiest(), static_cast<std::size_t>(bound)) << "of " << in_flight();
  }
  const Metrics metrics = ringmaster.metrics();
  EXPECT_EQ(metrics.sum("active_connections"), 100);
  EXPECT_GE(metrics.sum("ringmaster_hash_spills_total"), 100 - 13);
}

TEST_F(BoundedLoad, EvenWhenAllCameAtOnce) {
  Ringmaster ringmaster(config("1.25"));
  for (int i = 0; i < 100; ++i) clients_.emplace_back(ringmaster.endpoint());
  for (Client& client : clients_) client.send(request_head("GET", "/hot"));
  ASSERT_TRUE(wait_until([&] { return in_flight() == 100; }));
  EXPECT_LE(busiest(), 13u + 1u) << "the two workers may fill a last place together";
}

TEST_F(BoundedLoad, WithoutAFactorItIsAllTheOwners) {
  Ringmaster ringmaster(config("0.0"));
  ask(ringmaster, 30);
  EXPECT_EQ(busiest(), 30u);
  EXPECT_EQ(ringmaster.metrics().sum("ringmaster_hash_spills_total"), 0);
}

TEST_F(BoundedLoad, ANeverSoSmallBoundRefusesNobody) {
  Ringmaster ringmaster(config("1.0"));
  ask(ringmaster, 40);
  EXPECT_LE(busiest(), 4u);
  release_.set();
  for (Client& client : clients_) EXPECT_EQ(client.receive().status, 200);
}

TEST_F(BoundedLoad, WhoIsOutOfUseCountsForNothing) {
  Ringmaster ringmaster(config("1.25"));
  ask(ringmaster, 30);
  for (const char* name : {"s0", "s1", "s2", "s3", "s4"}) {
    ASSERT_EQ(ringmaster.ctl({"drain", name}).exit.code, 0);
  }
  std::map<std::string, std::int64_t> before;
  std::size_t left = 0;
  for (const Backend& backend : backends_) {
    before[backend.name()] = backend.in_flight();
    if (backend.name() >= "s5") left += static_cast<std::size_t>(backend.in_flight());
  }

  ask(ringmaster, 20);

  const double bound = std::ceil(1.25 * static_cast<double>(left + 20) / 5);
  for (const Backend& backend : backends_) {
    if (backend.name() < "s5") {
      EXPECT_EQ(backend.in_flight(), before[backend.name()]) << backend.name();
    } else {
      const auto most =
          std::max<std::int64_t>(static_cast<std::int64_t>(bound), before[backend.name()]);
      EXPECT_LE(backend.in_flight(), most) << backend.name();
    }
  }
}

}  // namespace
}  // namespace ringmaster::test
