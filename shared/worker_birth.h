// What a worker is born with, and how it ends: all that passes between the master's fork and the
// worker's code. Filled by master/workers/supervisor in the child, handed by master/main.cc to
// worker/worker.
#pragma once

#include <cstdint>
#include <vector>

#include "shared/base/unique_fd.h"
#include "shared/config.h"
#include "shared/memory/segment.h"

namespace ringmaster {

// Everything else it finds in shared memory. Config and segment outlive the process.
struct WorkerBirth {
  const Config& config;
  const Segment& segment;
  std::uint32_t slot;
  std::uint32_t generation;
  std::vector<UniqueFd> listeners;
  UniqueFd control;  // its end of the control channel
  // Of the service, shared by all workers and never closed by them.
  int report_fd;     // eventfd that wakes the master
  int hand_over_in;  // the two ends of the HandoverChannel
  int hand_over_out;
};

// How the kernel calls a worker: by this a later master knows one of an earlier.
inline constexpr const char* kWorkerProcessName = "ringmaster-wrkr";

// Exit codes that tell the master how the worker ended.
inline constexpr int kWorkerDone = 0;
inline constexpr int kWorkerCut = 3;          // it had to cut requests short
inline constexpr int kWorkerCannotStart = 4;  // it never served

}  // namespace ringmaster
