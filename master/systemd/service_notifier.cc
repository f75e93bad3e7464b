#include "master/systemd/service_notifier.h"

#include <systemd/sd-daemon.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <utility>

#include "master/systemd/systemd_socket.h"
#include "shared/base/clock.h"
#include "shared/base/log.h"

namespace ringmaster {

void ServiceNotifier::ready() {
  send("READY=1");
}

void ServiceNotifier::reloading() {
  send(fmt::format("RELOADING=1\nMONOTONIC_USEC={}", monotonic_ns() / 1000));
}

void ServiceNotifier::stopping() {
  send("STOPPING=1");
}

void ServiceNotifier::ask_for_time(std::uint64_t ms) {
  send(fmt::format("EXTEND_TIMEOUT_USEC={}", ms * 1000));
}

void ServiceNotifier::status(std::string_view line) {
  if (!send_waiting() || line == last_status_) return;
  std::string one_line(line);  // a line end would begin another assignment
  std::replace(one_line.begin(), one_line.end(), '\n', ' ');
  if (try_to_send("STATUS=" + one_line)) last_status_ = line;
}

void ServiceNotifier::watchdog() {
  std::uint64_t limit_us = 0;
  if (sd_watchdog_enabled(0, &limit_us) <= 0) return;
  const std::chrono::milliseconds period(std::max<std::uint64_t>(limit_us / 2000, 1));
  watchdog_ = open_handle<uv_timer_t>(this, uv_timer_init, loop_);
  start_timer<&ServiceNotifier::send_watchdog>(watchdog_, {}, period);
}

void ServiceNotifier::send_watchdog() {
  if (send_waiting()) try_to_send("WATCHDOG=1");
}

void ServiceNotifier::send(std::string assignment) {
  waiting_.push_back(std::move(assignment));
  send_waiting();
}

// True if nothing waits any more.
bool ServiceNotifier::send_waiting() {
  while (!waiting_.empty() && try_to_send(waiting_.front())) waiting_.pop_front();
  return waiting_.empty();
}

// False: there is no room yet. What fails for another reason is given up.
bool ServiceNotifier::try_to_send(const std::string& assignment) {
  const int result = tell_systemd(assignment);
  if (result == -EAGAIN) {
    if (!std::exchange(waited_, true))
      log::warning("systemd is not reading notifications; they are queued");
    return false;
  }
  if (result < 0 && !std::exchange(failed_, true)) {
    log::warning("cannot notify systemd: {}", std::strerror(-result));
  }
  return true;
}

}  // namespace ringmaster
