// Where the master's connections read to. It has one thread, and libuv reads into the buffer right
// before it calls back: one serves all.
#pragma once

#include <uv.h>

#include <cstddef>

namespace ringmaster {

inline void lend_buffer(uv_handle_t*, std::size_t, uv_buf_t* buffer) noexcept {
  static char bytes[16'384];
  *buffer = uv_buf_init(bytes, sizeof bytes);
}

}  // namespace ringmaster
