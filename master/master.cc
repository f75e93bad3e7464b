#include "master/master.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <utility>

#include "master/config/config_values.h"
#include "master/systemd/service_store.h"
#include "master/wording.h"
#include "shared/base/clock.h"
#include "shared/base/log.h"

namespace ringmaster {
namespace {

constexpr std::uint64_t kTickMs = 100;
// What a new generation gets to serve, before the image goes back to the one that does; and what
// workers need of that once it is known where to send requests.
constexpr std::uint64_t kTakeOverPatienceMs = 20'000;
constexpr std::uint64_t kWorkersPatienceMs = 5'000;

// The first round of probes may take a timeout and one look more.
std::uint64_t take_over_patience_ms(const HealthConfig& health) {
  const auto timeout_ms = static_cast<std::uint64_t>(health.timeout.count());
  return std::max(kTakeOverPatienceMs, 2 * timeout_ms + kWorkersPatienceMs);
}

}  // namespace

Result<std::unique_ptr<Master>> Master::create(const StartConfig& start, const Launch& launch,
                                               Inheritance& inherited) {
  auto parts = gather_parts(start, inherited);
  if (!parts) return Error{parts.error()};
  return std::unique_ptr<Master>(new Master(start, launch, *std::move(parts), inherited));
}

Master::Master(const StartConfig& start, const Launch& launch, MasterParts parts,
               Inheritance& inherited)
    : launch_(launch),
      config_(start.config),
      config_text_(start.text),
      config_warnings_(start.warnings),
      config_in_force_(std::move(inherited.config)),
      segment_(std::move(parts.segment)),
      listeners_(std::move(parts.listeners)),
      admin_address_(parts.admin.address),
      admin_configured_(parts.admin.configured),
      control_(std::move(parts.control)),
      former_control_(std::move(parts.former_control)),
      report_fd_(std::move(parts.report)),
      handover_(std::move(parts.handover)),
      upstreams_(std::move(parts.upstreams)),
      generation_(parts.generation),
      supervisor_({loop_.get(), config_, segment_, listeners_, report_fd_.get(), handover_},
                  generation_),
      notifier_(loop_.get()),
      health_(loop_.get(), config_, segment_, upstreams_, *this),
      reloader_(loop_.get(), launch_),
      endpoints_(loop_.get(),
                 {config_, config_text_, segment_, upstreams_, generation_, health_, supervisor_},
                 *this),
      reload_failure_(start.failure),
      calls_orphans_(parts.has_orphans_channel),
      goes_back_(parts.goes_back) {
  begin_phase(inherited);
  const bool is_new_memory = note_start(inherited.is_takeover);
  const bool follows_on_unfinished_start = inherited.is_takeover && inherited.strangers.empty() &&
                                           segment_.generations().in_force() == 0;
  supervisor_.adopt(std::move(inherited.workers), std::move(inherited.strangers));
  // What came up of a config that is given up may hold what our own workers need.
  if (goes_back_ || follows_on_unfinished_start) supervisor_.retire_others();
  if (!inherited.is_takeover) announce_addresses();
  // Else what was stored before is what is stored now, and stays there all the while. Half a
  // hand-over channel, which a start that was cut off may have left, is in the way of a whole one.
  const bool is_new_channel = !inherited.is_takeover && !calls_orphans_;
  unclaimed_ = std::move(inherited.listeners);
  former_admin_ = std::move(inherited.admin);
  renews_ = goes_back_ && inherited.renews;
  inherited = {};  // what else nobody took is closed
  warn_of_unserved();
  store_with_systemd(segment_.fd(), handover_, listeners_, is_new_memory || is_new_channel);
  lead_to_control_socket(control_.path);
  watch_signals();
  start_timers();
  endpoints_.serve_admin(std::move(parts.admin.socket));
  endpoints_.serve_former_admin(former_admin_);
  if (control_.socket.is_open()) endpoints_.serve_control(duplicate_of(control_.socket.get()));
}

Master::~Master() = default;

void Master::begin_phase(Inheritance& inherited) {
  const std::uint64_t patience_ms = take_over_patience_ms(config_.health);
  // More than is usual, for which the unit allows.
  if (patience_ms > kTakeOverPatienceMs) notifier_.ask_for_time(patience_ms + kWorkersPatienceMs);
  // Who died here may have served by another config than the file has now, which need not work.
  const bool is_untried =
      reload_failure_.empty() && !config_in_force_.empty() && config_in_force_ != config_text_;
  if (inherited.is_takeover || is_untried) deadline_ms_ = monotonic_ms() + patience_ms;
  if (!inherited.is_takeover) return;
  phase_ = MasterPhase::kTakingOver;
  has_served_ = reload_failure_.empty();
  reloader_.resume(std::move(inherited.reloads));
  notifier_.watchdog();  // of the image before it ended with the exec
}

// Returns whether the memory is new, and with it every count.
bool Master::note_start(bool is_takeover) {
  MasterSlab& facts = segment_.master();
  const bool is_new_memory = facts.service_started_ms.get() == 0;
  if (!is_takeover || is_new_memory) {
    facts.service_started_ms.set(static_cast<std::uint64_t>(wall_clock_ms()));
  }
  if (!is_takeover) facts.earlier_cpu_ns.set(facts.shown_cpu_ns.get());
  return is_new_memory;
}

void Master::warn_of_unserved() const {
  for (const Listener& unwanted : unclaimed_) {
    if (!unwanted.is_systemds) continue;
    log::warning(
        "systemd holds {}, but server.listen does not include it: connections there are not served",
        unwanted.address.to_string());
  }
}

void Master::announce_addresses() const {
  for (const Listener& listener : listeners_) {
    log::info("listening on {}", listener.address.to_string());
  }
  log::info("admin on {}", admin_address_.to_string());
}

void Master::watch_signals() {
  for (const int number : {SIGINT, SIGTERM, SIGQUIT, SIGHUP, SIGCHLD}) {
    auto handle = open_handle<uv_signal_t>(this, uv_signal_init, loop_.get());
    const auto on_signal = [](uv_signal_t* signal, int which) noexcept {
      auto* self = owner_of<Master>(signal);
      if (self == nullptr) return;
      if (which == SIGCHLD) {
        self->child_ended_ = true;
        return;
      }
      if (which == SIGHUP) {
        ++self->reload_requests_;
        return;
      }
      if (which == SIGINT && self->stop_requests_ != 0) self->out_of_patience_ = true;
      ++self->stop_requests_;
    };
    uv_signal_start(handle.get(), on_signal, number);
    signals_.push_back(std::move(handle));
  }
  // The image before blocked them all: what came in between is delivered now.
  sigset_t none;
  sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
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

Master::Outcome Master::run() {
  health_.start(phase_ == MasterPhase::kTakingOver ? segment_.generations().in_force() : 0);
  const bool is_first_process = ::getpid() == 1;  // of a container
  for (;;) {
    if (may_spawn()) {
      if (auto birth = supervisor_.spawn_missing()) return {kExitOk, std::move(birth)};
    }
    uv_run(loop_.get(), UV_RUN_ONCE);
    act_on_notes();
    if (std::exchange(child_ended_, false)) {
      supervisor_.reap();
      if (is_first_process) supervisor_.reap_foreign(reloader_.child());
    }
    if (!is_stopping()) {
      reload_step();
      continue;
    }
    stop_step();
    if (has_stopped()) return {conclude(), {}};
  }
}

// While others serve (they may all have died), a new generation does not begin before it knows
// where to send requests.
bool Master::may_spawn() const noexcept {
  return phase_ != MasterPhase::kTakingOver || goes_back_ || health_.first_round_done() ||
         supervisor_.alive() == 0;
}

void Master::act_on_notes() {
  const std::uint64_t now = monotonic_ms();
  if (std::exchange(reported_, false)) {
    eventfd_t rings;
    ::eventfd_read(report_fd_.get(), &rings);
  }
  // Also without a ring: the reporter may have died before it, or rung a master that is no more,
  // and while its bit stands nobody rings again.
  health_.on_reports();
  if (std::exchange(health_changed_, false)) supervisor_.ring_all();
  if (now - last_look_ms_ >= HeartbeatWatch::kLookEveryMs) {
    last_look_ms_ = now;
    supervisor_.look_after();
    child_ended_ = true;  // if a signal should be lost, its news is late and no more
    report_status();
  }
  if (phase_ == MasterPhase::kStarting) become_ready();
  if (renews_ && phase_ == MasterPhase::kServing && !supervisor_.is_renewing()) {
    renews_ = false;
    supervisor_.renew();
  }
  if (stop_requests_ != 0 && !is_stopping()) begin_stop();
  if (is_stopping() && std::exchange(reload_requests_, 0) != 0) {
    log::warning("SIGHUP: no reload, the service is stopping");
  }
}

void Master::become_ready() {
  if (!health_.first_round_done() || supervisor_.serving() < config_.server.workers) return;
  begin_serving();
  if (!reload_failure_.empty()) {
    log::error("{}", reload_failure_);
    log::error("continuing with the last good config");
  }
  announce("ready: " + strength(supervisor_.serving()));
  tell_ready();
}

// Our workers do: the config is in force.
void Master::begin_serving() {
  phase_ = MasterPhase::kServing;
  put_in_force();
  call_in_orphans();
}

void Master::tell_ready() {
  report_status();
  notifier_.ready();
  notifier_.watchdog();
}

std::string Master::strength(std::size_t workers) const {
  return fmt::format("{} of {} backends up, {}", health_.up_count(), config_.backends.size(),
                     counted(workers, "worker"));
}

// An outage is no good news.
void Master::announce(const std::string& state) const {
  if (serves_nobody()) return log::warning("{}; {}", state, kServesNobody);
  log::info("{}", state);
}

// Once, when our workers serve.
void Master::call_in_orphans() {
  if (std::exchange(calls_orphans_, false)) supervisor_.call_in_orphans();
}

void Master::begin_stop() {
  const Duration pre_drain = config_.server.pre_drain;
  log::info("stopping: {}answering what is in flight, for at most {}",
            pre_drain.count() == 0 ? "" : fmt::format("in {} ", to_text(pre_drain)),
            to_text(config_.server.drain_timeout));
  notifier_.stopping();
  const auto pre_drain_ms = static_cast<std::uint64_t>(pre_drain.count());
  const auto drain_ms = static_cast<std::uint64_t>(config_.server.drain_timeout.count());
  notifier_.ask_for_time(pre_drain_ms + drain_ms + 2 * Supervisor::kCutPatienceMs +
                         Supervisor::kKillPatienceMs);
  reloader_.give_up();
  phase_ = MasterPhase::kPreDrain;
  deadline_ms_ = monotonic_ms() + pre_drain_ms;
}

// Stopping goes on when its time has come, or when someone is out of patience.
void Master::stop_step() {
  const std::uint64_t now = monotonic_ms();
  const bool is_interrupted =
      std::exchange(out_of_patience_, false) && phase_ < MasterPhase::kCutting;
  if (is_interrupted) {
    log::warning("interrupted again: cutting what is in flight");
    phase_ = MasterPhase::kDraining;
    deadline_ms_ = now;
  }
  if (now < deadline_ms_) return;
  switch (phase_) {
    case MasterPhase::kPreDrain:
      return begin_drain();
    case MasterPhase::kDraining:
      if (!is_interrupted) {
        log::warning("server.drain_timeout = \"{}\" has run out: cutting what is in flight",
                     to_text(config_.server.drain_timeout));
      }
      close_listeners();
      supervisor_.cut();
      phase_ = MasterPhase::kCutting;
      deadline_ms_ = now + Supervisor::kCutPatienceMs;
      return;
    case MasterPhase::kCutting:
      supervisor_.kill_all();
      phase_ = MasterPhase::kKilling;
      deadline_ms_ = now + Supervisor::kKillPatienceMs;
      return;
    default:
      return;
  }
}

// One that cannot be killed is not waited for.
bool Master::has_stopped() const noexcept {
  if (phase_ < MasterPhase::kDraining) return false;
  return supervisor_.awaited() + supervisor_.orphans_alive() == 0 ||
         (phase_ == MasterPhase::kKilling && monotonic_ms() >= deadline_ms_);
}

void Master::close_listeners() {
  // Or systemd would keep the ports open.
  for (const auto* listeners : {&listeners_, &unclaimed_}) {
    std::for_each(listeners->begin(), listeners->end(), forget_stored);
  }
  listeners_.clear();
  unclaimed_.clear();
}

void Master::begin_drain() {
  close_listeners();  // the workers close theirs: then new connections are refused
  supervisor_.drain();
  if (const std::size_t orphans = supervisor_.orphans_alive(); orphans != 0) {
    log::info("also waiting for {} of an earlier master", counted(orphans, "worker"));
  }
  phase_ = MasterPhase::kDraining;
  deadline_ms_ = monotonic_ms() + static_cast<std::uint64_t>(config_.server.drain_timeout.count());
  report_status();
}

void Master::report_status() {
  if (phase_ == MasterPhase::kStarting) return notifier_.status("starting");
  notifier_.status((is_stopping() ? "draining: " : "serving: ") +
                   strength(supervisor_.alive() + supervisor_.orphans_alive()));
}

// The last word: what must not outlive an orderly stop goes. Returns the exit status.
int Master::conclude() {
  supervisor_.leave_behind();
  remove_control_socket(control_.path);
  // Who comes next follows on a stop, not on a crash; a start that came to nothing is neither.
  if (has_served_) segment_.config_archive().forget();
  const std::uint64_t cut = supervisor_.cut_requests();
  if (cut == 0) {
    log::info("stopped: every request was answered");
    return kExitOk;
  }
  log::warning("stopped: {} cut", counted(cut, "request"));
  return kExitCut;
}

}  // namespace ringmaster
