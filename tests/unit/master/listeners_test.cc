// Which listeners a config keeps of those that are open, and what it says of one in the way.
#include "master/listeners.h"

#include <gtest/gtest.h>
#include <sys/socket.h>

#include <stdexcept>
#include <string>
#include <vector>

namespace ringmaster {
namespace {

SocketAddress address(const std::string& text) {
  return *SocketAddress::parse(text);
}

Listener open(const std::string& text) {
  auto listener = open_listener(address(text));
  if (!listener) throw std::runtime_error(listener.error());
  return *std::move(listener);
}

std::string at_port(const std::string& host, const Listener& listener) {
  return host + ":" + std::to_string(listener.address.port());
}

TEST(Listeners, KeepTheKernelsChoiceOfAPort) {
  std::vector<Listener> handed;
  handed.push_back(open("127.0.0.1:0"));
  const SocketAddress bound = handed.front().address;
  auto matched = match_listeners({address("127.0.0.1:0")}, handed, {});
  ASSERT_TRUE(matched.ok()) << matched.error();
  EXPECT_EQ(matched->front().address, bound);
}

TEST(Listeners, SayWhichOfOursIsInTheWay) {
  std::vector<Listener> handed;
  handed.push_back(open("127.0.0.1:0"));
  const SocketAddress wanted = address(at_port("0.0.0.0", handed.front()));
  for (const bool serves_the_same : {true, false}) {
    std::vector<Listener> none;
    const auto matched = serves_the_same ? match_listeners({wanted}, handed, none)
                                         : match_listeners({wanted}, none, handed);
    ASSERT_FALSE(matched.ok());
    EXPECT_NE(matched.error().find("beside " + handed.front().address.to_string()),
              std::string::npos)
        << matched.error();
    EXPECT_TRUE(handed.front().socket.is_open());
  }
}

// What `ListenStream=80` of a .socket unit is.
Listener systemds_for_both_families() {
  UniqueFd socket(::socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const SocketAddress any = address("[::]:0");
  if (!socket.is_open() || ::bind(socket.get(), any.get(), any.size()) != 0 ||
      ::listen(socket.get(), 1) != 0) {
    return {};
  }
  Listener listener = *adopt_listener(std::move(socket));
  listener.is_systemds = true;
  return listener;
}

TEST(Listeners, OneSocketOfSystemdServesBothFamiliesAtEveryReload) {
  std::vector<Listener> handed;
  handed.push_back(systemds_for_both_families());
  if (!handed.front().socket.is_open()) GTEST_SKIP() << "no IPv6 here";
  const SocketAddress v4 = address(at_port("0.0.0.0", handed.front()));
  const SocketAddress v6 = address(at_port("[::]", handed.front()));
  const SocketAddress one = address(at_port("127.0.0.1", handed.front()));
  for (const auto& wanted : {std::vector{v4, v6}, std::vector{v6}, std::vector{v6, v4},
                             std::vector{v4}, std::vector{v4, v6}}) {
    auto matched = match_listeners(wanted, handed, {});
    ASSERT_TRUE(matched.ok()) << matched.error();
    EXPECT_EQ(matched->size(), 1u);
    EXPECT_TRUE(handed.empty());
    handed = *std::move(matched);
  }
  const auto narrower = match_listeners({one}, handed, {});
  ASSERT_FALSE(narrower.ok());
  EXPECT_NE(narrower.error().find("which systemd listens on"), std::string::npos)
      << narrower.error();
}

}  // namespace
}  // namespace ringmaster
