// What a worker gives another arrives whole or stays: at the limits of what one message may hold.
#include "worker/io/handover.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <string>

#include "shared/handover_channel.h"

namespace ringmaster {
namespace {

struct Channel {
  HandoverChannel ends = *HandoverChannel::open();
  UniqueFd client{::open("/dev/null", O_RDWR | O_CLOEXEC)};
  UniqueFd upstream{::open("/dev/null", O_RDWR | O_CLOEXEC)};
  std::string room;

  HandStatus send(std::string_view from_client, std::string_view from_upstream) {
    ConnectionToHand connection;
    connection.client = client.get();
    connection.upstream = upstream.get();
    connection.upstream_name = "s1";
    connection.request_id = "id-1";
    connection.from_client = from_client;
    connection.from_upstream = from_upstream;
    return hand_over(ends.out.get(), connection);
  }
};

TEST(Handover, ATunnelWithBothBuffersFullArrivesWhole) {
  Channel channel;
  const std::string from_client(kMostHandedBytes, 'c');
  const std::string from_upstream(kMostHandedBytes, 'u');
  const HandStatus status = channel.send(from_client, from_upstream);
  if (status == HandStatus::kImpossible) GTEST_SKIP() << "net.core.wmem_max is too small here";
  ASSERT_EQ(status, HandStatus::kSent);
  const Received received = receive_handed(channel.ends.in.get(), channel.room);
  ASSERT_TRUE(received.connection);
  EXPECT_TRUE(received.connection->upstream.is_open());
  EXPECT_EQ(received.connection->upstream_name, "s1");
  EXPECT_EQ(received.connection->request_id, "id-1");
  EXPECT_EQ(received.connection->from_client, from_client);
  EXPECT_EQ(received.connection->from_upstream, from_upstream);
}

TEST(Handover, WhatTheOtherCouldNotTakeInStays) {
  Channel channel;
  const std::string too_much(kMostHandedBytes + 1, 'x');
  EXPECT_EQ(channel.send(too_much, ""), HandStatus::kImpossible);
  EXPECT_EQ(channel.send("", too_much), HandStatus::kImpossible);
  EXPECT_TRUE(receive_handed(channel.ends.in.get(), channel.room).is_empty);
}

// Without room for its second descriptor it would pass for an idle connection.
TEST(Handover, ATunnelOfWhichOneDescriptorGetsLostIsNone) {
  Channel channel;
  ASSERT_EQ(channel.send("", ""), HandStatus::kSent);
  rlimit before;
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
  const UniqueFd next_free(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  const rlimit room_for_one{static_cast<rlim_t>(next_free.get()) + 2, before.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &room_for_one), 0);
  const Received received = receive_handed(channel.ends.in.get(), channel.room);
  ::setrlimit(RLIMIT_NOFILE, &before);
  EXPECT_FALSE(received.is_empty);
  EXPECT_FALSE(received.connection);
}

}  // namespace
}  // namespace ringmaster
