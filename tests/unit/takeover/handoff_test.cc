// What one image of the master tells the next, which may be older or newer.
#include "master/takeover/handoff.h"

#include <gtest/gtest.h>
#include <sys/mman.h>

#include <cstdlib>
#include <nlohmann/json.hpp>
#include <stdexcept>

namespace ringmaster {
namespace {

Handoff read_from(const UniqueFd& memo) {
  ::setenv(kHandoffVariable, std::to_string(::dup(memo.get())).c_str(), 1);
  auto handoff = read_handoff();
  if (!handoff) throw std::runtime_error(handoff.error());
  return **std::move(handoff);
}

UniqueFd memo_of(const nlohmann::json& json) {
  UniqueFd memo(::memfd_create("memo", 0));
  const std::string text = json.dump();
  if (::write(memo.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size())) {
    throw std::runtime_error("cannot write");
  }
  return memo;
}

nlohmann::json text_of(const UniqueFd& memo) {
  std::string text(static_cast<std::size_t>(::lseek(memo.get(), 0, SEEK_END)), ' ');
  EXPECT_EQ(::pread(memo.get(), text.data(), text.size(), 0), static_cast<ssize_t>(text.size()));
  return nlohmann::json::parse(text);
}

TEST(Handoff, FurnishesFreshMemoryWithAllThatWasKnownOfBackends) {
  const Segment before = *Segment::create();
  ASSERT_TRUE(before.add_upstream("drained").ok());
  before.upstream(0).set_drained(true);
  ASSERT_TRUE(before.add_upstream("down").ok());
  UpstreamState& down = before.upstream(1);
  down.publish_address(*SocketAddress::parse("[::1]:80"));
  down.set_health(HealthState::kDown, HealthCause::kTimeout);
  down.explain(1'700'000'000'000, "timeout: no answer");
  down.set_place(~std::uint64_t{0});
  ASSERT_TRUE(before.add_upstream("gone").ok());
  before.upstream(2).set_retired_at_ms(1'600'000'000'000);
  Handoff will;
  will.config = "# a \"config\"\n";
  will.backends = describe_backends(before);

  const Handoff read = read_from(*write_handoff(will));
  const Segment after = *Segment::create();
  furnish(after, read.backends);

  EXPECT_EQ(read.config, will.config);
  ASSERT_EQ(after.upstream_count(), 3u);
  EXPECT_EQ(after.upstream(0).name(), "drained");
  EXPECT_TRUE(after.upstream(0).is_drained());
  EXPECT_EQ(after.upstream(0).place(), UpstreamState::kNowhere);
  const UpstreamState& same = after.upstream(1);
  EXPECT_FALSE(same.is_drained());
  EXPECT_EQ(same.address(), down.address());
  EXPECT_EQ(same.health(), HealthState::kDown);
  EXPECT_EQ(same.cause(), HealthCause::kTimeout);
  EXPECT_EQ(same.keys(), kNoKeys);
  EXPECT_EQ(same.changed_at_ms(), down.changed_at_ms());
  EXPECT_EQ(same.reason(), down.reason());
  EXPECT_EQ(same.place(), down.place());
  EXPECT_EQ(after.upstream(2).retired_at_ms(), 1'600'000'000'000u);
}

TEST(Handoff, OfAnImageThatKnewLessIsRead) {
  nlohmann::json older = text_of(*write_handoff({}));
  older.erase("config");
  older.erase("backends");
  const Handoff read = read_from(memo_of(older));
  EXPECT_EQ(read.config, "");
  EXPECT_TRUE(read.backends.empty());
}

TEST(Handoff, WhatIsNotUnderstoodOfABackendIsAsIfNothingWasKnown) {
  nlohmann::json newer = text_of(*write_handoff({}));
  newer["backends"] = {{{"name", "a"}, {"state", "dreaming"}, {"address", "nowhere"}, {"more", 1}},
                       {{"name", std::string(200, 'x')}},
                       {{"name", ""}}};
  const Segment segment = *Segment::create();
  furnish(segment, read_from(memo_of(newer)).backends);
  ASSERT_EQ(segment.upstream_count(), 1u);
  EXPECT_EQ(segment.upstream(0).health(), HealthState::kUnknown);
  EXPECT_TRUE(segment.upstream(0).address().is_empty());
  EXPECT_FALSE(segment.upstream(0).is_drained());
}

}  // namespace
}  // namespace ringmaster
