// What a master finds at its birth: nothing; sockets of systemd's; the memory and listeners of a
// master that crashed; or all that the image before it left at exec. Whatever nobody takes is
// closed with it.
#pragma once

#include <optional>
#include <vector>

#include "master/takeover/handoff.h"
#include "shared/memory/segment.h"

namespace ringmaster {

// What was handed over, in so far as nobody has taken it yet, and what was made of it. After a
// crash it is filled from what systemd kept. `config` is the last good one's text, or empty where
// there is none to go back to, as after a stop in order.
struct Inheritance : Handoff {
  bool is_takeover = false;  // this image follows on one that served: the same process, other code
  std::optional<Segment> segment = {};  // what `memory` is, if this build knows its layout
  // Workers that serve in a memory whose layout this build does not know: only signals reach them.
  std::vector<HandedWorker> strangers = {};

  // Of an attempt that failed: they may fit the next one.
  void take_back(std::vector<Listener> clients, std::vector<Listener> for_admin);
};

// Reads the environment; to be called once, first thing. Never fails: what cannot be read is logged
// and left.
Inheritance find_inheritance();

}  // namespace ringmaster
