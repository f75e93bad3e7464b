// All that is opened, or taken over, before there can be a master: sockets, shared memory with the
// config's routing in it, and the lines to the workers.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "master/admin/control_socket.h"
#include "master/config/start_config.h"
#include "master/listeners.h"
#include "master/takeover/inheritance.h"
#include "shared/base/result.h"
#include "shared/base/unique_fd.h"
#include "shared/handover_channel.h"
#include "shared/memory/segment.h"

namespace ringmaster {

struct MasterParts {
  std::vector<Listener> listeners;
  Listener admin;
  ControlSocket control;
  std::string former_control;  // path of the one before, where it was another
  Segment segment;
  std::uint32_t generation;
  std::vector<std::uint32_t> upstreams;  // the segment's index of config.backends[i]
  bool goes_back;                        // to the generation that serves
  UniqueFd report;                       // the eventfd that workers ring
  HandoverChannel handover;
  bool has_orphans_channel;  // a worker that has lost its master can hand over to us
};

// What fits of `inherited`, which loses it, and the rest anew. The error says what could not be
// had; `inherited` is whole then, so that it can be tried with another config.
Result<MasterParts> gather_parts(const StartConfig& start, Inheritance& inherited);

}  // namespace ringmaster
