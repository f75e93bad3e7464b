#include "master/workers/supervisor.h"

#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <fstream>
#include <set>
#include <utility>

#include "master/wording.h"
#include "shared/base/clock.h"
#include "shared/base/log.h"

namespace ringmaster {
namespace {

// A worker that lived no longer than this died young; its replacement waits ever longer.
constexpr std::uint64_t kYoungMs = 2'000;
constexpr std::uint64_t kFirstBackOffMs = 100;
constexpr std::uint64_t kLongestBackOffMs = 5'000;

// A worker can be replaced; the master is who replaces it. So where memory runs out the kernel is
// to take a worker: these are thousandths of all there is that it seems larger.
constexpr int kRatherThanMaster = 100;
constexpr int kMostExpendable = 1'000;

// A terminal sends these to the whole group, and it is for the master to decide what they mean.
constexpr std::array kSignalsOfTheMaster{SIGINT, SIGQUIT, SIGHUP};

std::string describe_end(int status) {
  if (WIFSIGNALED(status)) {
    return fmt::format("killed by signal {} ({})", WTERMSIG(status), ::strsignal(WTERMSIG(status)));
  }
  return fmt::format("exited with {}", WEXITSTATUS(status));
}

void offer_to_oom_killer() {
  constexpr const char* kFile = "/proc/self/oom_score_adj";
  int of_master = 0;
  std::ifstream(kFile) >> of_master;
  std::ofstream(kFile) << std::min(of_master + kRatherThanMaster, kMostExpendable);
}

// All but `kept` (sorted here) and the standard streams.
void close_all_descriptors_but(std::vector<int> kept) {
  std::sort(kept.begin(), kept.end());
  unsigned first = 3;
  for (const int fd : kept) {
    if (fd < static_cast<int>(first)) continue;
    if (static_cast<unsigned>(fd) > first) {
      ::close_range(first, static_cast<unsigned>(fd) - 1, 0);
    }
    first = static_cast<unsigned>(fd) + 1;
  }
  ::close_range(first, ~0u, 0);
}

// To kill it now would cut the core short.
bool is_dumping_core(pid_t pid) {
  std::ifstream status(fmt::format("/proc/{}/status", pid));
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("CoreDumping:")) return line.ends_with('1');
  }
  return false;
}

}  // namespace

Supervisor::Supervisor(const Resources& resources, std::uint32_t generation)
    : resources_(resources),
      segment_(resources.segment),
      generation_(generation),
      orphans_(resources.segment) {}

void Supervisor::adopt(std::vector<HandedWorker> workers, std::vector<HandedWorker> strangers) {
  for (HandedWorker& worker : workers) {
    if (worker.slot >= kMaxWorkerSlots) continue;
    WorkerSlot& slot = segment_.slot(worker.slot);
    workers_.emplace_back(std::move(worker), slot);
  }
  strangers_ = std::move(strangers);
  orphans_.find([this](std::uint32_t slot) { return !is_free(slot); });
}

std::optional<WorkerBirth> Supervisor::spawn_missing() {
  if (draining_) return std::nullopt;
  const auto leaving = [this](const WorkerProcess& w) {
    return is_leaving(w) || w.state() == WorkerState::kDraining;
  };
  auto staying = workers_.size() -
                 static_cast<std::size_t>(std::count_if(workers_.begin(), workers_.end(), leaving));
  const std::uint64_t now = monotonic_ms();
  for (std::uint32_t slot = 0; slot < kMaxWorkerSlots && staying < resources_.config.server.workers;
       ++slot) {
    if (!is_free(slot)) continue;
    ++staying;  // also one that waits out its back-off holds its place
    if (now < not_before_ms_[slot]) continue;
    if (auto birth = spawn(slot)) return birth;
  }
  if (staying < resources_.config.server.workers) limit_lingering();
  return std::nullopt;
}

bool Supervisor::is_free(std::uint32_t slot) const noexcept {
  return !orphans_.holds(slot) &&
         std::none_of(workers_.begin(), workers_.end(),
                      [slot](const WorkerProcess& w) { return w.slot_index() == slot; });
}

bool Supervisor::is_of_another(const WorkerProcess& worker) const noexcept {
  return worker.generation() != generation_;
}

bool Supervisor::is_leaving(const WorkerProcess& worker) const noexcept {
  return is_of_another(worker) || worker.is_superseded();
}

// Whose end is followed by another's beginning.
bool Supervisor::has_place(const WorkerProcess& worker) const noexcept {
  return !draining_ && !is_leaving(worker) && worker.state() != WorkerState::kDraining;
}

// By our order, or by somebody else's (SIGTERM to one worker).
bool Supervisor::lingers(const WorkerProcess& worker) const noexcept {
  return worker.state() == WorkerState::kDraining ||
         (is_leaving(worker) && worker.last_order() != WorkerOrder::kServe);
}

