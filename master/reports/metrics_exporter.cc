#include "master/reports/metrics_exporter.h"

#include <array>
#include <string_view>

#include "master/reports/metric_families.h"
#include "master/reports/process_metrics.h"
#include "master/reports/totals.h"
#include "master/version.h"
#include "shared/base/clock.h"
#include "shared/client_limit.h"

namespace ringmaster {
namespace {

constexpr std::uint64_t kRetiredSeriesMs = 3'600'000;

// A backend with all that is known of it at the moment of the scrape.
struct BackendRow {
  std::string_view name;
  bool is_configured;  // else it has left the config, and only what was counted is still told
  double ring_share;
  HealthState state;
  UpstreamTotals totals;
  const MasterUpstreamMetrics& master;
};
using Rows = std::vector<BackendRow>;

// A backend that was taken out of the config keeps its series until its last request is done and
// nobody can have missed the last of its counts. One that is being taken out has no such time yet:
// it serves until the reload is done.
void add_retired(const ReportSource& source, Rows& rows) {
  const auto now = static_cast<std::uint64_t>(wall_clock_ms());
  std::vector<bool> is_told(source.segment.upstream_count());
  for (const std::uint32_t upstream : source.upstreams) is_told[upstream] = true;
  for (std::uint32_t i = 0; i < is_told.size(); ++i) {
    if (is_told[i]) continue;
    const UpstreamState& upstream = source.segment.upstream(i);
    const std::uint64_t retired = upstream.retired_at_ms();
    const bool is_over = retired != 0 && now > retired + kRetiredSeriesMs;
    if (is_over && source.segment.in_flight(i) == 0) continue;
    rows.push_back({upstream.name(), false, 0, HealthState::kDown, sum_upstream(source.segment, i),
                    source.segment.master().upstreams[i]});
  }
}

Rows gather(const ReportSource& source) {
  Rows rows;
  rows.reserve(source.upstreams.size());
  for (std::size_t i = 0; i < source.upstreams.size(); ++i) {
    const std::uint32_t upstream = source.upstreams[i];
    rows.push_back({source.config.backends[i].name, true, source.ring_shares[upstream],
                    source.segment.upstream(upstream).health(),
                    sum_upstream(source.segment, upstream),
                    source.segment.master().upstreams[upstream]});
  }
  add_retired(source, rows);
  return rows;
}

void add_requests(MetricFamilies& families, const Rows& rows, const WorkerTotals& workers) {
  auto requests = families.counter("requests_total",
                                   "Requests answered through a backend, one per client request; "
                                   "upgrades (101) left out.");
  for (const auto& row : rows) requests.add({{"backend", row.name}}, row.totals.requests());

  families.counter("requests_dropped_total", "Requests refused by the rate limiter with 429.")
      .add({}, workers.rate_limited);

  auto active = families.gauge("active_connections",
                               "Requests in flight at a backend, open tunnels included.");
  for (const auto& row : rows) active.add({{"backend", row.name}}, row.totals.in_flight);

  auto duration = families.histogram(
      "request_duration_seconds",
      "Time from the first byte of a request to the last byte of its response, without tunnels.");
  for (const auto& row : rows) {
    duration.add({{"backend", row.name}}, kRequestBoundsUs, row.totals.request_duration);
  }
}

void add_outcomes(MetricFamilies& families, const Rows& rows, const WorkerTotals& workers) {
  auto responses = families.counter("ringmaster_responses_total",
                                    "Responses of a backend by class of their status code; 1xx "
                                    "are interim responses and tunnels.");
  for (const auto& row : rows) {
    for (std::size_t i = 0; i < kCodeLabels.size(); ++i) {
      responses.add({{"backend", row.name}, {"code", kCodeLabels[i]}}, row.totals.responses[i]);
    }
  }
  auto rejected = families.counter("ringmaster_rejected_total",
                                   "Requests and connections that Ringmaster itself answered or "
                                   "closed, by reason; except by rate limit.");
  for (const auto& info : kRejectReasons) {
    if (info.reason == RejectReason::kRateLimited) continue;
    rejected.add({{"reason", info.label}}, workers.rejected[static_cast<std::size_t>(info.reason)]);
  }
  auto retries = families.counter("ringmaster_retries_total",
                                  "Retried requests, by the backend that failed them and why.");
  for (const auto& row : rows) {
    for (std::size_t i = 0; i < kRetryCauseLabels.size(); ++i) {
      retries.add({{"backend", row.name}, {"cause", kRetryCauseLabels[i]}}, row.totals.retries[i]);
    }
  }
  families
      .counter("ringmaster_retries_refused_total",
               "Retries that upstream.retry_budget did not allow: their requests failed.")
      .add({}, workers.retries_refused);
}

void add_states(MetricFamilies& families, const Rows& rows) {
  auto up = families.gauge("ringmaster_backend_up",
                           "1 while a backend is up (also suspect, or in slow start), else 0.");
  for (const auto& row : rows) {
    if (row.is_configured) up.add({{"backend", row.name}}, is_in_use(row.state) ? 1.0 : 0.0);
  }

  auto states = families.gauge("ringmaster_backend_state",
                               "1 for the state that a backend is in, 0 for all others.");
  constexpr std::array kShown{HealthState::kUp, HealthState::kSuspect, HealthState::kDown,
                              HealthState::kDraining, HealthState::kSlowStart};
  for (const auto& row : rows) {
    if (!row.is_configured) continue;
    const HealthState state =
        row.state == HealthState::kUnknown ? HealthState::kDown : row.state;  // not in use yet
    for (const HealthState shown : kShown) {
      states.add({{"backend", row.name}, {"state", label(shown)}}, shown == state ? 1.0 : 0.0);
    }
  }
}

void add_health(MetricFamilies& families, const ReportSource& source, const Rows& rows) {
  add_states(families, rows);
  families
      .gauge("ringmaster_panic_mode",
             "1 while so few backends are up that health is ignored (health.panic_threshold).")
      .add({}, source.health.is_panicking() ? 1.0 : 0.0);
  // Index 0 is no cause: for a probe a success, for an ejection impossible.
  auto ejections =
      families.counter("ringmaster_ejections_total",
                       "Times a backend was taken out of use, or found down at a start, by cause.");
  for (const auto& row : rows) {
    for (std::size_t i = 1; i < kHealthCauseLabels.size(); ++i) {
      ejections.add({{"backend", row.name}, {"cause", kHealthCauseLabels[i]}},
                    row.master.ejections[i].get());
    }
  }
  auto checks = families.counter("ringmaster_health_checks_total",
                                 "Health checks of a backend: success, or why they failed.");
  for (const auto& row : rows) {
    for (std::size_t i = 0; i < kHealthCauseLabels.size(); ++i) {
      const std::string_view result = i == 0 ? "success" : kHealthCauseLabels[i];
      checks.add({{"backend", row.name}, {"result", result}}, row.master.health_checks[i].get());
    }
  }
}

void add_upstream(MetricFamilies& families, const Rows& rows) {
  auto connections =
      families.gauge("ringmaster_upstream_connections", "Open connections to a backend.");
  for (const auto& row : rows) {
    connections.add({{"backend", row.name}, {"state", "idle"}}, row.totals.connections_idle);
    connections.add({{"backend", row.name}, {"state", "busy"}}, row.totals.connections_busy);
  }
  auto reused = families.counter("ringmaster_upstream_connections_reused_total",
                                 "Requests sent over a reused connection.");
  for (const auto& row : rows) {
    reused.add({{"backend", row.name}}, row.totals.connections_reused);
  }
  auto connect = families.histogram("ringmaster_upstream_connect_duration_seconds",
                                    "Time to open a connection to a backend.");
  for (const auto& row : rows) {
    connect.add({{"backend", row.name}}, kConnectBoundsUs, row.totals.connect_duration);
  }
  auto share = families.gauge("ringmaster_ring_share_ratio",
                              "Share of all keys that hash to a backend while every one is up.");
  for (const auto& row : rows) {
    if (row.is_configured) share.add({{"backend", row.name}}, row.ring_share);
  }

  auto spills = families.counter("ringmaster_hash_spills_total",
                                 "Requests whose key was this backend's and that went elsewhere.");
  for (const auto& row : rows) spills.add({{"backend", row.name}}, row.totals.hash_spills);
}

void add_clients(MetricFamilies& families, const ReportSource& source,
                 const WorkerTotals& workers) {
  families.gauge("ringmaster_client_connections", "Open connections of clients.")
      .add({{"state", "idle"}}, workers.clients_idle)
      .add({{"state", "active"}}, workers.clients_active)
      .add({{"state", "tunnel"}}, workers.clients_tunnel);
  const std::uint64_t limit = client_limit(source.config.server);
  families
      .gauge("ringmaster_client_connections_limit",
             "Clients that all workers together take; more wait in the kernel's queue.")
      .add({}, limit * source.config.server.workers);
  families.counter("ringmaster_client_connections_total", "Connections accepted from clients.")
      .add({}, workers.clients_total);
  families.counter("ringmaster_received_bytes_total", "Bytes received, heads and bodies.")
      .add({{"side", "client"}}, workers.client_received_bytes)
      .add({{"side", "upstream"}}, workers.upstream_received_bytes);
  families.counter("ringmaster_sent_bytes_total", "Bytes sent, heads and bodies.")
      .add({{"side", "client"}}, workers.client_sent_bytes)
      .add({{"side", "upstream"}}, workers.upstream_sent_bytes);
  families
      .gauge("ringmaster_rate_limit_entries",
             "Clients whose bucket of the rate limiter is not full.")
      .add({}, source.rate_limit_entries);
  families
      .counter("ringmaster_rate_limit_overflow_total",
               "Requests charged to a shared bucket, because the rate limiter's table was full.")
      .add({}, workers.rate_limit_overflow);
  families
      .counter("ringmaster_access_log_dropped_total",
               "Lines of the access log that could not be written.")
      .add({}, workers.access_log_dropped);
}

void add_workers(MetricFamilies& families, const ReportSource& source) {
  std::uint64_t serving = 0, draining = 0;
  for (std::uint32_t slot = 0; slot < source.segment.slots_used(); ++slot) {
    const WorkerState state = source.segment.slot(slot).state();
    serving += state == WorkerState::kServing ? 1u : 0u;
    draining += state == WorkerState::kDraining ? 1u : 0u;
  }
  families.gauge("ringmaster_workers", "Worker processes.")
      .add({{"state", "serving"}}, serving)
      .add({{"state", "draining"}}, draining);

  auto restarts = families.counter("ringmaster_worker_restarts_total",
                                   "Workers that had to be replaced, by cause.");
  for (std::size_t i = 0; i < kRestartCauseLabels.size(); ++i) {
    restarts.add({{"cause", kRestartCauseLabels[i]}},
                 source.segment.master().worker_restarts[i].get());
  }
}

// Never less than what was shown before, by this master or by one that crashed.
std::uint64_t count_cpu_ns(MasterSlab& facts) {
  const std::uint64_t all = facts.earlier_cpu_ns.get() + process_cpu_ns();
  facts.shown_cpu_ns.set(all);
  return all;
}

void add_service(MetricFamilies& families, const ReportSource& source) {
  MasterSlab& facts = source.segment.master();
  const double started_s = static_cast<double>(facts.service_started_ms.get()) / 1e3;
  families.gauge("ringmaster_config_generation", "Number of the configuration in force, from 1 on.")
      .add({}, std::uint64_t{source.generation});
  families
      .gauge("ringmaster_config_last_reload_successful",
             "1 if the last attempt to load a configuration succeeded, else 0.")
      .add({}, facts.last_reload_failed.get() == 0 ? 1.0 : 0.0);
  families
      .gauge("ringmaster_config_last_reload_success_timestamp_seconds",
             "When a configuration was last loaded, in seconds since 1970.")
      .add({}, static_cast<double>(facts.config_loaded_ms.get()) / 1e3);
  families.gauge("ringmaster_build_info", "Always 1; the labels say which build this is.")
      .add({{"version", kVersion}, {"revision", kRevision}}, 1.0);
  families
      .gauge("ringmaster_start_time_seconds",
             "When the service was started, in seconds since 1970.")
      .add({}, started_s);
  for (const ProcessMetric& metric : read_process_metrics(started_s, count_cpu_ns(facts))) {
    auto family = metric.is_counter ? families.counter(metric.name, metric.help)
                                    : families.gauge(metric.name, metric.help);
    family.add({}, metric.value);
  }
}

}  // namespace

std::string render_metrics(const ReportSource& source) {
  const Rows rows = gather(source);
  const WorkerTotals workers = sum_workers(source.segment);
  MetricFamilies families;
  add_requests(families, rows, workers);
  add_outcomes(families, rows, workers);
  add_health(families, source, rows);
  add_upstream(families, rows);
  add_clients(families, source, workers);
  add_workers(families, source);
  add_service(families, source);
  return families.serialize();
}

}  // namespace ringmaster
