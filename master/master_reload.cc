// The change over to a new config or a new binary. The image that serves has them checked and
// execs; the next one, under the same pid, takes over memory, sockets and workers, starts a
// generation of its own, and retires the one before. What cannot be used changes nothing: the next
// image then goes back to the config and the workers that serve.
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <sstream>
#include <utility>

#include "master/generation.h"
#include "master/master.h"
#include "master/systemd/service_store.h"
#include "master/takeover/handoff.h"
#include "master/wording.h"
#include "shared/base/clock.h"
#include "shared/base/log.h"

namespace ringmaster {
namespace {

// An answer of the admin endpoint that is on its way is waited for no longer than this.
constexpr std::uint64_t kAnswersOutMs = 500;
// A renewal of the workers is let end first, if it does within this.
constexpr std::uint64_t kRenewalMs = 5'000;
// What a start gets to be ready, before a reload does not wait for it any more.
constexpr std::uint64_t kStartPatienceMs = 5'000;
// An exec that failed is tried again after this.
constexpr std::uint64_t kExecAgainMs = 5'000;

void log_lines(const std::string& text) {
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) log::error("{}", line);
}

}  // namespace

void Master::on_reload_ordered(UniqueFd waiter) {
  log::info("reload: requested over the control socket");
  reloader_.request(std::move(waiter));
}

void Master::reload_step() {
  if (std::exchange(reload_requests_, 0) != 0) {
    log::info("reload: requested by SIGHUP");
    reloader_.request({});
  }
  if (const std::string refusal = reloader_.take_refusal(); !refusal.empty()) {
    log_lines(refusal);
    log::error("reload refused: the previous config and workers keep serving");
    segment_.master().last_reload_failed.set(1);
  }
  const std::uint64_t now = monotonic_ms();
  if (phase_ == MasterPhase::kTakingOver && supervisor_.serving() >= config_.server.workers) {
    return complete_reload();
  }
  if (phase_ < MasterPhase::kServing) {
    if (deadline_ms_ != 0 && now >= deadline_ms_ && reload_failure_.empty()) give_config_up();
    if (phase_ == MasterPhase::kStarting && deadline_ms_ == 0) reload_unfinished_start(now);
    return;
  }
  if (phase_ != MasterPhase::kServing || !reloader_.is_accepted()) {
    accepted_ms_ = 0;
    return;
  }
  if (accepted_ms_ == 0) accepted_ms_ = now;
  if (supervisor_.is_renewing() && now - accepted_ms_ < kRenewalMs) return;
  if (endpoints_.is_quiet() || now - accepted_ms_ >= kAnswersOutMs) exec_next_image({});
}

// A first start may never be ready, if its workers do not all come up: then the config that is
// given to mend it has its turn.
void Master::reload_unfinished_start(std::uint64_t now) {
  if (!reloader_.is_accepted()) {
    accepted_ms_ = 0;
    return;
  }
  if (accepted_ms_ == 0) accepted_ms_ = now;
  if (now - accepted_ms_ >= kStartPatienceMs) exec_next_image({});
}

// The workers do not come up. A start has not looked at the file since: if a reload was asked for
// meanwhile, it has its turn first.
void Master::give_config_up() {
  if (phase_ == MasterPhase::kStarting && !reloader_.is_idle()) {
    if (reloader_.is_accepted()) exec_next_image({});
    return;
  }
  const std::string why = "the workers of the new configuration did not come up";
  // With none to go back to, the next image tries the same again.
  if (config_in_force_.empty()) reloader_.tell_failure(why);
  exec_next_image(why);
}

void Master::put_in_force() {
  MasterSlab& facts = segment_.master();
  has_served_ = true;
  health_.put_in_force();
  segment_.generations().put_in_force(generation_);
  archive_config();  // at once: who follows on a crash goes by both
  retire_backends(segment_, upstreams_);
  reprice_buckets(segment_, config_.rate_limit);
  std::erase_if(unclaimed_, [](const Listener& listener) {
    if (listener.is_systemds) return false;
    log::info("no longer listening on {}", listener.address.to_string());
    forget_stored(listener);
    return true;
  });
  if (!former_admin_.empty()) log::info("admin on {}", admin_address_.to_string());
  endpoints_.leave_former_admin();
  former_admin_.clear();
  facts.last_reload_failed.set(reload_failure_.empty() ? 0 : 1);
  // Where that was the service's place, there is a link to the new one by now; and it may be
  // another name of the new one's place.
  const bool has_moved = !former_control_.empty() && !lies_at(control_, former_control_);
  if (has_moved) {
    remove_socket_at(former_control_);
    log::info("control socket: {}", control_.path.empty() ? "none" : control_.path);
  }
  tell_of_drained(segment_, upstreams_);
}

