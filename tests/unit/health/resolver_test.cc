// The resolver with a look-up of our own making, and once with the real one.
#include "master/health/resolver.h"

#include <gtest/gtest.h>
#include <netdb.h>

#include <functional>
#include <string>
#include <vector>

#include "tests/unit/master/test_loop.h"

namespace ringmaster::test {
namespace {

SocketAddress at(const std::string& text) {
  return *SocketAddress::parse(text);
}

// Looks names up in a table, at the next turn of the loop. One a process, as the resolver takes a
// function.
struct FakeDns {
  std::vector<std::string> answer;  // addresses; empty: fails
  int error = UV_EAI_AGAIN;
  bool silent = false;  // no answer at all until it is told to
  int lookups = 0;
  std::vector<std::function<void()>> pending;

  static FakeDns& get() {
    static FakeDns dns;
    return dns;
  }
  static int lookup(uv_loop_t*, uv_getaddrinfo_t* request, uv_getaddrinfo_cb done, const char*,
                    const char*, const addrinfo*) {
    FakeDns& dns = get();
    ++dns.lookups;
    dns.pending.push_back([request, done] { get().reply(request, done); });
    return 0;
  }
  void deliver() {
    for (auto& reply : std::exchange(pending, {})) reply();
  }

 private:
  void reply(uv_getaddrinfo_t* request, uv_getaddrinfo_cb done) const {
    if (answer.empty()) return done(request, error, nullptr);
    addrinfo hints{};
    hints.ai_flags = AI_NUMERICHOST;
    hints.ai_socktype = SOCK_STREAM;
    addrinfo* first = nullptr;
    addrinfo** end = &first;
    for (const std::string& address : answer) {
      ASSERT_EQ(::getaddrinfo(address.c_str(), nullptr, &hints, end), 0);
      end = &(*end)->ai_next;
    }
    done(request, 0, first);
  }
};

class ResolverTest : public testing::Test, protected Resolver::Observer {
 protected:
  ResolverTest() {
    backend_.name = "s1";
    backend_.host = "backend.example";
    backend_.port = 80;
    dns_ = {};
  }
  void on_resolved(std::size_t id, const SocketAddress& address) override {
    EXPECT_EQ(id, 7u);
    resolved_.push_back(address.to_string());
  }
  void on_unresolved(std::size_t id, const std::string& why) override {
    EXPECT_EQ(id, 7u);
    unresolved_.push_back(why);
  }
  void start(const SocketAddress& current = {}, Resolver::Lookup lookup = FakeDns::lookup) {
    Resolver::Observer& observer = *this;
    resolver_ = std::make_unique<Resolver>(loop_.get(), observer, lookup, timing_);
    resolver_->add(7, backend_, current);
  }
  // Answers look-ups until there were `count` of them.
  bool answer_until(int count) {
    return loop_.run_until([&] {
      if (!dns_.silent) dns_.deliver();
      return dns_.lookups >= count && dns_.pending.empty();
    });
  }

