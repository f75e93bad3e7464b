// Whose fault it is that a connection cannot even be tried.
#pragma once

#include <uv.h>

#include "shared/base/socket_address.h"

namespace ringmaster {

// Want of descriptors, memory or local ports (`error`: libuv's) is this process' own trouble: no
// backend is thought the worse of for it.
constexpr bool is_own_shortage(int error) noexcept {
  return error == UV_EMFILE || error == UV_ENFILE || error == UV_ENOBUFS || error == UV_ENOMEM ||
         error == UV_EADDRNOTAVAIL;
}

// What a connect to `to` returned (libuv's error, or 0), made plain. connect(2) says EADDRNOTAVAIL
// when all local ports to that address are taken, which passes, and when this machine has no
// address to reach it from, as where IPv6 is off, which does not: the latter is UV_ENETUNREACH
// here. Makes system calls only to tell these two apart.
int plain_connect_error(int error, const SocketAddress& to) noexcept;

}  // namespace ringmaster