std::optional<WorkerBirth> Supervisor::spawn(std::uint32_t slot_index) {
  auto channel = ControlChannel::open();
  if (!channel) {
    log::error("cannot start a worker: {}", channel.error());
    not_before_ms_[slot_index] = monotonic_ms() + kLongestBackOffMs;
    return std::nullopt;
  }
  WorkerSlot& slot = segment_.slot(slot_index);
  slot.assign(generation_);
  segment_.use_slot(slot_index);

  // No signal is handled by the child with the master's handlers.
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  ::sigprocmask(SIG_SETMASK, &all, &before);
  const pid_t pid = ::fork();
  if (pid == 0) {
    WorkerBirth birth = leave_master(slot_index, std::move(channel->worker_end));
    ::sigprocmask(SIG_SETMASK, &before, nullptr);
    return birth;
  }
  ::sigprocmask(SIG_SETMASK, &before, nullptr);
  if (pid < 0) {
    log::error("cannot start a worker: fork: {}", std::strerror(errno));
    slot.release();
    const bool may_get_better =
        std::any_of(workers_.begin(), workers_.end(), [this](const auto& w) { return lingers(w); });
    not_before_ms_[slot_index] =
        monotonic_ms() + (may_get_better ? kFirstBackOffMs : kLongestBackOffMs);
    return std::nullopt;
  }
  slot.set_pid(pid);
  workers_.emplace_back(pid, slot_index, slot, std::move(channel->master_end), monotonic_ms());
  log::debug("worker {} started, pid {}", slot_index, pid);
  return std::nullopt;
}

// In the child: lets go of all that is the master's.
WorkerBirth Supervisor::leave_master(std::uint32_t slot, UniqueFd control) {
  // First, before the pid: by its name a later master knows a worker whose master has died.
  ::prctl(PR_SET_NAME, kWorkerProcessName);
  segment_.slot(slot).set_pid(::getpid());
  offer_to_oom_killer();
  uv_loop_fork(resources_.loop);  // until here the child shares the master's epoll set and signals
  for (const int signal : kSignalsOfTheMaster) ::signal(signal, SIG_IGN);
  for (const int signal : {SIGTERM, SIGCHLD}) ::signal(signal, SIG_DFL);
  ::signal(SIGPIPE, SIG_IGN);
  const HandoverChannel& handover = resources_.handover;
  std::vector<int> kept{segment_.fd(),     control.get(),      resources_.report_fd,
                        handover.in.get(), handover.out.get(), log::descriptor()};
  std::vector<UniqueFd> sockets;
  for (Listener& listener : resources_.listeners) {
    kept.push_back(listener.socket.get());
    sockets.push_back(std::move(listener.socket));
  }
  // Also the others' control channels, and those of clients of the master: their end of file must
  // not wait for us.
  close_all_descriptors_but(std::move(kept));
  return {resources_.config,    segment_,           slot,
          generation_,          std::move(sockets), std::move(control),
          resources_.report_fd, handover.in.get(),  handover.out.get()};
}

void Supervisor::reap() {
  for (auto worker = workers_.begin(); worker != workers_.end();) {
    int status = 0;
    if (::waitpid(worker->pid(), &status, WNOHANG) != worker->pid()) {
      ++worker;
      continue;
    }
    bury(*worker, status);
    worker = workers_.erase(worker);
  }
  std::erase_if(strangers_, [this](const HandedWorker& stranger) {
    int status = 0;
    if (::waitpid(stranger.pid, &status, WNOHANG) != stranger.pid) return false;
    // How many it had stands where we cannot read it.
    if (draining_ && status != 0) ++cut_requests_;
    return true;
  });
}

void Supervisor::reap_foreign(pid_t spared) {
  for (;;) {
    siginfo_t ended{};
    if (::waitid(P_ALL, 0, &ended, WEXITED | WNOHANG | WNOWAIT) != 0) return;
    // One of ours that comes first in the queue is buried in another place: the rest after that.
    const pid_t pid = ended.si_pid;
    if (pid == 0 || pid == spared || is_ours(pid)) return;
    ::waitpid(pid, nullptr, 0);
  }
}

bool Supervisor::is_ours(pid_t pid) const noexcept {
  const auto has_pid = [pid](const auto& worker) { return worker.pid == pid; };
  return std::any_of(strangers_.begin(), strangers_.end(), has_pid) ||
         std::any_of(workers_.begin(), workers_.end(),
                     [pid](const WorkerProcess& worker) { return worker.pid() == pid; });
}

