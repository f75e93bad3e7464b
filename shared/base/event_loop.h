// EventLoop: owns a libuv loop. Declared before what lives on it, so that it outlives it; its end
// lets the close callbacks run that free the handles.
#pragma once

#include <uv.h>

#include <stdexcept>

namespace ringmaster {

class EventLoop {
 public:
  EventLoop() {
    if (uv_loop_init(&loop_) != 0) throw std::runtime_error("cannot create an event loop");
  }
  EventLoop(const EventLoop&) = delete;
  EventLoop& operator=(const EventLoop&) = delete;
  ~EventLoop() {
    // A look-up under way in libuv's thread pool may take long: it is not waited for.
    for (int turn = 0; turn < 16 && uv_run(&loop_, UV_RUN_NOWAIT) != 0; ++turn) {
    }
    uv_loop_close(&loop_);
  }

  uv_loop_t* get() noexcept { return &loop_; }

 private:
  uv_loop_t loop_;
};

}  // namespace ringmaster
