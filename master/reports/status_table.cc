#include "master/reports/status_table.h"

#include <fmt/format.h>

#include <algorithm>
#include <ctime>
#include <nlohmann/json.hpp>

#include "master/reports/text_table.h"
#include "master/wording.h"
#include "shared/base/clock.h"

namespace ringmaster {
namespace {

using Json = nlohmann::json;

// How long ago a time of the report was ("2024-05-01T12:00:00.250Z").
std::string age_of(const Json& timestamp) {
  std::tm t{};
  if (!timestamp.is_string()) return "-";
  if (::strptime(timestamp.get<std::string>().c_str(), "%Y-%m-%dT%H:%M:%S", &t) == nullptr) {
    return "-";
  }
  const std::int64_t seconds = wall_clock_ms() / 1000 - ::timegm(&t);
  return time_in_words(static_cast<std::uint64_t>(std::max<std::int64_t>(seconds, 0)));
}

bool is_in_use(const Json& backend) {
  const std::string state = backend.at("state");
  return state == "up" || state == "suspect" || state == "slow_start";
}

// What a person has to know first.
std::string service_word(const Json& status, std::ptrdiff_t in_use) {
  if (status.at("stopping").get<bool>()) return "stopping";
  if (!status.at("ready").get<bool>()) return "starting";
  if (status.at("panic").get<bool>()) return "PANIC: so few are up that health is ignored";
  if (in_use == 0) return "NO BACKEND IN USE: every request gets 503";
  return "serving";
}

std::string headline(const Json& status) {
  const Json& all = status.at("backends");
  const auto in_use = std::count_if(all.begin(), all.end(), is_in_use);
  const bool panic = status.at("panic").get<bool>();  // all are in use then
  return fmt::format(
      "ringmaster {}, generation {}, {}, {} of {} {}, running for {}\n",
      text_of(status.at("version")), status.at("generation").get<unsigned>(),
      service_word(status, in_use), in_use, counted(all.size(), "backend"), panic ? "up" : "in use",
      time_in_words(
          static_cast<std::uint64_t>(std::max(status.at("uptime_seconds").get<double>(), 0.0))));
}

// What became of all requests so far.
std::string requests(const Json& status) {
  std::string line =
      counted(status.at("requests_total").get<std::uint64_t>(), "request") + " answered";
  std::uint64_t refused = 0;
  std::string reasons;
  for (const auto& [reason, count] : status.at("rejected").items()) {
    refused += count.get<std::uint64_t>();
    reasons += fmt::format("{}{} {}", reasons.empty() ? "" : ", ", reason, count.dump());
  }
  if (refused != 0) line += fmt::format(", {} refused or cut ({})", refused, reasons);
  return line + "\n";
}

std::string limiter(const Json& status) {
  const Json& limit = status.at("rate_limit");
  if (limit.at("requests_per_second").get<std::uint64_t>() == 0) return "";
  return fmt::format("rate limit {}/s per client, burst {}: {} known, {} refused\n",
                     limit.at("requests_per_second").dump(), limit.at("burst").dump(),
                     counted(limit.at("entries").get<std::uint64_t>(), "client"),
                     counted(limit.at("dropped").get<std::uint64_t>(), "request"));
}

std::string reload(const Json& status) {
  if (status.at("config").at("last_reload_successful").get<bool>()) return "";
  return "THE LAST RELOAD FAILED, the previous config serves: the log says why\n";
}

std::string backends(const Json& status) {
  TableRows rows{
      {"BACKEND", "ADDRESS", "STATE", "SINCE", "OF RING", "IN FLIGHT", "REQUESTS", "WHY"}};
  for (const Json& backend : status.at("backends")) {
    rows.push_back({text_of(backend.at("name")), text_of(backend.at("address")),
                    text_of(backend.at("state")), age_of(backend.at("since")),
                    fmt::format("{:.1f} %", backend.at("ring_share").get<double>() * 100),
                    text_of(backend.at("in_flight")), text_of(backend.at("requests")),
                    text_of(backend.at("reason"))});
  }
  return align_table(rows, {"SINCE", "OF RING", "IN FLIGHT", "REQUESTS"});
}

std::string workers(const Json& status) {
  TableRows rows{{"WORKER", "PID", "STATE", "GENERATION", "CONNECTIONS"}};
  for (const Json& worker : status.at("workers")) {
    rows.push_back({text_of(worker.at("slot")), text_of(worker.at("pid")),
                    text_of(worker.at("state")), text_of(worker.at("generation")),
                    text_of(worker.at("connections"))});
  }
  return align_table(rows, {"WORKER", "PID", "GENERATION", "CONNECTIONS"});
}

}  // namespace

std::string render_status_table(const std::string& json) {
  try {
    const Json status = Json::parse(json);
    return headline(status) + requests(status) + limiter(status) + reload(status) + "\n" +
           backends(status) + "\n" + workers(status);
  } catch (const Json::exception&) {
    return json;
  }
}

}  // namespace ringmaster
