#include "master/workers/orphans.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <string_view>
#include <utility>

#include "shared/base/clock.h"
#include "shared/base/log.h"
#include "shared/base/shortage.h"
#include "shared/worker_birth.h"

namespace ringmaster {
namespace {

// A child that was being forked when its master died has written its pid after this long.
constexpr std::uint64_t kBirthMs = 2'000;

struct Found {
  UniqueFd pidfd;
  bool is_sure = true;  // else we were short of descriptors, and it is to be looked for again
};

// The process, if there is one and it is a worker: pids are used again. A child that its master had
// no time to see born has no name yet.
Found find_worker(pid_t pid) {
  const auto none = [] { return Found{{}, !is_own_shortage(uv_translate_sys_error(errno))}; };
  UniqueFd pidfd(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
  if (!pidfd.is_open()) return none();
  const UniqueFd comm(::open(fmt::format("/proc/{}/comm", pid).c_str(), O_RDONLY | O_CLOEXEC));
  if (!comm.is_open()) return none();
  std::array<char, 32> name{};
  const ssize_t size = ::read(comm.get(), name.data(), name.size());
  const std::string_view text(name.data(), static_cast<std::size_t>(std::max<ssize_t>(size, 0)));
  if (text.substr(0, text.find('\n')) != kWorkerProcessName) return {};
  return {std::move(pidfd)};
}

}  // namespace

void Orphans::take(std::uint32_t slot) {
  const pid_t pid = segment_.slot(slot).pid();
  orphans_.push_back({slot, pid, {}, monotonic_ms()});
  look_for(orphans_.back());
}

void Orphans::look_for(Orphan& orphan) {
  if (orphan.pid == 0) orphan.pid = segment_.slot(orphan.slot).pid();
  if (orphan.pid == 0 || orphan.pidfd.is_open()) return;
  Found found = find_worker(orphan.pid);
  orphan.pidfd = std::move(found.pidfd);
  // Its slot is not given away on a guess: two workers would write it.
  if (!found.is_sure) orphan.found_ms = monotonic_ms();
}

bool Orphans::is_gone(const Orphan& orphan) const noexcept {
  if (!orphan.pidfd.is_open()) {
    const bool may_be_unborn = orphan.pid == 0 || ::kill(orphan.pid, 0) == 0;
    return !may_be_unborn || monotonic_ms() - orphan.found_ms > kBirthMs;
  }
  pollfd look{orphan.pidfd.get(), POLLIN, 0};  // readable once the process has ended
  return ::poll(&look, 1, 0) > 0;
}

std::uint64_t Orphans::look_after(std::uint64_t patience_ms) {
  std::uint64_t cut = 0;
  std::erase_if(orphans_, [&](Orphan& orphan) {
    look_for(orphan);
    if (!is_gone(orphan)) {
      const bool hangs = orphan.heartbeat.has_stopped(segment_.slot(orphan.slot));
      const bool may_stay = !hangs && monotonic_ms() - orphan.found_ms < patience_ms;
      if (may_stay || !orphan.pidfd.is_open()) return false;
      if (!std::exchange(orphan.is_told_of, true)) {
        log::warning("worker {} of an earlier master (pid {}) {}: killing it", orphan.slot,
                     orphan.pid, hangs ? "hangs" : "does not end");
      }
      ::syscall(SYS_pidfd_send_signal, orphan.pidfd.get(), SIGKILL, nullptr, 0);
      return false;
    }
    MetricsSlab& metrics = segment_.metrics(orphan.slot);
    cut += segment_.slot(orphan.slot).cut_requests() +
           metrics.requests_held(segment_.upstream_count());
    metrics.release_gauges(segment_.upstream_count());
    segment_.slot(orphan.slot).release();
    return true;
  });
  return cut;
}

void Orphans::call_in() const noexcept {
  signal_all(SIGUSR1);
}

// Their control channels ended with their master.
void Orphans::order(WorkerOrder order) noexcept {
  for (const Orphan& orphan : orphans_) segment_.slot(orphan.slot).give(order);
  signal_all(SIGTERM);
}

void Orphans::kill_all() const noexcept {
  signal_all(SIGKILL);
}

void Orphans::signal_all(int number) const noexcept {
  for (const Orphan& orphan : orphans_) {
    if (!orphan.pidfd.is_open()) continue;
    ::syscall(SYS_pidfd_send_signal, orphan.pidfd.get(), number, nullptr, 0);
  }
}

std::size_t Orphans::alive() const noexcept {
  return static_cast<std::size_t>(
      std::count_if(orphans_.begin(), orphans_.end(),
                    [](const Orphan& orphan) { return orphan.pidfd.is_open(); }));
}

bool Orphans::holds(std::uint32_t slot) const noexcept {
  return std::any_of(orphans_.begin(), orphans_.end(),
                     [slot](const Orphan& orphan) { return orphan.slot == slot; });
}

}  // namespace ringmaster
