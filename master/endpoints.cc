#include "master/endpoints.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <stdexcept>
#include <utility>

#include "master/admin/admin_page.h"
#include "master/reports/config_report.h"
#include "master/reports/flight_report.h"
#include "master/reports/metrics_exporter.h"
#include "master/reports/status_report.h"
#include "master/reports/status_table.h"
#include "shared/base/clock.h"
#include "shared/base/log.h"

namespace ringmaster {
namespace {

constexpr std::uint64_t kCountEntriesEveryMs = 2'000;

AdminResponse text(int status, std::string line) {
  return {status, "text/plain; charset=utf-8", std::move(line) + "\n", {}};
}

AdminResponse as_json(std::string body) {
  return {200, kStatusContentType, std::move(body), {}};
}

AdminResponse only_by_post() {
  AdminResponse response = text(405, "this changes something: use POST");
  response.fields = {{"Allow", "POST"}};
  return response;
}

// GET /recorder?last=N or ?dead.
AdminResponse recorder(const Segment& segment, const AdminRequest& request) {
  const std::string_view query = request.query;
  const bool dead_only = query == "dead";
  std::size_t last = kMostReportedRequests;
  constexpr std::string_view kLast = "last=";
  if (query.starts_with(kLast)) {
    std::from_chars(query.data() + kLast.size(), query.data() + query.size(), last);
  }
  return as_json(render_recorder(segment, last, dead_only));
}

// GET /why, the id in X-Request-Id: there it needs no escaping.
AdminResponse why(const Segment& segment, const AdminRequest& request) {
  const std::string_view id = request.field("x-request-id");
  std::string json = render_requests_called(segment, id);
  if (!json.empty()) return as_json(std::move(json));
  return text(
      404, fmt::format("no request is called {}, or its worker has handled {} newer ones since", id,
                       kRecordedRequests));
}

std::unique_ptr<AdminServer> start_server(uv_loop_t* loop, UniqueFd listener, AdminRoutes routes,
                                          const AdminLimits& limits) {
  auto server = AdminServer::start(loop, std::move(listener), std::move(routes), limits);
  if (!server) throw std::runtime_error(server.error());
  return *std::move(server);
}

}  // namespace

Endpoints::Endpoints(uv_loop_t* loop, const Subject& subject, Owner& owner)
    : loop_(loop),
      subject_(subject),
      owner_(owner),
      ring_shares_(subject.segment.ring(subject.generation, false)
                       .shares(subject.segment.upstream_count())) {}

void Endpoints::serve_admin(UniqueFd listener) {
  admin_ = start_server(loop_, std::move(listener), reports(), {});
}

void Endpoints::serve_former_admin(const std::vector<Listener>& listeners) {
  for (const Listener& listener : listeners) {
    UniqueFd socket = duplicate_of(listener.socket.get());
    former_admin_.push_back(start_server(loop_, std::move(socket), reports(), {}));
  }
}

void Endpoints::serve_control(UniqueFd listener) {
  AdminRoutes routes = reports();
  routes["/reload"] = [this](const AdminRequest& request) { return order_reload(request); };
  routes["/drain"] = [this](const AdminRequest& request) { return set_drained(request, true); };
  routes["/ready"] = [this](const AdminRequest& request) { return set_drained(request, false); };
  routes["/reopen"] = [this](const AdminRequest& request) { return reopen(request); };
  // Not on the admin address: they tell who asked for what.
  routes["/recorder"] = [this](const AdminRequest& request) {
    return recorder(subject_.segment, request);
  };
  routes["/why"] = [this](const AdminRequest& request) { return why(subject_.segment, request); };
  control_ = start_server(loop_, std::move(listener), std::move(routes), {.accepts_post = true});
}

bool Endpoints::is_quiet() const noexcept {
  const auto rests = [](const auto& server) { return server == nullptr || server->is_quiet(); };
  return rests(admin_) && rests(control_) &&
         std::all_of(former_admin_.begin(), former_admin_.end(), rests);
}

// ---- Reports ----

AdminRoutes Endpoints::reports() {
  AdminRoutes routes;
  routes["/metrics"] = [this](const AdminRequest&) -> AdminResponse {
    return {200, kMetricsContentType, render_metrics(report()), {}};
  };
  routes["/"] = [this](const AdminRequest& request) {
    return answer_with_page(request, [this] { return overview(); });
  };
  routes["/status"] = [this](const AdminRequest& request) {
    const bool has_histograms = request.query == "histograms";
    return as_json(render_status(report(), has_histograms));
  };
  routes["/status/ring"] = [this](const AdminRequest&) {
    return as_json(ring_report_.render(report()));
  };
  routes["/status/config"] = [this](const AdminRequest&) {
    return as_json(render_config(subject_.config_text));
  };
  routes["/healthz"] = [](const AdminRequest&) -> AdminResponse { return text(200, "ok"); };
  routes["/readyz"] = [this](const AdminRequest&) { return readiness(); };
  return routes;
}

ReportSource Endpoints::report() {
  const std::uint64_t now = monotonic_ms();
  if (now - entries_counted_ms_ >= kCountEntriesEveryMs) {
    entries_counted_ms_ = now;
    const RateLimitConfig& limit = subject_.config.rate_limit;
    const bool limited = limit.requests_per_second != 0;
    rate_limit_entries_ =
        limited ? subject_.segment.buckets(limit.table_entries).count_active(monotonic_ns()) : 0;
  }
  const MasterPhase phase = owner_.phase();
  return {.config = subject_.config,
          .segment = subject_.segment,
          .upstreams = subject_.upstreams,
          .health = subject_.health,
          .generation = subject_.segment.generations().in_force(),
          .ready = phase == MasterPhase::kServing || phase == MasterPhase::kTakingOver,
          .stopping = is_stopping(),
          .rate_limit_entries = rate_limit_entries_,
          .ring_shares = ring_shares_,
          .own_generation = subject_.generation,
          .heartbeat_ages_ms = subject_.supervisor.heartbeat_ages_ms()};
}

// What / says to those who read it as text.
std::string Endpoints::overview() {
  return render_status_table(render_status(report())) +
         "\nMore at /status /metrics /healthz /readyz, and in a browser a page at /\n";
}

AdminResponse Endpoints::readiness() {
  if (is_stopping()) return text(503, "stopping");
  if (owner_.phase() == MasterPhase::kStarting) return text(503, "starting");
  if (!has_backend_in_use()) {
    return text(503, subject_.health.is_panicking()
                         ? "no backend is up: health is ignored, and requests are sent all the same"
                         : "no backend is in use");
  }
  return text(200, "ready");
}

// While a new config takes over, of the one that serves: our own probes are for the new one.
bool Endpoints::has_backend_in_use() const noexcept {
  const bool is_ours = subject_.health.up_count() != 0;
  if (is_ours || owner_.phase() != MasterPhase::kTakingOver) return is_ours;
  // None in force: workers of another layout serve, and what was known of their backends is here.
  const Segment& segment = subject_.segment;
  const std::uint32_t in_force = segment.generations().in_force();
  for (std::uint32_t i = 0; i < segment.upstream_count(); ++i) {
    const bool serves = in_force == 0 || segment.routing(in_force).routes[i].weight != 0;
    if (serves && segment.upstream(i).is_usable()) return true;
  }
  return false;
}

// ---- Orders ----

AdminResponse Endpoints::order_reload(const AdminRequest& request) {
  if (request.method != "POST") return only_by_post();
  if (is_stopping()) return text(409, "the service is stopping");
  owner_.on_reload_ordered(duplicate_of(request.connection));
  return {.status = kAnsweredLater, .body = {}};
}

// POST /drain?NAME and /ready?NAME: names of backends need no escaping.
AdminResponse Endpoints::set_drained(const AdminRequest& request, bool drained) {
  if (request.method != "POST") return only_by_post();
  HealthMonitor& health = subject_.health;
  const std::string& name = request.query;
  if (!health.set_drained(name, drained)) {
    std::string known;
    for (const BackendConfig& backend : subject_.config.backends) {
      known += (known.empty() ? "" : ", ") + backend.name;
    }
    return text(404, fmt::format("no backend is called \"{}\"; there are: {}", name, known));
  }
  if (!drained) return text(200, fmt::format("{} is back in use, if it is healthy", name));
  std::string outcome = fmt::format(
      "{} gets no new requests; `ringmaster ctl status` shows what it has in flight, and "
      "`ringmaster ctl ready {}` puts it back",
      name, name);
  if (health.up_count() == 0 && !health.is_panicking()) {
    log::warning("no backend is in use any more: every request gets 503");
    outcome += "\nno backend is in use any more: every request gets 503";
  }
  return text(200, std::move(outcome));
}

// POST /reopen: the access log was renamed. The config stays what it is, whatever the file says.
AdminResponse Endpoints::reopen(const AdminRequest& request) {
  if (request.method != "POST") return only_by_post();
  if (is_stopping()) return text(409, "the service is stopping");
  const std::string& path = subject_.config.log.access;
  if (path == "off" || path == "stderr") {
    return text(200, fmt::format("log.access is \"{}\": there is no file to reopen", path));
  }
  log::info("access log {}: reopened by new workers", path);
  owner_.on_reopen_ordered();
  return text(200, fmt::format("{} is being reopened by new workers", path));
}

}  // namespace ringmaster
