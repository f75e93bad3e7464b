#include "master/status_table.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "master/text_table.h"
#include "master/wording.h"

namespace ringmaster {
namespace {

using Json = nlohmann::json;

std::string text_of(const Json& value) {
  return value.is_string() ? value.get<std::string>() : value.is_null() ? "-" : value.dump();
}

std::string backends(const Json& status) {
  TableRows rows{{"BACKEND", "ADDRESS", "STATE", "SHARE", "IN FLIGHT", "REQUESTS", "WHY"}};
  for (const Json& backend : status.at("backends")) {
    rows.push_back({text_of(backend.at("name")), text_of(backend.at("address")),
                    text_of(backend.at("state")),
                    fmt::format("{:.1f} %", backend.at("ring_share").get<double>() * 100),
                    text_of(backend.at("in_flight")), text_of(backend.at("requests")),
                    text_of(backend.at("reason"))});
  }
  return align_table(rows);
}

std::string workers(const Json& status) {
  TableRows rows{{"WORKER", "PID", "STATE", "GENERATION", "CONNECTIONS"}};
  for (const Json& worker : status.at("workers")) {
    rows.push_back({text_of(worker.at("slot")), text_of(worker.at("pid")),
                    text_of(worker.at("state")), text_of(worker.at("generation")),
                    text_of(worker.at("connections"))});
  }
  return align_table(rows);
}

}  // namespace

std::string render_status_table(const std::string& json) {
  try {
    const Json status = Json::parse(json);
    const bool stopping = status.at("stopping").get<bool>();
    const bool ready = status.at("ready").get<bool>();
    return fmt::format("ringmaster {}, generation {}, {}, up {:.0f} s, {} answered\n\n",
                       text_of(status.at("version")), status.at("generation").get<unsigned>(),
                       stopping ? "stopping"
                       : ready  ? "serving"
                                : "starting",
                       status.at("uptime_seconds").get<double>(),
                       counted(status.at("requests_total").get<std::uint64_t>(), "request")) +
           backends(status) + "\n" + workers(status);
  } catch (const Json::exception&) {
    return json;
  }
}

}  // namespace ringmaster
