// Tells systemd how we are: sd_notify(3). Does nothing where no one listens (no NOTIFY_SOCKET), and
// never unsets the variables: a reload is an exec of this same process, which must still be able to
// report. Owner: the Master.
#pragma once

#include <uv.h>

#include <cstdint>
#include <deque>
#include <string>
#include <string_view>

#include "shared/base/uv_handle.h"

namespace ringmaster {

class ServiceNotifier {
 public:
  explicit ServiceNotifier(uv_loop_t* loop) noexcept : loop_(loop) {}
  ServiceNotifier(const ServiceNotifier&) = delete;
  ServiceNotifier& operator=(const ServiceNotifier&) = delete;

  void ready();
  // A reload begins; ready() ends it, whatever came of it.
  void reloading();
  void stopping();
  // What is under way may take that long from now, also where the unit's timeout is shorter.
  void ask_for_time(std::uint64_t ms);
  // One line for people, shown by `systemctl status`: "serving: 3 of 3 backends up, 4 workers".
  // Sent only when it differs from the last. Called now and then: what found no room before is sent
  // first.
  void status(std::string_view line);
  // Where the unit has WatchdogSec=, begins to report at half of it that the loop still turns.
  void watchdog();

 private:
  // What must not be lost waits for room, in order, and what comes after it too; until an exec.
  void send(std::string assignment);
  bool send_waiting();
  void send_watchdog();
  bool try_to_send(const std::string& assignment);

  // Borrowed.
  uv_loop_t* const loop_;
  // Owned.
  OwnedHandle<uv_timer_t> watchdog_;
  std::string last_status_;
  std::deque<std::string> waiting_;
  bool failed_ = false;  // and so logged
  bool waited_ = false;  // likewise
};

}  // namespace ringmaster
