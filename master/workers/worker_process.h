// A worker as its master sees it: a child with a slot, a control channel and signs of life.
// Owner: the Supervisor.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <utility>

#include "master/takeover/handoff.h"
#include "master/workers/heartbeat_watch.h"
#include "shared/base/unique_fd.h"
#include "shared/control_channel.h"
#include "shared/memory/worker_slot.h"

namespace ringmaster {

class WorkerProcess {
 public:
  WorkerProcess(pid_t pid, std::uint32_t slot_index, WorkerSlot& slot, UniqueFd control,
                std::uint64_t now_ms) noexcept
      : slot_(&slot),
        control_(std::move(control)),
        started_ms_(now_ms),
        pid_(pid),
        slot_index_(slot_index) {}

  // One that the image before forked.
  WorkerProcess(HandedWorker&& handed, WorkerSlot& slot) noexcept
      : slot_(&slot),
        control_(std::move(handed.control)),
        started_ms_(handed.started_ms),
        deadline_ms_(handed.deadline_ms),
        pid_(handed.pid),
        slot_index_(handed.slot),
        superseded_(handed.superseded) {}

  pid_t pid() const noexcept { return pid_; }
  std::uint32_t slot_index() const noexcept { return slot_index_; }
  WorkerState state() const noexcept { return slot_->state(); }
  std::uint64_t age_ms(std::uint64_t now_ms) const noexcept { return now_ms - started_ms_; }
  bool was_killed_as_hung() const noexcept { return hung_; }
  // It is as good as dead and cannot be buried yet: the kernel still writes its core, or holds it
  // in a call that does not end (a disk or mount that hangs). Its place is another's.
  bool is_lost() const noexcept { return lost_; }

  void order(WorkerOrder order) noexcept {
    if (order > slot_->order()) slot_->give(order);
    ring(control_.get());
  }
  // It must be gone by then; 0: it need not go.
  void set_deadline_ms(std::uint64_t deadline_ms) noexcept { deadline_ms_ = deadline_ms; }
  std::uint64_t deadline_ms() const noexcept { return deadline_ms_; }
  std::uint32_t generation() const noexcept { return slot_->generation(); }
  WorkerOrder last_order() const noexcept { return slot_->order(); }
  HandedWorker duplicate() const {
    return {pid_,        slot_index_,  duplicate_for_exec(control_.get()),
            started_ms_, deadline_ms_, superseded_};
  }
  void ring_it() noexcept { ring(control_.get()); }

  // Called every HeartbeatWatch::kLookEveryMs.
  bool looks_hung() noexcept { return heartbeat_.has_stopped(*slot_); }
  void mark_hung() noexcept { hung_ = true; }
  void lose() noexcept {
    lost_ = true;
    slot_->lose();
  }
  // Another one of its generation is to take its place.
  void supersede() noexcept { superseded_ = true; }
  bool is_superseded() const noexcept { return superseded_; }
  std::uint64_t heartbeat_age_ms() const noexcept { return heartbeat_.age_ms(); }

 private:
  // Borrowed: the segment's.
  WorkerSlot* slot_;
  // Owned.
  UniqueFd control_;
  HeartbeatWatch heartbeat_;
  std::uint64_t started_ms_;
  std::uint64_t deadline_ms_ = 0;
  pid_t pid_;
  std::uint32_t slot_index_;
  bool hung_ = false;
  bool lost_ = false;
  bool superseded_ = false;
};

}  // namespace ringmaster
