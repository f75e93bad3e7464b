// Keeps the wanted number of workers of the present generation alive: forks, watches, reaps,
// replaces, and ends them together; sees those of earlier generations to their end. Runs between
// two turns of the master's loop, never inside a callback: the child returns from spawn_missing()
// with a clean stack. Owner: the Master.
#pragma once

#include <uv.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "master/listeners.h"
#include "master/takeover/handoff.h"
#include "master/workers/orphans.h"
#include "master/workers/worker_process.h"
#include "shared/base/line_limit.h"
#include "shared/config.h"
#include "shared/handover_channel.h"
#include "shared/memory/segment.h"
#include "shared/worker_birth.h"

namespace ringmaster {

class Supervisor {
 public:
  // What a worker gets to end after the order to cut, before it is killed; and an orphan on top of
  // the time to drain.
  static constexpr std::uint64_t kCutPatienceMs = 1'000;
  // What the kernel gets to end what was killed, before nobody waits for it any more.
  static constexpr std::uint64_t kKillPatienceMs = 3'000;

  // What the supervisor borrows; all of it outlives the supervisor.
  struct Resources {
    uv_loop_t* loop;
    const Config& config;
    Segment& segment;
    std::vector<Listener>& listeners;  // a child takes its copies of them along
    int report_fd;                     // the eventfd by which workers wake the master
    const HandoverChannel& handover;
  };
  Supervisor(const Resources& resources, std::uint32_t generation);

  // Workers that the image before forked: our children all the same. Strangers count in a memory
  // that we cannot read.
  void adopt(std::vector<HandedWorker> workers, std::vector<HandedWorker> strangers);

  // Forks what is missing. In a child it returns what that worker is born with; in the master
  // nothing.
  std::optional<WorkerBirth> spawn_missing();
  // Takes note of every child that ended: its gauges are given back, its counters stay.
  void reap();
  // As the first process of a container: buries the orphans of others, which nobody else does.
  // `spared` is a child that somebody else here waits for; 0: there is none.
  void reap_foreign(pid_t spared);
  // At a steady pace of HeartbeatWatch::kLookEveryMs: kills workers whose heartbeat stopped, and
  // cuts those of earlier generations whose time to drain is over.
  void look_after();
  // The health words changed: workers look at them.
  void ring_all();

  // Each worker of ours gives way to a new one, which opens anew what it writes to (the access
  // log). They serve until all the new ones do.
  void renew() noexcept;
  // Some of those still serve.
  bool is_renewing() const noexcept;
  // Workers of all other generations hand over what they can and drain.
  void retire_others();
  // So do the workers of a master that died, now that ours serve; they must share our channel.
  void call_in_orphans() const noexcept { orphans_.call_in(); }
  void drain();  // everyone, and no replacement from here on
  void cut();    // every request in flight ends now
  void kill_all();
  // What was killed and does not end is not waited for: its requests count as cut.
  void leave_behind();

  std::size_t alive() const noexcept { return workers_.size() + strangers_.size(); }
  // The same, without those that were killed long ago and do not end.
  std::size_t awaited() const noexcept;
  // Of a master that died before us.
  std::size_t orphans_alive() const noexcept { return orphans_.alive(); }
  std::size_t serving() const noexcept;  // of the present generation
  // By slot: since when a worker has given no sign of life; 0 where there is none.
  std::vector<std::uint64_t> heartbeat_ages_ms() const;
  // Requests cut short by workers that had to go, or that died while the service stopped.
  std::uint64_t cut_requests() const noexcept { return cut_requests_; }
  // For the next image: duplicates of what is ours.
  std::vector<HandedWorker> duplicate_workers() const;

 private:
  void limit_lingering();
  void retire_superseded();
  std::optional<WorkerBirth> spawn(std::uint32_t slot);
  WorkerBirth leave_master(std::uint32_t slot, UniqueFd control);
  void bury(const WorkerProcess& worker, int status);
  void look_whether_hung(WorkerProcess& worker);
  void count_restart(RestartCause cause) noexcept;
  // It executes nothing any more: gives back what it held, and returns how many requests that was.
  std::uint64_t take_back(const WorkerProcess& worker) noexcept;
  bool is_free(std::uint32_t slot) const noexcept;
  bool is_ours(pid_t pid) const noexcept;
  bool is_of_another(const WorkerProcess& worker) const noexcept;
  bool is_leaving(const WorkerProcess& worker) const noexcept;  // or will be, when others serve
  bool has_place(const WorkerProcess& worker) const noexcept;
  bool lingers(const WorkerProcess& worker) const noexcept;

  // Borrowed.
  const Resources resources_;
  Segment& segment_;
  const std::uint32_t generation_;
  // Owned.
  std::vector<WorkerProcess> workers_;
  std::vector<HandedWorker> strangers_;
  Orphans orphans_;
  std::array<std::uint32_t, kMaxWorkerSlots> young_deaths_{};  // in a row, by slot
  std::array<std::uint64_t, kMaxWorkerSlots> not_before_ms_{};
  log::LineLimit death_lines_{20, 10'000};  // a request that kills its worker may come again
  std::uint64_t cut_requests_ = 0;
  bool draining_ = false;
};

}  // namespace ringmaster
