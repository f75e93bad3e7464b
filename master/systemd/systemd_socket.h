// The way to systemd: one message of the sd_notify(3) protocol. Like sd_notify() itself, but that
// waits for ever where nobody reads what was sent before: a service manager that is stuck would
// keep the master from its work.
#pragma once

#include <string>

namespace ringmaster {

// Sends `message`, with descriptor `fd` if it is not negative. 0 where nobody wants to know (no
// NOTIFY_SOCKET), 1 if it was sent; -EAGAIN if there has been no room for it in `patience_ms`, or
// what else is wrong, as a negative errno.
int tell_systemd(const std::string& message, int patience_ms = 0, int fd = -1);

}  // namespace ringmaster
