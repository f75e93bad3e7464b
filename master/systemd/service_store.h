// systemd's store of descriptors (FileDescriptorStoreMax=): what a master that dies leaves to the
// one that systemd starts after it, and the sockets of a .socket unit. Does nothing without
// systemd.
#pragma once

#include <vector>

#include "master/listeners.h"
#include "shared/base/unique_fd.h"
#include "shared/handover_channel.h"

namespace ringmaster {

struct StoredDescriptors {
  UniqueFd memory;           // the segment's memfd; not open where none was stored
  HandoverChannel handover;  // of the workers that a dead master left; likewise
  std::vector<Listener> listeners;
};

// Takes what systemd passed (LISTEN_FDS) and clears the environment of it. To be called once, first
// thing: until then these numbers belong to nobody.
StoredDescriptors take_from_systemd();

// Leaves the segment, the line between workers and our own listeners with systemd. `in_place`: the
// first two of what was there; else all beside it. What is there already stays as it is.
void store_with_systemd(int memory, const HandoverChannel& handover,
                        const std::vector<Listener>& listeners, bool in_place);
// It is being closed.
void forget_stored(const Listener& listener);

}  // namespace ringmaster
