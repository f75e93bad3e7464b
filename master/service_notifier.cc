#include "master/service_notifier.h"

#include <systemd/sd-daemon.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <utility>

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
  if (line == last_status_) return;
  last_status_ = line;
  std::string one_line = last_status_;  // a line end would begin another assignment
  std::replace(one_line.begin(), one_line.end(), '\n', ' ');
  send("STATUS=" + one_line);
}

void ServiceNotifier::watchdog() {
  std::uint64_t limit_us = 0;
  if (sd_watchdog_enabled(0, &limit_us) <= 0) return;
  const std::uint64_t period_ms = std::max<std::uint64_t>(limit_us / 2000, 1);
  watchdog_ = open_handle<uv_timer_t>(this, uv_timer_init, loop_);
  const auto ping = [](uv_timer_t* timer) noexcept {
    if (auto* self = owner_of<ServiceNotifier>(timer)) self->send("WATCHDOG=1");
  };
  uv_timer_start(watchdog_.get(), ping, 0, period_ms);
}

void ServiceNotifier::send(const std::string& assignment) {
  const int result = sd_notify(0, assignment.c_str());
  if (result < 0 && !std::exchange(failed_, true)) {
    log::warning("cannot notify systemd: {}", std::strerror(-result));
  }
}

}  // namespace ringmaster
