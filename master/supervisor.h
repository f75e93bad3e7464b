// Keeps the wanted number of workers alive: forks, watches, reaps, replaces, and ends them
// together. Runs between two turns of the master's loop, never inside a callback: the child returns
// from spawn_missing() with a clean stack. Owner: the Master.
#pragma once

#include <uv.h>

#include <array>
#include <cstdint>
#include <optional>
#include <vector>

#include "master/listeners.h"
#include "master/worker_process.h"
#include "shared/config.h"
#include "shared/memory/segment.h"
#include "shared/worker_birth.h"

namespace ringmaster {

class Supervisor {
 public:
  // All references outlive the supervisor. `report_fd` is the eventfd by which workers wake the
  // master.
  Supervisor(uv_loop_t* loop, const Config& config, Segment& segment,
             std::vector<Listener>& listeners, int report_fd, std::uint32_t generation);

  // Forks what is missing. In a child it returns what that worker is born with; in the master
  // nothing.
  std::optional<WorkerBirth> spawn_missing();
  // Takes note of every child that ended: its gauges are given back, its counters stay.
  void reap();
  // Kills workers whose heartbeat stopped. At a steady pace of WorkerProcess::kLookEveryMs.
  void kill_hung();
  // The health words changed: workers look at them.
  void ring_all();

  void drain();  // and no replacement from here on
  void cut();    // every request in flight ends now
  void kill_all();

  std::size_t alive() const noexcept { return workers_.size(); }
  std::size_t serving() const noexcept;
  // Requests cut short by workers that had to go, or that died while draining.
  std::uint64_t cut_requests() const noexcept { return cut_requests_; }

 private:
  std::optional<WorkerBirth> spawn(std::uint32_t slot);
  WorkerBirth leave_master(std::uint32_t slot, UniqueFd control);
  void bury(const WorkerProcess& worker, int status);
  std::uint64_t requests_held_by(std::uint32_t slot) const noexcept;
  bool is_free(std::uint32_t slot) const noexcept;

  // Borrowed.
  uv_loop_t* const loop_;
  const Config& config_;
  Segment& segment_;
  std::vector<Listener>& listeners_;  // a child takes its copies of them along
  const int report_fd_;
  const std::uint32_t generation_;
  // Owned.
  std::vector<WorkerProcess> workers_;
  std::array<std::uint32_t, kMaxWorkerSlots> young_deaths_{};  // in a row, by slot
  std::array<std::uint64_t, kMaxWorkerSlots> not_before_ms_{};
  std::uint64_t cut_requests_ = 0;
  bool draining_ = false;
};

}  // namespace ringmaster
