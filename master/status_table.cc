#include "master/status_table.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <vector>

namespace ringmaster {
namespace {

using Json = nlohmann::json;
using Rows = std::vector<std::vector<std::string>>;

// Columns as wide as their widest cell; the last one as it is.
std::string align(const Rows& rows) {
  std::vector<std::size_t> widths;
  for (const auto& row : rows) {
    widths.resize(std::max(widths.size(), row.size()));
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  }
  std::string text;
  for (const auto& row : rows) {
    for (std::size_t i = 0; i < row.size(); ++i) {
      const bool is_last = i + 1 == row.size();
      text += is_last ? row[i] + "\n" : fmt::format("{:<{}}  ", row[i], widths[i]);
    }
  }
  return text;
}

std::string text_of(const Json& value) {
  return value.is_string() ? value.get<std::string>() : value.is_null() ? "-" : value.dump();
}

std::string backends(const Json& status) {
  Rows rows{{"BACKEND", "ADDRESS", "STATE", "SHARE", "IN FLIGHT", "REQUESTS", "WHY"}};
  for (const Json& backend : status.at("backends")) {
    rows.push_back({text_of(backend.at("name")), text_of(backend.at("address")),
                    text_of(backend.at("state")),
                    fmt::format("{:.1f} %", backend.at("ring_share").get<double>() * 100),
                    text_of(backend.at("in_flight")), text_of(backend.at("requests")),
                    text_of(backend.at("reason"))});
  }
  return align(rows);
}

std::string workers(const Json& status) {
  Rows rows{{"WORKER", "PID", "STATE", "GENERATION", "CONNECTIONS"}};
  for (const Json& worker : status.at("workers")) {
    rows.push_back({text_of(worker.at("slot")), text_of(worker.at("pid")),
                    text_of(worker.at("state")), text_of(worker.at("generation")),
                    text_of(worker.at("connections"))});
  }
  return align(rows);
}

}  // namespace

std::string render_status_table(const std::string& json) {
  try {
    const Json status = Json::parse(json);
    const bool stopping = status.at("stopping").get<bool>();
    const bool ready = status.at("ready").get<bool>();
    return fmt::format("ringmaster {}, generation {}, {}, up {:.0f} s, {} requests answered\n\n",
                       text_of(status.at("version")), status.at("generation").get<unsigned>(),
                       stopping ? "stopping"
                       : ready  ? "serving"
                                : "starting",
                       status.at("uptime_seconds").get<double>(),
                       status.at("requests_total").get<std::uint64_t>()) +
           backends(status) + "\n" + workers(status);
  } catch (const Json::exception&) {
    return json;
  }
}

}  // namespace ringmaster
