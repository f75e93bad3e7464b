#include "master/master.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <stdexcept>

#include "master/metrics_exporter.h"
#include "master/routing_publisher.h"
#include "master/status_report.h"
#include "shared/base/clock.h"
#include "shared/base/log.h"

namespace ringmaster {
namespace {

constexpr std::uint64_t kTickMs = 100;
// Counting clients of the rate limiter walks its table.
constexpr std::uint64_t kCountEntriesEveryMs = 2'000;
// What a worker gets to end after it was told to cut, before it is killed.
constexpr std::uint64_t kCutPatienceMs = 1'000;

std::uint64_t wall_clock_ms() {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return static_cast<std::uint64_t>(
      std::chrono::duration_cast<std::chrono::milliseconds>(now).count());
}

AdminResponse text(int status, std::string line) {
  return {status, "text/plain; charset=utf-8", std::move(line) + "\n", {}};
}

}  // namespace

Result<std::unique_ptr<Master>> Master::create(Config config) {
  std::vector<Listener> listeners;
  for (const SocketAddress& address : config.server.listen) {
    auto listener = open_listener(address);
    if (!listener) return Error{listener.error()};
    log::info("listening on {}", listener->address.to_string());
    listeners.push_back(*std::move(listener));
  }
  auto admin = open_listener(config.admin.listen);
  if (!admin) return Error{"admin: " + admin.error()};
  log::info("admin on {}", admin->address.to_string());

  auto segment = Segment::create();
  if (!segment) return Error{segment.error()};
  UniqueFd report_fd(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
  if (!report_fd.is_open()) return Error{"cannot create an eventfd"};
  auto upstreams = publish_routing(config, *segment, kGeneration);
  if (!upstreams) return Error{upstreams.error()};
  return std::unique_ptr<Master>(new Master(std::move(config), *std::move(segment),
                                            std::move(listeners), *std::move(admin),
                                            std::move(report_fd), *std::move(upstreams)));
}

Master::Master(Config config, Segment segment, std::vector<Listener> listeners, Listener admin,
               UniqueFd report_fd, std::vector<std::uint32_t> upstreams)
    : config_(std::move(config)),
      segment_(std::move(segment)),
      listeners_(std::move(listeners)),
      admin_listener_(std::move(admin)),
      report_fd_(std::move(report_fd)),
      upstreams_(std::move(upstreams)),
      supervisor_(loop_.get(), config_, segment_, listeners_, report_fd_.get(), kGeneration),
      notifier_(loop_.get()),
      health_(loop_.get(), config_, segment_, upstreams_, *this),
      started_at_ms_(wall_clock_ms()),
      ring_shares_(segment_.ring(kGeneration, false).shares(segment_.upstream_count())) {
  watch_signals();
  start_timers();
  serve_admin();
}

Master::~Master() = default;

void Master::watch_signals() {
  ::signal(SIGPIPE, SIG_IGN);
  for (const int number : {SIGINT, SIGTERM, SIGCHLD}) {
    auto handle = open_handle<uv_signal_t>(this, uv_signal_init, loop_.get());
    // SIGCHLD only has to end the wait: the loop reaps anyway.
    const auto on_signal = [](uv_signal_t* signal, int which) noexcept {
      auto* self = owner_of<Master>(signal);
      if (self == nullptr || which == SIGCHLD) return;
      ++self->stop_requests_;
      if (which == SIGINT) ++self->interrupts_;
    };
    uv_signal_start(handle.get(), on_signal, number);
    signals_.push_back(std::move(handle));
  }
}

void Master::start_timers() {
  tick_ = open_handle<uv_timer_t>(this, uv_timer_init, loop_.get());
  uv_timer_start(
      tick_.get(), [](uv_timer_t*) noexcept {}, kTickMs, kTickMs);
  report_poll_ = open_handle<uv_poll_t>(this, uv_poll_init, loop_.get(), report_fd_.get());
  uv_poll_start(report_poll_.get(), UV_READABLE, [](uv_poll_t* poll, int, int) noexcept {
    if (auto* self = owner_of<Master>(poll)) self->reported_ = true;
  });
}

void Master::serve_admin() {
  AdminRoutes routes;
  routes["/metrics"] = [this](const AdminRequest&) -> AdminResponse {
    return {200, "text/plain; version=0.0.4; charset=utf-8", render_metrics(report()), {}};
  };
  routes["/status"] = [this](const AdminRequest&) -> AdminResponse {
    return {200, "application/json", render_status(report()), {}};
  };
  routes["/healthz"] = [](const AdminRequest&) -> AdminResponse { return text(200, "ok"); };
  routes["/readyz"] = [this](const AdminRequest&) -> AdminResponse {
    if (is_stopping()) return text(503, "stopping");
    if (phase_ == Phase::kStarting) return text(503, "starting");
    if (health_.up_count() == 0) return text(503, "no backend is up");
    return text(200, "ready");
  };
  auto server =
      AdminServer::start(loop_.get(), std::move(admin_listener_.socket), std::move(routes));
  if (!server) throw std::runtime_error(server.error());
  admin_ = *std::move(server);
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
  return {config_,       segment_,       upstreams_,
          health_,       kGeneration,    phase_ == Phase::kServing,
          is_stopping(), started_at_ms_, rate_limit_entries_,
          ring_shares_};
}

Master::Outcome Master::run() {
  if (auto birth = supervisor_.spawn_missing()) return {kExitOk, std::move(birth)};
  health_.start();
  for (;;) {
    uv_run(loop_.get(), UV_RUN_ONCE);
    act_on_notes();
    supervisor_.reap();
    if (is_stopping()) {
      stop_step();
      if (phase_ >= Phase::kDraining && supervisor_.alive() == 0) return {exit_code(), {}};
    }
    if (auto birth = supervisor_.spawn_missing()) return {kExitOk, std::move(birth)};
  }
}

void Master::act_on_notes() {
  const std::uint64_t now = monotonic_ms();
  if (std::exchange(reported_, false)) {
    eventfd_t rings;
    ::eventfd_read(report_fd_.get(), &rings);
    health_.on_reports();
  }
  if (std::exchange(health_changed_, false)) supervisor_.ring_all();
  if (now - last_look_ms_ >= WorkerProcess::kLookEveryMs) {
    last_look_ms_ = now;
    supervisor_.kill_hung();
    report_status();
  }
  if (phase_ == Phase::kStarting) become_ready();
  if (stop_requests_ != 0 && !is_stopping()) {
    log::info("stopping: answering what is in flight, for at most {} ms",
              config_.server.drain_timeout.count());
    notifier_.stopping();
    phase_ = Phase::kPreDrain;
    deadline_ms_ = now + static_cast<std::uint64_t>(config_.server.pre_drain.count());
  }
}

void Master::become_ready() {
  if (!health_.first_round_done() || supervisor_.serving() < config_.server.workers) return;
  phase_ = Phase::kServing;
  log::info("ready: {} of {} backends up, {} workers", health_.up_count(), config_.backends.size(),
            supervisor_.serving());
  report_status();
  notifier_.ready();
  notifier_.watchdog();
}

// Stopping goes on when its time has come, or when someone is out of patience.
void Master::stop_step() {
  const std::uint64_t now = monotonic_ms();
  if (interrupts_ > 1 && phase_ < Phase::kCutting) {
    log::warning("interrupted again: cutting what is in flight");
    phase_ = Phase::kDraining;
    deadline_ms_ = now;
  }
  if (now < deadline_ms_) return;
  switch (phase_) {
    case Phase::kPreDrain:
      return begin_drain();
    case Phase::kDraining:
      listeners_.clear();
      supervisor_.cut();
      phase_ = Phase::kCutting;
      deadline_ms_ = now + kCutPatienceMs;
      return;
    case Phase::kCutting:
      supervisor_.kill_all();
      phase_ = Phase::kKilling;
      return;
    default:
      return;
  }
}

void Master::begin_drain() {
  listeners_.clear();  // the workers close theirs: then new connections are refused
  supervisor_.drain();
  phase_ = Phase::kDraining;
  deadline_ms_ = monotonic_ms() + static_cast<std::uint64_t>(config_.server.drain_timeout.count());
  report_status();
}

void Master::report_status() {
  if (phase_ == Phase::kStarting) return notifier_.status("starting");
  notifier_.status(fmt::format("{}: {} of {} backends up, {} workers",
                               is_stopping() ? "draining" : "serving", health_.up_count(),
                               config_.backends.size(), supervisor_.alive()));
}

int Master::exit_code() const noexcept {
  const std::uint64_t cut = supervisor_.cut_requests();
  if (cut == 0) {
    log::info("stopped: every request was answered");
    return kExitOk;
  }
  log::warning("stopped: {} requests were cut", cut);
  return kExitCut;
}

}  // namespace ringmaster