  CapturedLog log_;
  TestLoop loop_;
  FakeDns& dns_ = FakeDns::get();
  Resolver::Timing timing_{Duration{5}, Duration{2}, Duration{3'600'000}};
  BackendConfig backend_;
  std::unique_ptr<Resolver> resolver_;
  std::vector<std::string> resolved_;
  std::vector<std::string> unresolved_;
};

TEST(Resolver, LiteralAddressesNeedNoLookup) {
  BackendConfig backend;
  backend.port = 80;
  backend.host = "192.0.2.1";
  EXPECT_EQ(literal_address(backend), at("192.0.2.1:80"));
  backend.host = "2001:db8::1";
  EXPECT_EQ(literal_address(backend), at("[2001:db8::1]:80"));
  backend.host = "localhost";
  EXPECT_EQ(literal_address(backend), std::nullopt);
}

TEST(Resolver, ChoosesTheCurrentAddressWhileItIsAmongThem) {
  const std::vector<SocketAddress> answer{at("10.0.0.1:80"), at("10.0.0.2:80")};
  EXPECT_EQ(choose_address(at("10.0.0.2:80"), answer), at("10.0.0.2:80"));
  EXPECT_EQ(choose_address(at("10.0.0.9:80"), answer), at("10.0.0.1:80"));
  EXPECT_EQ(choose_address(SocketAddress{}, answer), at("10.0.0.1:80"));
}

TEST_F(ResolverTest, TellsTheFirstAddressWithTheConfiguredPort) {
  dns_.answer = {"10.0.0.1", "10.0.0.2"};
  start();
  ASSERT_TRUE(answer_until(1));
  EXPECT_EQ(resolved_, std::vector<std::string>{"10.0.0.1:80"});
}

TEST_F(ResolverTest, RoundRobinAnswersDoNotMakeItWander) {
  dns_.answer = {"10.0.0.1", "10.0.0.2"};
  start();
  ASSERT_TRUE(answer_until(1));
  dns_.answer = {"10.0.0.2", "10.0.0.1"};
  ASSERT_TRUE(answer_until(4));
  EXPECT_EQ(resolved_.size(), 1u);
}

TEST_F(ResolverTest, FollowsANameThatMoves) {
  dns_.answer = {"10.0.0.1"};
  start();
  ASSERT_TRUE(answer_until(1));
  dns_.answer = {"10.0.0.3"};
  ASSERT_TRUE(answer_until(3));
  EXPECT_EQ(resolved_, (std::vector<std::string>{"10.0.0.1:80", "10.0.0.3:80"}));
}

TEST_F(ResolverTest, AFailureKeepsTheLastGoodAnswerAndIsLoggedOnce) {
  dns_.answer = {"10.0.0.1"};
  start();
  ASSERT_TRUE(answer_until(1));
  dns_.answer.clear();
  ASSERT_TRUE(answer_until(5));
  EXPECT_EQ(resolved_.size(), 1u);
  EXPECT_TRUE(unresolved_.empty());
  EXPECT_EQ(log_.count("warning s1: cannot resolve backend.example: temporary failure; keeping "
                       "10.0.0.1:80"),
            1)
      << log_.text();
  dns_.answer = {"10.0.0.1"};
  ASSERT_TRUE(answer_until(7));
  EXPECT_EQ(log_.count("info s1: backend.example resolves again"), 1) << log_.text();
}

TEST_F(ResolverTest, ANameNeverResolvedIsReportedAndTriedAgainSoon) {
  timing_.refresh = Duration{3'600'000};
  start();
  ASSERT_TRUE(answer_until(3));
  EXPECT_EQ(unresolved_.size(), 3u);
  EXPECT_EQ(unresolved_[0], "temporary failure");
  const std::string text = log_.text();
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 1) << text;
  dns_.answer = {"10.0.0.1"};
  ASSERT_TRUE(answer_until(4));
  EXPECT_EQ(resolved_.size(), 1u);
}

TEST_F(ResolverTest, SilenceIsReportedButWaitedThrough) {
  timing_.patience = Duration{20};
  dns_.silent = true;
  dns_.answer = {"10.0.0.1"};
  start();
  ASSERT_TRUE(loop_.run_until([this] { return !unresolved_.empty(); }));
  EXPECT_EQ(unresolved_, std::vector<std::string>{"no answer yet"});
  EXPECT_EQ(dns_.lookups, 1) << "one look-up at a time";
  dns_.deliver();
  EXPECT_EQ(resolved_.size(), 1u);
}

TEST_F(ResolverTest, AnAddressFromBeforeIsKeptQuietly) {
  dns_.answer = {"10.0.0.1", "10.0.0.2"};
  start(at("10.0.0.2:80"));
  ASSERT_TRUE(answer_until(2));
  EXPECT_TRUE(resolved_.empty());
}

TEST_F(ResolverTest, AllAddressesOfANameComeUpInTurn) {
  dns_.answer = {"10.0.0.1", "10.0.0.2", "10.0.0.3"};
  start();
  ASSERT_TRUE(answer_until(1));
  EXPECT_EQ(resolver_->address_count(7), 3u);
  EXPECT_EQ(resolver_->next_address(7), at("10.0.0.2:80"));
  EXPECT_EQ(resolver_->next_address(7), at("10.0.0.3:80"));
  EXPECT_EQ(resolver_->next_address(7), at("10.0.0.1:80"));
  EXPECT_EQ(resolver_->next_address(1), std::nullopt) << "not a name that it knows";
}

TEST_F(ResolverTest, MayBeDestroyedDuringALookup) {
  dns_.silent = true;
  dns_.answer = {"10.0.0.1"};
  start();
  ASSERT_TRUE(loop_.run_until([this] { return dns_.lookups == 1; }));
  resolver_.reset();
  dns_.deliver();
  EXPECT_TRUE(resolved_.empty());
}

TEST_F(ResolverTest, TheSystemKnowsLocalhost) {
  backend_.host = "localhost";
  timing_ = Resolver::kTiming;
  start({}, uv_getaddrinfo);
  ASSERT_TRUE(loop_.run_until([this] { return !resolved_.empty(); }));
  EXPECT_TRUE(resolved_[0] == "127.0.0.1:80" || resolved_[0] == "[::1]:80") << resolved_[0];
}

}  // namespace
}  // namespace ringmaster::test