void Supervisor::bury(const WorkerProcess& worker, int status) {
  const std::uint32_t index = worker.slot_index();
  WorkerSlot& slot = segment_.slot(index);
  const bool was_leaving = worker.state() == WorkerState::kDraining;
  const bool is_replaced = has_place(worker);
  const bool orderly = WIFEXITED(status) && WEXITSTATUS(status) != kWorkerCannotStart;
  const std::uint64_t held = take_back(worker);
  if (draining_) cut_requests_ += slot.cut_requests() + (orderly ? 0 : held);
  slot.release();
  if (was_leaving && orderly) {
    log::info("worker {} is done, pid {}", index, worker.pid());
    return;
  }
  const RestartCause cause = worker.was_killed_as_hung() ? RestartCause::kHung
                             : WIFSIGNALED(status)       ? RestartCause::kSignal
                                                         : RestartCause::kExit;
  if (is_replaced) count_restart(cause);
  const std::uint64_t now = monotonic_ms();
  std::uint32_t& young = young_deaths_[index];
  young = worker.age_ms(now) < kYoungMs ? young + 1 : 0;
  const std::uint64_t wait =
      young < 2 ? 0 : std::min(kFirstBackOffMs << std::min(young - 2, 16u), kLongestBackOffMs);
  not_before_ms_[index] = now + wait;
  if (!death_lines_.admits(now)) return;
  log::error("worker {} (pid {}) {}{}, {} in flight on it lost{}{}", index, worker.pid(),
             describe_end(status), worker.was_killed_as_hung() ? " because it hung" : "",
             counted(held, "request"),
             !is_replaced ? ""
             : wait == 0  ? "; replacing it now"
                          : fmt::format("; replacing it in {} ms", wait),
             death_lines_.note());
}

std::uint64_t Supervisor::take_back(const WorkerProcess& worker) noexcept {
  MetricsSlab& its = segment_.metrics(worker.slot_index());
  const std::uint64_t held = its.requests_held(segment_.upstream_count());
  its.release_gauges(segment_.upstream_count());
  return held;
}

void Supervisor::count_restart(RestartCause cause) noexcept {
  segment_.master().worker_restarts[static_cast<std::size_t>(cause)].add();
}

void Supervisor::renew() noexcept {
  for (WorkerProcess& worker : workers_) worker.supersede();
}

bool Supervisor::is_renewing() const noexcept {
  return std::any_of(workers_.begin(), workers_.end(), [](const WorkerProcess& worker) {
    return worker.is_superseded() && worker.last_order() == WorkerOrder::kServe;
  });
}

void Supervisor::retire_superseded() {
  if (draining_ || !is_renewing() || serving() < resources_.config.server.workers) return;
  for (WorkerProcess& worker : workers_) {
    const bool is_due = worker.is_superseded() && worker.last_order() == WorkerOrder::kServe;
    if (is_due) worker.order(WorkerOrder::kHandOver);
  }
  limit_lingering();
}

void Supervisor::look_after() {
  const std::uint64_t now = monotonic_ms();
  const auto drain_timeout =
      static_cast<std::uint64_t>(resources_.config.server.drain_timeout.count());
  const std::uint64_t cut = orphans_.look_after(drain_timeout + kCutPatienceMs);
  if (draining_) cut_requests_ += cut;
  retire_superseded();
  for (WorkerProcess& worker : workers_) {
    if (worker.deadline_ms() != 0 && now >= worker.deadline_ms()) {
      if (worker.last_order() == WorkerOrder::kCut) {
        ::kill(worker.pid(), SIGKILL);
      } else {
        log::warning("worker {} (pid {}) of generation {} has not drained in time: cutting it",
                     worker.slot_index(), worker.pid(), worker.generation());
        worker.order(WorkerOrder::kCut);
      }
      worker.set_deadline_ms(now + kCutPatienceMs);
    }
    look_whether_hung(worker);
  }
}

void Supervisor::look_whether_hung(WorkerProcess& worker) {
  if (!worker.looks_hung() || worker.is_lost()) return;
  const bool dumps_core = is_dumping_core(worker.pid());
  if (!dumps_core && !worker.was_killed_as_hung()) {
    log::error("worker {} (pid {}) hangs: killing it", worker.slot_index(), worker.pid());
    worker.mark_hung();
    ::kill(worker.pid(), SIGKILL);
    return;
  }
  const bool is_replaced = has_place(worker);
  const std::uint64_t held = take_back(worker);
  if (draining_) cut_requests_ += held;
  log::error("worker {} (pid {}) {}, {} in flight on it lost{}", worker.slot_index(), worker.pid(),
             dumps_core ? "died, and its core is being written" : "was killed and does not end",
             counted(held, "request"), is_replaced ? "; replacing it now" : "");
  if (is_replaced) count_restart(dumps_core ? RestartCause::kSignal : RestartCause::kHung);
  worker.lose();
}

