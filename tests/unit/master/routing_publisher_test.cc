// Which entry of the segment a backend of a config gets.
#include "master/routing_publisher.h"

#include <gtest/gtest.h>

#include <stdexcept>
#include <string>
#include <vector>

namespace ringmaster {
namespace {

Config config_of(const std::vector<std::string>& names) {
  Config config;
  for (const std::string& name : names) {
    BackendConfig backend;
    backend.name = name;
    config.backends.push_back(backend);
  }
  return config;
}

class FindUpstreams : public testing::Test {
 protected:
  std::vector<std::uint32_t> find(const std::vector<std::string>& names) {
    auto found = find_upstreams(config_of(names), segment_);
    if (!found) throw std::runtime_error(found.error());
    return *found;
  }

  Segment segment_ = *Segment::create();
};

TEST_F(FindUpstreams, ABackendKeepsItsEntryWhateverTheOrder) {
  EXPECT_EQ(find({"a", "b", "c"}), (std::vector<std::uint32_t>{0, 1, 2}));
  EXPECT_EQ(find({"d", "c", "a"}), (std::vector<std::uint32_t>{3, 2, 0}));
}

TEST_F(FindUpstreams, OneThatComesBackIsJudgedAnew) {
  find({"a"});
  segment_.upstream(0).set_health(HealthState::kDown, HealthCause::kConnect);
  segment_.upstream(0).set_retired_at_ms(1'000);

  EXPECT_EQ(find({"a"}), (std::vector<std::uint32_t>{0}));
  EXPECT_EQ(segment_.upstream(0).health(), HealthState::kUnknown);
  EXPECT_EQ(segment_.upstream(0).retired_at_ms(), 0u);
}

TEST_F(FindUpstreams, NeverGivesTheEntryOfOneThatComesBackToANewOne) {
  for (std::uint32_t i = 0; i < kMaxUpstreams; ++i) {
    ASSERT_TRUE(segment_.add_upstream("s" + std::to_string(i)).ok());
  }
  segment_.upstream(5).set_retired_at_ms(1'000);
  segment_.upstream(6).set_retired_at_ms(2'000);

  EXPECT_EQ(find({"new", "s5", "s7"}), (std::vector<std::uint32_t>{6, 5, 7}));
  EXPECT_EQ(segment_.upstream(6).name(), "new");
  EXPECT_EQ(segment_.upstream(5).name(), "s5");
}

}  // namespace
}  // namespace ringmaster
