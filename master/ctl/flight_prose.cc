#include "master/ctl/flight_prose.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <string_view>

#include "master/reports/text_table.h"

namespace ringmaster {
namespace {

using Json = nlohmann::json;

constexpr std::size_t kIdColumn = 36;  // a UUID
constexpr std::size_t kTargetColumn = 40;
constexpr std::size_t kMethodColumn = 12;  // of another protocol, it may be anything

std::string shortened(std::string text, std::size_t most, bool is_complete = true) {
  if (text.size() <= most) return is_complete ? text : text + "...";
  text.resize(most - 3);
  return text + "...";
}

std::string milliseconds(const Json& value) {
  return value.is_null() ? "-" : fmt::format("{:.3f}", value.get<double>());
}

std::string outcome_of(const Json& request) {
  if (request.at("died").get<bool>()) return "died with its worker";
  const Json& reason = request.at("reason");
  const std::string outcome = text_of(request.at("outcome"));
  return reason.is_null() ? outcome : outcome + ": " + text_of(reason.at("label"));
}

// ---- The story of one request, a sentence a line ----

std::string_view why_not_asked(std::string_view what) {
  if (what == "down") return "is down";
  if (what == "draining") return "is being drained";
  if (what == "full") return "has as many requests in flight as max_connections allows";
  if (what == "over_bound") return "has more than its share of the load (hash.balance_factor)";
  if (what == "slow_start") return "starts slowly, and this key's turn had not come";
  return "";
}

std::string_view why_in_vain(std::string_view what) {
  if (what == "connect_failed") return "the connection failed";
  if (what == "connect_timeout") return "it did not take the connection within connect_timeout";
  if (what == "stale_connection")
    return "it had closed the pooled connection before; asked on a new one";
  if (what == "upstream_closed") return "it closed the connection without an answer";
  if (what == "ejected") return "it was taken out while the request waited for it";
  return "it failed";
}

std::string tell_limit(const Json& request) {
  const std::string limit = text_of(request.at("limit"));
  if (limit == "exempt") return "Rate limit: the client is exempt.\n";
  if (limit == "admitted") return "Rate limit: admitted.\n";
  if (limit == "admitted_by_overflow") {
    return "Rate limit: admitted, charged to the bucket that newcomers share while the table is "
           "full.\n";
  }
  if (limit == "refused") return "Rate limit: refused, the client's bucket was empty.\n";
  return "";
}

std::string tell_hash(const Json& request) {
  if (request.at("hash").is_null()) return "";
  std::string line = fmt::format("Hash: its {} lies at {} of the ring", text_of(request.at("key")),
                                 text_of(request.at("hash")));
  const Json& ring = request.at("ring");
  if (!ring.is_null()) {
    line += fmt::format(", before point {} of {}", ring.at("point").get<unsigned>(),
                        ring.at("points").get<unsigned>());
  }
  const Json& owner = request.at("owner");
  line += owner.is_null() ? std::string() : fmt::format(", which {} owns", text_of(owner));
  return line + ".\n";
}

std::string tell_trail(const Json& request) {
  std::string lines;
  const Json& trail = request.at("trail");
  for (std::size_t i = 0; i < trail.size(); ++i) {
    const std::size_t steps = request.at("steps").get<std::size_t>();
    if (i + 1 == trail.size() && steps > trail.size()) {
      lines += fmt::format("... {} more that did not answer ...\n", steps - trail.size());
    }
    const Json& step = trail[i];
    const std::string backend = text_of(step.at("backend"));
    const std::string what = text_of(step.at("what"));
    if (const auto why = why_not_asked(what); !why.empty()) {
      lines += fmt::format("Passed over {}: it {}.\n", backend, why);
    } else {
      lines += fmt::format("Asked {} in vain: after {} ms {}.\n", backend,
                           step.at("at_ms").get<unsigned>(), why_in_vain(what));
    }
  }
  return lines;
}

// Why it ended there, where its backend closed the connection.
std::string tell_no_retry(const Json& request) {
  const Json& reason = request.at("reason");
  const bool was_closed = !reason.is_null() && text_of(reason.at("label")) == "upstream_closed";
  const std::string method = text_of(request.at("method"));
  if (!was_closed || (method != "POST" && method != "PATCH")) return "";
  return fmt::format("Not asked again: a {} may have been acted upon.{}\n", method,
                     request.at("reused").get<bool>()
                         ? " It went over a pooled connection, which the backend may have closed "
                           "just then (upstream.idle_timeout)."
                         : "");
}

// Then the trail has told all there is.
bool asked_all_in_vain(const Json& request) {
  unsigned in_vain = 0;
  for (const Json& step : request.at("trail")) {
    if (why_not_asked(text_of(step.at("what"))).empty()) ++in_vain;
  }
  return in_vain >= request.at("attempts").get<unsigned>();
}

std::string tell_backend(const Json& request) {
  const Json& backend = request.at("backend");
  if (backend.is_null() || asked_all_in_vain(request)) return "";
  std::string line = "Asked " + text_of(backend);
  if (request.at("backup").get<bool>()) line += ", a backup, since no other backend was up";
  if (request.at("reused").get<bool>()) {
    line += ", over a pooled connection";
  } else if (!request.at("connect_ms").is_null()) {
    line +=
        fmt::format(", over a new connection that took {} ms", text_of(request.at("connect_ms")));
  }
  const auto attempts = request.at("attempts").get<unsigned>();
  if (attempts > 1) line += fmt::format(" (attempt {})", attempts);
  line += ".\n";
  if (!request.at("first_byte_ms").is_null()) {
    line += fmt::format("First byte of its answer: after {} ms.\n",
                        text_of(request.at("first_byte_ms")));
  }
  return line;
}

std::string tell_outcome(const Json& request) {
  const std::string outcome = text_of(request.at("outcome"));
  const std::string worker =
      fmt::format("worker {} (pid {})", text_of(request.at("worker")), text_of(request.at("pid")));
  if (request.at("died").get<bool>()) {
    return fmt::format("Outcome: {} died with it; the client got no whole answer.\n", worker);
  }
  if (outcome == "in_progress") return fmt::format("Outcome: still in progress on {}.\n", worker);
  std::string line = "Outcome: ";
  const Json& reason = request.at("reason");
  if (outcome == "answered") line += fmt::format("answered with {}", text_of(request.at("status")));
  if (outcome == "refused") {
    line += fmt::format("refused by Ringmaster, {}", text_of(reason.at("label")));
    const std::string text = text_of(reason.at("text"));
    if (!request.at("status").is_null()) {
      line += fmt::format(": {}{}{}", text_of(request.at("status")), text.empty() ? "" : " ", text);
    }
  }
  if (outcome == "cut") line += fmt::format("cut off, {}", text_of(reason.at("label")));
  if (outcome == "tunnel_ended") line += "the upgraded connection was closed";
  if (outcome == "handed_over") line += "the upgraded connection went on in another worker";
  if (!reason.is_null() && !reason.at("answer_fault").is_null()) {
    line += ": " + text_of(reason.at("answer_fault"));
  }
  return line + fmt::format(" after {} ms; {} bytes in, {} out; {}.\n",
                            text_of(request.at("total_ms")),
                            request.at("bytes_in").get<std::uint64_t>(),
                            request.at("bytes_out").get<std::uint64_t>(), worker);
}

std::string tell(const Json& request) {
  const std::string target = shortened(text_of(request.at("target")), std::string::npos,
                                       request.at("target_complete").get<bool>());
  std::string line = text_of(request.at("method")) + (target.empty() ? "" : " " + target);
  if (line.empty()) line = "for something unknown";
  if (request.at("taken_over").get<bool>())
    line = "long ago for a tunnel, taken over from another worker";
  return fmt::format("{}{}, {}\n", text_of(request.at("id")),
                     request.at("id_complete").get<bool>() ? "" : "...",
                     request.at("id_given").get<bool>() ? "the id that a trusted proxy gave"
                                                        : "the id that Ringmaster gave") +
         fmt::format("{}: {} asked {}.\n", text_of(request.at("time")),
                     text_of(request.at("client")), line) +
         tell_limit(request) + tell_hash(request) + tell_trail(request) + tell_backend(request) +
         tell_no_retry(request) + tell_outcome(request);
}

}  // namespace

std::string render_recorder_table(const std::string& json) {
  try {
    TableRows rows{{"TIME", "WORKER", "CLIENT", "METHOD", "TARGET", "STATUS", "BACKEND", "MS",
                    "OUTCOME", "ID"}};
    for (const Json& request : Json::parse(json)) {
      rows.push_back(
          {text_of(request.at("time")), text_of(request.at("worker")),
           text_of(request.at("client")), shortened(text_of(request.at("method")), kMethodColumn),
           shortened(text_of(request.at("target")), kTargetColumn,
                     request.at("target_complete").get<bool>()),
           text_of(request.at("status")), text_of(request.at("backend")),
           milliseconds(request.at("total_ms")), outcome_of(request),
           shortened(text_of(request.at("id")), kIdColumn, request.at("id_complete").get<bool>())});
    }
    return rows.size() == 1 ? "no such request is recorded\n" : align_table(rows, {"MS"});
  } catch (const Json::exception&) {
    return json;
  }
}

std::string render_request_story(const std::string& json) {
  try {
    std::string text;
    for (const Json& request : Json::parse(json)) {
      text += (text.empty() ? "" : "\n") + tell(request);
    }
    return text;
  } catch (const Json::exception&) {
    return json;
  }
}

}  // namespace ringmaster
