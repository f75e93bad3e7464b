// /status as people read it: first what they must know.
#include "master/reports/status_table.h"

#include <gtest/gtest.h>

#include <ctime>
#include <nlohmann/json.hpp>
#include <string>

namespace ringmaster::test {
namespace {

using Json = nlohmann::json;

Json backend(const char* name, const char* state) {
  return {{"name", name},     {"address", "127.0.0.1:8081"}, {"state", state},
          {"since", nullptr}, {"ring_share", 0.5},           {"in_flight", 0},
          {"requests", 12},   {"reason", "200, first probe"}};
}

Json status(std::initializer_list<Json> backends) {
  return {
      {"version", "1.2.3"},
      {"generation", 4},
      {"ready", true},
      {"stopping", false},
      {"panic", false},
      {"uptime_seconds", 3456000.5},
      {"requests_total", 18},
      {"backends", Json(backends)},
      {"workers", Json::array()},
      {"rejected", Json::object()},
      {"rate_limit", {{"requests_per_second", 0}, {"burst", 0}, {"dropped", 0}, {"entries", 0}}},
      {"config", {{"last_reload_successful", true}}}};
}

// Its first lines, up to the first table.
std::string summary(const Json& status) {
  const std::string text = render_status_table(status.dump());
  return text.substr(0, text.find("\n\n"));
}

TEST(StatusTable, BeginsWithWhatIsInUse) {
  EXPECT_EQ(
      summary(status({backend("s1", "up"), backend("s2", "down")})),
      "ringmaster 1.2.3, generation 4, serving, 1 of 2 backends in use, running for 40 d 0 h\n"
      "18 requests answered");
}

TEST(StatusTable, SaysSoIfNobodyIsServed) {
  Json report = status({backend("s1", "down"), backend("s2", "draining")});
  EXPECT_NE(summary(report).find("NO BACKEND IN USE"), std::string::npos);
  report["panic"] = true;
  EXPECT_NE(summary(report).find("PANIC"), std::string::npos);
}

TEST(StatusTable, TellsOfRefusalsOfTheLimiterAndOfAReload) {
  Json report = status({backend("s1", "up")});
  report["rejected"] = {{"no_backend", 13}, {"client_gone", 2}};
  report["rate_limit"] = {
      {"requests_per_second", 5}, {"burst", 20}, {"dropped", 2}, {"entries", 1}};
  report["config"]["last_reload_successful"] = false;
  EXPECT_EQ(summary(report),
            "ringmaster 1.2.3, generation 4, serving, 1 of 1 backend in use, running for 40 d 0 h\n"
            "18 requests answered, 15 refused or cut (client_gone 2, no_backend 13)\n"
            "rate limit 5/s per client, burst 20: 1 client known, 2 requests refused\n"
            "THE LAST RELOAD FAILED, the previous config serves: the log says why");
}

TEST(StatusTable, AlignsNumbersToTheRightAndTellsHowLongAgo) {
  Json first = backend("s1", "up");
  const std::time_t then = std::time(nullptr) - 125;
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S.000Z", std::gmtime(&then));
  first["since"] = text;
  const std::string table = render_status_table(status({first, backend("s2", "down")}).dump());
  EXPECT_NE(
      table.find("BACKEND  ADDRESS         STATE      SINCE  OF RING  IN FLIGHT  REQUESTS  WHY"),
      std::string::npos)
      << table;
  EXPECT_NE(
      table.find("s2       127.0.0.1:8081  down           -   50.0 %          0        12  200"),
      std::string::npos)
      << table;
  EXPECT_NE(table.find("  2 min 5 s  "), std::string::npos) << table;
}

}  // namespace
}  // namespace ringmaster::test