// What is in force now is what is gone back to, unless we have just gone back to it.
void Master::archive_config() {
  config_in_force_ = config_text_;
  const bool is_new = reload_failure_.empty();
  MasterSlab& facts = segment_.master();
  if (is_new || facts.config_loaded_ms.get() == 0) {
    facts.config_loaded_ms.set(static_cast<std::uint64_t>(wall_clock_ms()));
  }
  if (!is_new) return;
  if (!segment_.config_archive().keep(config_text_)) {
    log::warning("the config is longer than {} bytes: it is not kept as a fallback after a crash",
                 kMaxArchivedConfig);
  }
}

void Master::complete_reload() {
  begin_serving();
  supervisor_.retire_others();
  tell_ready();
  if (!reload_failure_.empty()) {
    reloader_.fail(reload_failure_);
    return;
  }
  for (const Listener& listener : listeners_) {
    if (listener.is_new) log::info("listening on {}", listener.address.to_string());
  }
  std::string done =
      fmt::format("generation {} serves: {}", generation_, strength(supervisor_.serving()));
  announce("reloaded: " + done);
  if (serves_nobody()) done += fmt::format("\nwarning: {}", kServesNobody);
  for (const std::string& warning : config_warnings_) done += "\nwarning: " + warning;
  reloader_.succeed(done);
}

// Where there were too few descriptors for all of it, there is none for write_handoff() either, and
// nothing comes of it.
Handoff Master::build_handoff(const std::string& failure) {
  Handoff handoff;
  handoff.memory = duplicate_for_exec(segment_.fd());
  handoff.report = duplicate_for_exec(report_fd_.get());
  handoff.handover = {duplicate_for_exec(handover_.in.get()),
                      duplicate_for_exec(handover_.out.get())};
  for (const auto* listeners : {&listeners_, &unclaimed_}) {
    for (const Listener& listener : *listeners) {
      handoff.listeners.push_back({duplicate_for_exec(listener.socket.get()), listener.address,
                                   listener.configured, listener.is_systemds});
    }
  }
  handoff.admin.push_back(
      {duplicate_for_exec(endpoints_.admin_listener()), admin_address_, admin_configured_, false});
  for (const Listener& listener : former_admin_) {
    handoff.admin.push_back(
        {duplicate_for_exec(listener.socket.get()), listener.address, listener.configured, false});
  }
  handoff.control = {duplicate_for_exec(control_.socket.get()), control_.path};
  handoff.workers = supervisor_.duplicate_workers();
  handoff.reloads = reloader_.duplicate_queue();
  handoff.renews = renews_;
  handoff.calls_orphans = calls_orphans_;
  handoff.config = config_in_force_;
  handoff.backends = describe_backends(segment_);
  handoff.failure = failure;
  return handoff;
}

// What libuv has taken and not told us of would end with this image. False: it is a stop, which
// comes before any reload.
bool Master::hear_last_signals() {
  uv_run(loop_.get(), UV_RUN_NOWAIT);
  if (stop_requests_ != 0) return false;
  // Likewise what a probe has found: for the next image it is nothing new.
  if (std::exchange(health_changed_, false)) supervisor_.ring_all();
  if (std::exchange(reload_requests_, 0) != 0) ::kill(::getpid(), SIGHUP);  // the next image's
  return true;
}

// Comes back only if it fails, and then nothing has changed.
void Master::exec_next_image(const std::string& failure) {
  // A signal in the moment without handlers would end the process; blocked, it waits for them.
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  ::sigprocmask(SIG_SETMASK, &all, &before);
  const bool was_quiet = endpoints_.is_quiet();
  const bool goes_on = hear_last_signals();
  const bool somebody_came = was_quiet && !endpoints_.is_quiet();  // meanwhile: served first
  if (goes_on && !somebody_came) exec_with_all(failure);
  ::sigprocmask(SIG_SETMASK, &before, nullptr);
}

void Master::exec_with_all(const std::string& failure) {
  if (failure.empty()) {
    log::info("reload: the config is good, its generation starts");
    notifier_.reloading();
  } else {
    log::error("{}: {}", phase_ == MasterPhase::kStarting ? "start" : "reload", failure);
  }
  const Handoff handoff = build_handoff(failure);
  auto written = write_handoff(handoff);
  const std::string before = failure.empty() ? "" : failure + "\n";
  if (!written) return fail_reload(before + written.error());
  ::setenv(kHandoffVariable, std::to_string(written->get()).c_str(), 1);

  std::vector<std::string> arguments = launch_.arguments;
  std::vector<char*> argv;
  for (std::string& argument : arguments) argv.push_back(argument.data());
  argv.push_back(nullptr);
  ::execv(launch_.binary.c_str(), argv.data());
  const int error = errno;
  ::unsetenv(kHandoffVariable);
  fail_reload(before + fmt::format("cannot execute {}: {}", launch_.binary, std::strerror(error)));
}

void Master::fail_reload(const std::string& why) {
  if (phase_ != MasterPhase::kStarting) notifier_.ready();
  if (phase_ >= MasterPhase::kServing) return reloader_.fail(why);
  deadline_ms_ = monotonic_ms() + kExecAgainMs;
  reloader_.tell_failure(why);
}

}  // namespace ringmaster
