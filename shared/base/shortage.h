// Whose fault it is that a connection cannot even be tried.
#pragma once

#include <uv.h>

namespace ringmaster {

// Want of descriptors, memory or local ports (`error`: libuv's) is this process' own trouble: no
// backend is thought the worse of for it.
constexpr bool is_own_shortage(int error) noexcept {
  return error == UV_EMFILE || error == UV_ENFILE || error == UV_ENOBUFS || error == UV_ENOMEM ||
         error == UV_EADDRNOTAVAIL;
}

}  // namespace ringmaster
