#include "master/supervisor.h"

#include <sys/wait.h>

#include <algorithm>
#include <csignal>
#include <cstring>

#include "shared/base/clock.h"
#include "shared/base/log.h"

namespace ringmaster {
namespace {

// A worker that lived no longer than this died young; its replacement waits ever longer.
constexpr std::uint64_t kYoungMs = 2'000;
constexpr std::uint64_t kFirstBackOffMs = 100;
constexpr std::uint64_t kLongestBackOffMs = 5'000;

constexpr std::array kMasterSignals{SIGINT, SIGTERM, SIGHUP, SIGCHLD, SIGPIPE};

std::string describe_end(int status) {
  if (WIFSIGNALED(status)) {
    return fmt::format("killed by signal {} ({})", WTERMSIG(status), ::strsignal(WTERMSIG(status)));
  }
  return fmt::format("exited with {}", WEXITSTATUS(status));
}

}  // namespace

Supervisor::Supervisor(uv_loop_t* loop, const Config& config, Segment& segment,
                       std::vector<Listener>& listeners, int report_fd, std::uint32_t generation)
    : loop_(loop),
      config_(config),
      segment_(segment),
      listeners_(listeners),
      report_fd_(report_fd),
      generation_(generation) {}

std::optional<WorkerBirth> Supervisor::spawn_missing() {
  if (draining_) return std::nullopt;
  const auto leaving = [](const WorkerProcess& w) { return w.state() == WorkerState::kDraining; };
  auto staying = workers_.size() -
                 static_cast<std::size_t>(std::count_if(workers_.begin(), workers_.end(), leaving));
  const std::uint64_t now = monotonic_ms();
  for (std::uint32_t slot = 0; slot < kMaxWorkerSlots && staying < config_.server.workers; ++slot) {
    if (!is_free(slot)) continue;
    ++staying;  // also one that waits out its back-off holds its place
    if (now < not_before_ms_[slot]) continue;
    if (auto birth = spawn(slot)) return birth;
  }
  return std::nullopt;
}

bool Supervisor::is_free(std::uint32_t slot) const noexcept {
  return std::none_of(workers_.begin(), workers_.end(),
                      [slot](const WorkerProcess& w) { return w.slot_index() == slot; });
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
    not_before_ms_[slot_index] = monotonic_ms() + kLongestBackOffMs;
    return std::nullopt;
  }
  slot.set_pid(pid);
  workers_.emplace_back(pid, slot_index, slot, std::move(channel->master_end), monotonic_ms());
  log::debug("worker {} started, pid {}", slot_index, pid);
  return std::nullopt;
}

// In the child: lets go of all that is the master's.
WorkerBirth Supervisor::leave_master(std::uint32_t slot, UniqueFd control) {
  uv_loop_fork(loop_);  // until here the child shares the master's epoll set and signal pipe
  for (const int signal : kMasterSignals) ::signal(signal, SIG_IGN);
  ::signal(SIGTERM, SIG_DFL);
  ::signal(SIGCHLD, SIG_DFL);
  uv_walk(
      loop_,
      [](uv_handle_t* handle, void* keep) {
        uv_os_fd_t fd;
        if (uv_fileno(handle, &fd) == 0 && fd != *static_cast<const int*>(keep)) ::close(fd);
      },
      const_cast<int*>(&report_fd_));
  ::close(uv_backend_fd(loop_));
  workers_.clear();  // the others' control channels: their end of file must not wait for us
  std::vector<UniqueFd> sockets;
  for (Listener& listener : listeners_) sockets.push_back(std::move(listener.socket));
  return {config_, segment_, slot, generation_, std::move(sockets), std::move(control), report_fd_};
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
}

void Supervisor::bury(const WorkerProcess& worker, int status) {
  const std::uint32_t index = worker.slot_index();
  WorkerSlot& slot = segment_.slot(index);
  const bool asked_to_leave = worker.state() == WorkerState::kDraining;
  const bool orderly = WIFEXITED(status) && WEXITSTATUS(status) != 4;
  const std::uint64_t held = requests_held_by(index);
  cut_requests_ += slot.cut_requests();
  if (draining_ && !orderly) cut_requests_ += held;
  segment_.master().cut_requests.add(held);
  segment_.metrics(index).release_gauges(segment_.upstream_count());
  slot.release();
  if (asked_to_leave && orderly) {
    log::info("worker {} is done, pid {}", index, worker.pid());
    return;
  }
  const RestartCause cause = worker.was_killed_as_hung() ? RestartCause::kHung
                             : WIFSIGNALED(status)       ? RestartCause::kSignal
                                                         : RestartCause::kExit;
  if (!draining_) segment_.master().worker_restarts[static_cast<std::size_t>(cause)].add();
  const std::uint64_t now = monotonic_ms();
  std::uint32_t& young = young_deaths_[index];
  young = worker.age_ms(now) < kYoungMs ? young + 1 : 0;
  const std::uint64_t wait =
      young < 2 ? 0 : std::min(kFirstBackOffMs << std::min(young - 2, 16u), kLongestBackOffMs);
  not_before_ms_[index] = now + wait;
  log::error("worker {} (pid {}) {}{}, {} requests in flight on it are lost{}", index, worker.pid(),
             describe_end(status), worker.was_killed_as_hung() ? " because it hung" : "", held,
             draining_   ? ""
             : wait == 0 ? "; replacing it now"
                         : fmt::format("; replacing it in {} ms", wait));
}

std::uint64_t Supervisor::requests_held_by(std::uint32_t slot) const noexcept {
  std::uint64_t held = 0;
  for (std::uint32_t i = 0; i < segment_.upstream_count(); ++i) {
    held += segment_.metrics(slot).upstreams[i].in_flight.get();
  }
  return held;
}

void Supervisor::kill_hung() {
  for (WorkerProcess& worker : workers_) {
    if (!worker.looks_hung() || worker.was_killed_as_hung()) continue;
    log::error("worker {} (pid {}) hangs: killing it", worker.slot_index(), worker.pid());
    worker.mark_hung();
    ::kill(worker.pid(), SIGKILL);
  }
}

void Supervisor::ring_all() {
  for (WorkerProcess& worker : workers_) worker.ring_it();
}

void Supervisor::drain() {
  draining_ = true;
  for (WorkerProcess& worker : workers_) worker.order(WorkerOrder::kDrain);
}

void Supervisor::cut() {
  draining_ = true;
  for (WorkerProcess& worker : workers_) worker.order(WorkerOrder::kCut);
}

void Supervisor::kill_all() {
  for (const WorkerProcess& worker : workers_) ::kill(worker.pid(), SIGKILL);
}

std::size_t Supervisor::serving() const noexcept {
  return static_cast<std::size_t>(
      std::count_if(workers_.begin(), workers_.end(),
                    [](const WorkerProcess& w) { return w.state() == WorkerState::kServing; }));
}

}  // namespace ringmaster
