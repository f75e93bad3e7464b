// A body on its way: what its pieces are joined to, and what is left as it came.
#include <gtest/gtest.h>

#include <string>

#include "worker/proxy/relay.h"

namespace ringmaster::test {
namespace {

MessageHead chunked_head() {
  MessageHead head;
  head.framing = BodyFraming::kChunked;
  return head;
}

// `count` chunks of a byte each, and the end.
std::string dust(std::size_t count) {
  std::string body;
  for (std::size_t i = 0; i < count; ++i) {
    body += "1\r\n" + std::string(1, static_cast<char>('a' + i % 26)) + "\r\n";
  }
  return body + "0\r\n\r\n";
}

struct Relayed {
  std::string bytes;
  std::size_t writes = 0;
};

Relayed relay(std::string& input, BodyRelay::Input use) {
  BodyRelay relay;
  relay.start(chunked_head(), BodyFraming::kUntilClose);
  Relayed relayed;
  BodyRelay::Batch batch;
  std::size_t at = 0;
  do {
    relay.gather({}, {input.data() + at, input.size() - at}, use, batch);
    at += batch.consumed;
    relayed.writes += batch.count != 0 ? 1 : 0;
    for (std::size_t i = 0; i < batch.count; ++i) {
      relayed.bytes.append(batch.pieces[i].base, batch.pieces[i].len);
    }
  } while (batch.status == BodyRelay::Status::kMore);
  EXPECT_EQ(batch.status, BodyRelay::Status::kDone);
  EXPECT_EQ(at, input.size());
  return relayed;
}

TEST(BodyRelay, ABodyOfDustIsOneWrite) {
  std::string input = dust(10'000);
  const Relayed relayed = relay(input, BodyRelay::Input::kMayMove);
  EXPECT_EQ(relayed.writes, 1u);
  ASSERT_EQ(relayed.bytes.size(), 10'000u);
  EXPECT_EQ(relayed.bytes.substr(0, 28), "abcdefghijklmnopqrstuvwxyzab");
  EXPECT_EQ(relayed.bytes.back(), static_cast<char>('a' + 9'999 % 26));
}

TEST(BodyRelay, WhatMayBeSentAgainStaysAsItCame) {
  std::string input = dust(100);
  const Relayed relayed = relay(input, BodyRelay::Input::kStays);
  EXPECT_EQ(input, dust(100));
  EXPECT_EQ(relayed.bytes.size(), 100u);
}

TEST(BodyRelay, LongChunksStayWhereTheyLie) {
  const std::string piece(1'000, 'x');
  std::string input = "3e8\r\n" + piece + "\r\n3e8\r\n" + piece + "\r\n0\r\n\r\n";
  const std::string before = input;
  const Relayed relayed = relay(input, BodyRelay::Input::kMayMove);
  EXPECT_EQ(relayed.bytes, piece + piece);
  EXPECT_EQ(input, before);
}

}  // namespace
}  // namespace ringmaster::test
