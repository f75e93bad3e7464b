// What the master answers: reports to whoever asks on the admin endpoint, and orders from whoever
// may open the control socket (`ringmaster ctl`).
#include <fcntl.h>
#include <unistd.h>

#include <charconv>
#include <stdexcept>

#include "master/admin/admin_page.h"
#include "master/master.h"
#include "master/reports/config_report.h"
#include "master/reports/flight_report.h"
#include "master/reports/metrics_exporter.h"
#include "master/reports/status_report.h"
#include "master/reports/status_table.h"
#include "shared/base/clock.h"
#include "shared/base/log.h"

namespace ringmaster {
namespace {

// Counting clients of the rate limiter walks its table.
constexpr std::uint64_t kCountEntriesEveryMs = 2'000;

AdminResponse text(int status, std::string line) {
  return {status, "text/plain; charset=utf-8", std::move(line) + "\n", {}};
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
  return {200, "application/json", render_recorder(segment, last, dead_only), {}};
}

// GET /why, the id in X-Request-Id: there it needs no escaping.
AdminResponse why(const Segment& segment, const AdminRequest& request) {
  const std::string_view id = request.field("x-request-id");
  std::string json = render_requests_called(segment, id);
  if (!json.empty()) return {200, "application/json", std::move(json), {}};
  return text(404, fmt::format("no request is called {}, or its worker has handled {} newer ones "
                               "since",
                               id, kRecordedRequests));
}

std::unique_ptr<AdminServer> start_server(uv_loop_t* loop, UniqueFd listener, AdminRoutes routes,
                                          const AdminLimits& limits) {
  auto server = AdminServer::start(loop, std::move(listener), std::move(routes), limits);
  if (!server) throw std::runtime_error(server.error());
  return *std::move(server);
}

}  // namespace

AdminRoutes Master::reports() {
  AdminRoutes routes;
  routes["/metrics"] = [this](const AdminRequest&) -> AdminResponse {
    return {200, kMetricsContentType, render_metrics(report()), {}};
  };
  routes["/"] = [this](const AdminRequest& request) {
    return answer_with_page(request, [this] { return overview(); });
  };
  routes["/status"] = [this](const AdminRequest& request) -> AdminResponse {
    const bool has_histograms = request.query == "histograms";
    return {200, kStatusContentType, render_status(report(), has_histograms), {}};
  };
  routes["/status/ring"] = [this](const AdminRequest&) -> AdminResponse {
    return {200, kStatusContentType, ring_report_.render(report()), {}};
  };
  routes["/status/config"] = [this](const AdminRequest&) -> AdminResponse {
    return {200, kStatusContentType, render_config(config_text_), {}};
  };
  routes["/healthz"] = [](const AdminRequest&) -> AdminResponse { return text(200, "ok"); };
  routes["/readyz"] = [this](const AdminRequest&) -> AdminResponse {
    if (is_stopping()) return text(503, "stopping");
    if (phase_ == Phase::kStarting) return text(503, "starting");
    if (!has_backend_in_use()) return text(503, "no backend is in use");
    return text(200, "ready");
  };
  return routes;
}

// What / says to those who read it as text.
std::string Master::overview() {
  return render_status_table(render_status(report())) +
         "\nMore at /status /metrics /healthz /readyz, and in a browser a page at /\n";
}

void Master::serve_admin(UniqueFd listener) {
  admin_ = start_server(loop_.get(), std::move(listener), reports(), {});
}

// Where the config in force has it: who asks there sees nothing of a reload that may yet fail.
void Master::serve_former_admin() {
  for (const Listener& listener : former_admin_) {
    UniqueFd socket = duplicate_of(listener.socket.get());
    former_admin_servers_.push_back(start_server(loop_.get(), std::move(socket), reports(), {}));
  }
}

// While a new config takes over, of the one that serves: our own probes are for the new one.
bool Master::has_backend_in_use() const noexcept {
  if (health_.up_count() != 0 || phase_ != Phase::kTakingOver) return health_.up_count() != 0;
  // None in force: workers of another layout serve, and what was known of their backends is here.
  const std::uint32_t in_force = segment_.generations().in_force();
  for (std::uint32_t i = 0; i < segment_.upstream_count(); ++i) {
    const bool serves = in_force == 0 || segment_.routing(in_force).routes[i].weight != 0;
    if (serves && segment_.upstream(i).is_usable()) return true;
  }
  return false;
}

void Master::serve_control() {
  if (!control_.socket.is_open()) return;
  AdminRoutes routes = reports();
  routes["/reload"] = [this](const AdminRequest& request) -> AdminResponse {
    if (request.method != "POST") return only_by_post();
    if (is_stopping()) return text(409, "the service is stopping");
    log::info("reload: requested over the control socket");
    reloader_.request(duplicate_of(request.connection));
    return {.status = kAnsweredLater, .body = {}};
  };
  routes["/drain"] = [this](const AdminRequest& request) { return set_drained(request, true); };
  routes["/ready"] = [this](const AdminRequest& request) { return set_drained(request, false); };
  routes["/reopen"] = [this](const AdminRequest& request) { return reopen(request); };
  // Not on the admin address: they tell who asked for what.
  routes["/recorder"] = [this](const AdminRequest& request) { return recorder(segment_, request); };
  routes["/why"] = [this](const AdminRequest& request) { return why(segment_, request); };
  UniqueFd listener = duplicate_of(control_.socket.get());
  control_server_ =
      start_server(loop_.get(), std::move(listener), std::move(routes), {.accepts_post = true});
}

// POST /drain?NAME and /ready?NAME: names of backends need no escaping.
AdminResponse Master::set_drained(const AdminRequest& request, bool drained) {
  if (request.method != "POST") return only_by_post();
  const std::string& name = request.query;
  if (!health_.set_drained(name, drained)) {
    std::string known;
    for (const BackendConfig& backend : config_.backends) {
      known += (known.empty() ? "" : ", ") + backend.name;
    }
    return text(404, fmt::format("no backend is called \"{}\"; there are: {}", name, known));
  }
  if (!drained) return text(200, fmt::format("{} is back in use, if it is healthy", name));
  std::string outcome = fmt::format(
      "{} gets no new requests; `ringmaster ctl status` shows what it has in flight, and "
      "`ringmaster ctl ready {}` puts it back",
      name, name);
  if (health_.up_count() == 0 && !health_.is_panicking()) {
    log::warning("no backend is in use any more: every request gets 503");
    outcome += "\nno backend is in use any more: every request gets 503";
  }
  return text(200, std::move(outcome));
}

// POST /reopen: the access log was renamed. The config stays what it is, whatever the file says.
AdminResponse Master::reopen(const AdminRequest& request) {
  if (request.method != "POST") return only_by_post();
  if (is_stopping()) return text(409, "the service is stopping");
  const std::string& path = config_.log.access;
  if (path == "off" || path == "stderr") {
    return text(200, fmt::format("log.access is \"{}\": there is no file to reopen", path));
  }
  log::info("access log {}: reopened by new workers", path);
  renews_ = true;
  return text(200, fmt::format("{} is being reopened by new workers", path));
}

ReportSource Master::report() {
  const std::uint64_t now = monotonic_ms();
  if (now - entries_counted_ms_ >= kCountEntriesEveryMs) {
    entries_counted_ms_ = now;
    const RateLimitConfig& limit = config_.rate_limit;
    const bool limited = limit.requests_per_second != 0;
    rate_limit_entries_ =
        limited ? segment_.buckets(limit.table_entries).count_active(monotonic_ns()) : 0;
  }
  return {.config = config_,
          .segment = segment_,
          .upstreams = upstreams_,
          .health = health_,
          .generation = segment_.generations().in_force(),
          .ready = phase_ == Phase::kServing || phase_ == Phase::kTakingOver,
          .stopping = is_stopping(),
          .rate_limit_entries = rate_limit_entries_,
          .ring_shares = ring_shares_,
          .own_generation = generation_,
          .heartbeat_ages_ms = supervisor_.heartbeat_ages_ms()};
}

}  // namespace ringmaster
