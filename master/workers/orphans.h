// Workers of a master that died: they saw it and drain, in slots of the memory that we found. They
// are not our children, so they are watched through pidfds until they are gone, and their slots are
// not given to anyone before. Owner: the Supervisor.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <vector>

#include "master/workers/heartbeat_watch.h"
#include "shared/base/unique_fd.h"
#include "shared/memory/segment.h"

namespace ringmaster {

class Orphans {
 public:
  explicit Orphans(Segment& segment) noexcept : segment_(segment) {}

  // Takes every slot in use that `is_ours` does not claim.
  template <class IsOurs>
  void find(IsOurs&& is_ours) {
    for (std::uint32_t slot = 0; slot < segment_.slots_used(); ++slot) {
      if (segment_.slot(slot).state() != WorkerState::kFree && !is_ours(slot)) take(slot);
    }
  }
  // Called every HeartbeatWatch::kLookEveryMs. Gives back what dead ones held, and kills those that
  // hang or outlived `patience_ms` since they were found. Returns how many requests were cut short
  // with those that have ended.
  std::uint64_t look_after(std::uint64_t patience_ms);
  // They give what they can to those that serve now, over the channel that they share with them.
  void call_in() const noexcept;
  // Gives them an order of ours, and a sign to look at it.
  void order(WorkerOrder order) noexcept;
  void kill_all() const noexcept;
  // Processes that were found and have not ended yet, as far as look_after() has seen.
  std::size_t alive() const noexcept;
  bool holds(std::uint32_t slot) const noexcept;

 private:
  struct Orphan {
    std::uint32_t slot;
    pid_t pid;       // 0: its fork may have been under way when the master died
    UniqueFd pidfd;  // not open: no such process, or it is being born
    std::uint64_t found_ms;
    HeartbeatWatch heartbeat{};
    bool is_told_of = false;  // that it does not end
  };
  void take(std::uint32_t slot);
  void look_for(Orphan& orphan);
  bool is_gone(const Orphan& orphan) const noexcept;
  void signal_all(int number) const noexcept;

  // Borrowed.
  Segment& segment_;
  // Owned.
  std::vector<Orphan> orphans_;
};

}  // namespace ringmaster
