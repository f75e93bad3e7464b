// The story of a request must not say what did not happen: each step of its trail has words.
#include "master/ctl/flight_prose.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>

#include "shared/memory/flight_recorder.h"

namespace ringmaster::test {
namespace {

using Json = nlohmann::json;

// Of a request that "a" has answered, after `what` had come of "b".
Json request_after(std::string_view what, unsigned attempts) {
  return {
      {"id", "some-id"},
      {"id_complete", true},
      {"id_given", false},
      {"time", "2026-01-02T03:04:05.000006Z"},
      {"client", "192.0.2.1"},
      {"method", "GET"},
      {"target", "/"},
      {"target_complete", true},
      {"taken_over", false},
      {"limit", "admitted"},
      {"key", "uri"},
      {"hash", nullptr},
      {"trail", Json::array({{{"backend", "b"}, {"what", what}, {"at_ms", 3}}})},
      {"steps", 1},
      {"attempts", attempts},
      {"backend", "a"},
      {"backup", false},
      {"reused", true},
      {"first_byte_ms", 1.5},
      {"outcome", "answered"},
      {"status", 200},
      {"reason", nullptr},
      {"died", false},
      {"worker", 0},
      {"pid", 42},
      {"total_ms", 2.5},
      {"bytes_in", 10},
      {"bytes_out", 20},
  };
}

std::string story_of(const Json& request) {
  return render_request_story(Json::array({request}).dump());
}
std::string story_after(std::string_view what, unsigned attempts) {
  return story_of(request_after(what, attempts));
}

TEST(FlightProse, TellsOfEachBackendThatWasPassedOver) {
  const auto first_asked = static_cast<std::size_t>(TrailStep::kConnectFailed);
  for (std::size_t i = 0; i < first_asked; ++i) {
    const std::string story = story_after(kTrailStepLabels[i], 1);
    EXPECT_NE(story.find("Passed over b: it "), story.npos) << story;
    EXPECT_NE(story.find("Asked a, "), story.npos) << story;
  }
}

TEST(FlightProse, TellsOfEachBackendThatWasAskedInVain) {
  const auto first_asked = static_cast<std::size_t>(TrailStep::kConnectFailed);
  for (std::size_t i = first_asked; i < kTrailStepLabels.size(); ++i) {
    const std::string story = story_after(kTrailStepLabels[i], 2);
    EXPECT_NE(story.find("Asked b in vain: after 3 ms "), story.npos) << story;
    EXPECT_EQ(story.find("it failed."), story.npos) << "no reason given: " << story;
    EXPECT_NE(story.find("Asked a, "), story.npos) << story;
  }
}

TEST(FlightProse, TellsWhyAPostWasNotAskedAgain) {
  Json request = request_after("upstream_closed", 1);
  request["outcome"] = "refused";
  request["status"] = 502;
  request["reason"] = {
      {"label", "upstream_closed"}, {"text", "Bad Gateway"}, {"answer_fault", nullptr}};
  constexpr std::string_view kWhy = "Not asked again: a POST may have been acted upon.";
  EXPECT_EQ(story_of(request).find(kWhy), std::string::npos) << "it was a GET";
  request["method"] = "POST";
  EXPECT_NE(story_of(request).find(kWhy), std::string::npos);
}

}  // namespace
}  // namespace ringmaster::test
