#include "master/reports/status_report.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <utility>

#include "master/admin/admin_page.h"
#include "master/reports/totals.h"
#include "master/version.h"
#include "shared/base/clock.h"
#include "shared/base/rfc3339.h"

namespace ringmaster {
namespace {

using Json = nlohmann::ordered_json;

// Null for a time that never was.
Json timestamp(std::int64_t ms_since_epoch) {
  if (ms_since_epoch == 0) return nullptr;
  return rfc3339_from_ms(ms_since_epoch);
}

// Microseconds are all that a person or a page wants to see.
double rounded(double milliseconds) {
  return std::round(milliseconds * 1000) / 1000;
}

std::string_view label(WorkerState state) noexcept {
  switch (state) {
    case WorkerState::kStarting:
      return "starting";
    case WorkerState::kServing:
      return "serving";
    case WorkerState::kDraining:
      return "draining";
    case WorkerState::kFree:
      break;
  }
  return "free";
}

Json last_probe(const BackendHealth& health) {
  if (health.last_result.empty()) return nullptr;
  return {{"result", health.last_result},
          {"duration_ms", rounded(health.last_duration_ms)},
          {"successes", health.successes},
          {"failures", health.failures}};
}

Json responses(const UpstreamTotals& totals) {
  Json by_class = Json::object();
  for (std::size_t i = 0; i < kCodeLabels.size(); ++i) {
    by_class[std::string(kCodeLabels[i])] = totals.responses[i];
  }
  return by_class;
}

// What there was of it, by cause; most causes never occur.
template <class Labels, class Counts>
Json by_cause(const Labels& labels, const Counts& counts) {
  Json causes = Json::object();
  for (std::size_t i = 0; i < labels.size(); ++i) {
    if (counts[i] != 0) causes[std::string(labels[i])] = counts[i];
  }
  return causes;
}

Json rejected(const WorkerTotals& totals) {
  Json reasons = Json::object();
  for (const auto& info : kRejectReasons) {
    const std::uint64_t count = totals.rejected[static_cast<std::size_t>(info.reason)];
    if (info.reason != RejectReason::kRateLimited && count != 0) {
      reasons[std::string(info.label)] = count;
    }
  }
  return reasons;
}

// Not cumulative, and without the empty ones at the end.
Json buckets(const UpstreamTotals& totals) {
  const auto& all = totals.request_duration.buckets;
  const auto last = std::find_if(all.rbegin(), all.rend(), [](auto count) { return count != 0; });
  return Json(std::vector<std::uint64_t>(all.begin(), last.base()));
}

Json backend(const ReportSource& source, std::size_t index, const UpstreamTotals& totals) {
  const BackendConfig& config = source.config.backends[index];
  const UpstreamState& shared = source.segment.upstream(source.upstreams[index]);
  const BackendHealth health = source.health.snapshot(index);
  const SocketAddress resolved = shared.address();
  return {{"name", config.name},
          {"address", config.address()},
          {"resolved", resolved.is_empty() ? Json() : Json(resolved.to_string())},
          {"state", label(shared.health())},
          {"since", timestamp(health.since_ms)},
          {"cause", label(shared.cause())},
          {"reason", health.reason},
          {"last_probe", last_probe(health)},
          {"weight", config.weight},
          {"backup", config.backup},
          {"max_connections", config.max_connections},
          {"ring_share", source.ring_shares[source.upstreams[index]]},
          {"in_flight", totals.in_flight},
          {"requests", totals.requests()},
          {"connections",
           {{"idle", totals.connections_idle},
            {"busy", totals.connections_busy},
            {"reused", totals.connections_reused}}},
          {"responses", responses(totals)},
          {"retries", by_cause(kRetryCauseLabels, totals.retries)}};
}

Json workers(const ReportSource& source) {
  Json list = Json::array();
  for (std::uint32_t i = 0; i < source.segment.slots_used(); ++i) {
    const WorkerSlot& slot = source.segment.slot(i);
    const WorkerState state = slot.state();
    if (state == WorkerState::kFree) continue;
    const auto& ages = source.heartbeat_ages_ms;
    list.push_back({{"pid", slot.pid()},
                    {"slot", i},
                    {"generation", slot.generation()},
                    {"state", label(state)},
                    {"connections", slot.connections()},
                    {"heartbeat", slot.heartbeat()},
                    {"heartbeat_age_ms", i < ages.size() ? ages[i] : 0}});
  }
  return list;
}

Json rate_limit(const ReportSource& source, const WorkerTotals& totals) {
  const RateLimitConfig& config = source.config.rate_limit;
  return {{"requests_per_second", config.requests_per_second},
          {"burst", config.burst},
          {"dropped", totals.rate_limited},
          {"overflow", totals.rate_limit_overflow},
          {"entries", source.rate_limit_entries}};
}

Json worker_restarts(const ReportSource& source) {
  Json causes = Json::object();
  for (std::size_t i = 0; i < kRestartCauseLabels.size(); ++i) {
    causes[std::string(kRestartCauseLabels[i])] = source.segment.master().worker_restarts[i].get();
  }
  return causes;
}

Json config(const ReportSource& source) {
  const MasterSlab& master = source.segment.master();
  return {{"loaded", timestamp(static_cast<std::int64_t>(master.config_loaded_ms.get()))},
          {"last_reload_successful", master.last_reload_failed.get() == 0}};
}

double uptime_seconds(const ReportSource& source) {
  const auto started_ms = source.segment.master().service_started_ms.get();
  return (static_cast<double>(wall_clock_ms()) - static_cast<double>(started_ms)) / 1000;
}

}  // namespace

std::string render_status(const ReportSource& source, bool has_histograms) {
  const WorkerTotals totals = sum_workers(source.segment);
  Json backends = Json::array();
  std::uint64_t requests = 0;
  for (std::size_t i = 0; i < source.upstreams.size(); ++i) {
    const auto sums = sum_upstream(source.segment, source.upstreams[i]);
    requests += sums.requests();
    backends.push_back(backend(source, i, sums));
    if (has_histograms) backends.back()["request_duration_buckets"] = buckets(sums);
  }
  Json status = {{"version", kVersion},
                 {"generation", source.generation},
                 {"ready", source.ready},
                 {"stopping", source.stopping},
                 {"panic", source.health.is_panicking()},
                 {"uptime_seconds", uptime_seconds(source)},
                 {"backends", std::move(backends)},
                 {"workers", workers(source)},
                 {"rate_limit", rate_limit(source, totals)},
                 {"requests_total", requests},
                 {"client_connections",
                  {{"idle", totals.clients_idle},
                   {"active", totals.clients_active},
                   {"tunnel", totals.clients_tunnel}}},
                 {"client_bytes",
                  {{"received", totals.client_received_bytes}, {"sent", totals.client_sent_bytes}}},
                 {"rejected", rejected(totals)},
                 {"worker_restarts", worker_restarts(source)},
                 {"config", config(source)},
                 {"page", admin_page_id()}};
  if (has_histograms) status["request_duration_bounds_us"] = kRequestBoundsUs;
  // A backend may answer in any encoding, and what it says is quoted: never a reason to throw.
  const int indent = has_histograms ? -1 : 2;
  return status.dump(indent, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace ringmaster
