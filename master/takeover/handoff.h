// What one image of the master leaves to the next across exec (reload, package upgrade): the
// descriptors, and what cannot be read off them. Written as JSON into a memfd, whose number is in
// the environment; so an older and a newer binary understand each other.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "master/admin/control_socket.h"
#include "master/listeners.h"
#include "master/takeover/handed_backends.h"
#include "shared/base/result.h"
#include "shared/base/unique_fd.h"
#include "shared/handover_channel.h"

namespace ringmaster {

struct HandedWorker {
  pid_t pid = 0;
  std::uint32_t slot = 0;
  UniqueFd control;
  std::uint64_t started_ms = 0;   // CLOCK_MONOTONIC
  std::uint64_t deadline_ms = 0;  // by when it must have drained; 0: it was not told to
  bool superseded = false;        // gives way once others of its generation serve
};

// Who waits for a reload: connections on which an answer is awaited.
struct ReloadQueue {
  std::vector<UniqueFd> waiters;  // of the one under way
  std::vector<UniqueFd> later;    // of the one after it
  bool again = false;             // there is to be one, whether anyone waits for it or not
};

// Owns its descriptors. A master that writes one fills it with duplicates of its own: duplicates
// survive exec, and are closed if it comes to none.
struct Handoff {
  UniqueFd memory;  // the segment's memfd
  UniqueFd report;  // the eventfd that workers ring
  HandoverChannel handover;
  std::vector<Listener> listeners;
  std::vector<Listener> admin;  // the present one first
  ControlSocket control;
  std::vector<HandedWorker> workers;
  ReloadQueue reloads;
  bool renews = false;         // the workers are to open the access log anew
  bool calls_orphans = false;  // workers of a master that died share the channel: not called in yet
  // For an image that cannot use the memory: the text of the config in force, and the backends.
  // Empty from an image that knew nothing of it.
  std::string config;
  std::vector<HandedBackend> backends;
  // Not empty: the new config or binary cannot serve, and this says why. The image that reads it
  // goes back to the last good config and the generation that still serves.
  std::string failure;
};

// A memfd that survives exec; its number belongs into kHandoffVariable.
Result<UniqueFd> write_handoff(const Handoff& handoff);

// What the environment announces, or nothing. Descriptors are close-on-exec again, and the
// environment is cleared. The error says why a handoff that was announced cannot be read.
Result<std::optional<Handoff>> read_handoff();

inline constexpr const char* kHandoffVariable = "RINGMASTER_HANDOFF";

}  // namespace ringmaster