void Supervisor::ring_all() {
  for (WorkerProcess& worker : workers_) worker.ring_it();
}

// Their requests take as long as they take, unless reload follows upon reload.
void Supervisor::retire_others() {
  for (WorkerProcess& worker : workers_) {
    if (!is_of_another(worker) || worker.last_order() != WorkerOrder::kServe) continue;
    worker.order(WorkerOrder::kHandOver);
  }
  limit_lingering();
  // What each of them understands, whatever its version: hand over, and end.
  for (const HandedWorker& stranger : strangers_) ::kill(stranger.pid, SIGUSR1);
}

// The next reload needs a routing area, and like a renewal worker slots: where these get scarce,
// the oldest of those that linger have drain_timeout left, a generation of them or as many as
// serve.
void Supervisor::limit_lingering() {
  std::vector<WorkerProcess*> lingering;
  std::set<std::uint32_t> generations;
  for (WorkerProcess& worker : workers_) {
    if (!lingers(worker)) continue;
    lingering.push_back(&worker);
    if (is_of_another(worker)) generations.insert(worker.generation());
  }
  const std::size_t wanted = resources_.config.server.workers;
  const bool is_scarce =
      generations.size() + 2 >= kRoutingAreas || lingering.size() + 2 * wanted > kMaxWorkerSlots;
  if (lingering.empty() || !is_scarce) return;

  const std::uint64_t now = monotonic_ms();
  std::sort(lingering.begin(), lingering.end(), [now](const auto* one, const auto* other) {
    if (one->generation() != other->generation()) return one->generation() < other->generation();
    return one->age_ms(now) > other->age_ms(now);
  });
  const std::uint64_t deadline =
      now + static_cast<std::uint64_t>(resources_.config.server.drain_timeout.count());
  for (std::size_t i = 0; i < lingering.size(); ++i) {
    WorkerProcess& worker = *lingering[i];
    if (worker.generation() != lingering.front()->generation()) return;
    if (!is_of_another(worker) && i >= wanted) return;
    if (worker.deadline_ms() == 0) worker.set_deadline_ms(deadline);
  }
}

void Supervisor::drain() {
  draining_ = true;
  for (WorkerProcess& worker : workers_) worker.order(WorkerOrder::kDrain);
  for (const HandedWorker& stranger : strangers_) ::kill(stranger.pid, SIGTERM);
  orphans_.order(WorkerOrder::kDrain);
}

void Supervisor::cut() {
  draining_ = true;
  for (WorkerProcess& worker : workers_) worker.order(WorkerOrder::kCut);
  orphans_.order(WorkerOrder::kCut);
}

void Supervisor::kill_all() {
  for (const WorkerProcess& worker : workers_) ::kill(worker.pid(), SIGKILL);
  for (const HandedWorker& stranger : strangers_) ::kill(stranger.pid, SIGKILL);
  orphans_.kill_all();
}

void Supervisor::leave_behind() {
  for (const WorkerProcess& worker : workers_) {
    log::error("worker {} (pid {}) was killed and does not end: it is left behind",
               worker.slot_index(), worker.pid());
    cut_requests_ += segment_.slot(worker.slot_index()).cut_requests() + take_back(worker);
  }
  cut_requests_ += strangers_.size();  // how many they had stands where we cannot read it
}

std::size_t Supervisor::awaited() const noexcept {
  const auto is_given_up = [](const WorkerProcess& worker) {
    return worker.is_lost() && worker.was_killed_as_hung();
  };
  return alive() -
         static_cast<std::size_t>(std::count_if(workers_.begin(), workers_.end(), is_given_up));
}

std::size_t Supervisor::serving() const noexcept {
  return static_cast<std::size_t>(
      std::count_if(workers_.begin(), workers_.end(), [this](const WorkerProcess& w) {
        return !is_leaving(w) && w.state() == WorkerState::kServing;
      }));
}

std::vector<std::uint64_t> Supervisor::heartbeat_ages_ms() const {
  std::vector<std::uint64_t> ages(segment_.slots_used(), 0);
  for (const WorkerProcess& worker : workers_) {
    if (worker.slot_index() < ages.size()) ages[worker.slot_index()] = worker.heartbeat_age_ms();
  }
  return ages;
}

std::vector<HandedWorker> Supervisor::duplicate_workers() const {
  std::vector<HandedWorker> duplicates;
  for (const WorkerProcess& worker : workers_) duplicates.push_back(worker.duplicate());
  for (const HandedWorker& stranger : strangers_) {
    // Without its channel it would take us for dead, and drain.
    duplicates.push_back({stranger.pid, kMaxWorkerSlots, duplicate_for_exec(stranger.control.get()),
                          stranger.started_ms, 0});
  }
  return duplicates;
}

}  // namespace ringmaster
