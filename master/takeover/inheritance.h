// What a master finds at its birth: nothing; sockets of systemd's; the memory and listeners of a
// master that crashed; or all that the image before it left at exec. Whatever nobody takes is
// closed with it.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "master/takeover/handoff.h"
#include "shared/handover_channel.h"
#include "shared/memory/segment.h"

namespace ringmaster {

struct Inheritance {
  bool is_takeover = false;  // this image follows on one that served: the same process, other code
  std::optional<Segment> segment;
  std::vector<Listener> listeners;
  std::vector<Listener> admin;
  ControlSocket control;
  UniqueFd report;
  HandoverChannel handover;
  std::vector<HandedWorker> workers;
  // Workers that serve in a memory whose layout this build does not know: only signals reach them.
  std::vector<HandedWorker> strangers;
  ReloadQueue reloads;
  bool renews = false;
  bool calls_orphans = false;
  // The text of the last good one: better than none for who follows on a crash or an exec. Empty
  // where there is none to go back to, as after a stop in order.
  std::string config;
  std::string failure;  // of the image before: go back to the last good config

  // Of an attempt that failed: they may fit the next one.
  void take_back(std::vector<Listener> clients, std::vector<Listener> for_admin);
};

// Reads the environment; to be called once, first thing. Never fails: what cannot be read is logged
// and left.
Inheritance find_inheritance();

}  // namespace ringmaster
