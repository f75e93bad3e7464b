// What the streams of a worker have to send and have not sent. A message that lies whole in one
// buffer is held back to the end of the loop's turn, and sent right behind those of other streams:
// a peer that would be woken for each finds several when it wakes, and the way through the kernel
// stays in the caches. What the kernel does not take then is libuv's to write. Owner: the worker.
#pragma once

#include <uv.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "worker/io/buffer_pool.h"
#include "worker/io/loop_turn.h"
#include "worker/io/object_pool.h"

namespace ringmaster {

class TcpStream;

// A write that the kernel did not take whole. Owns what it still needs until libuv is done with it.
struct PendingWrite {
  uv_write_t request;
  std::array<BufferLease, 2> holds;
};
using PendingWritePool = ObjectPool<PendingWrite>;

class Outbox {
 public:
  // Does in a pause what cannot wait for the end of a turn that may be very long.
  class Pauser {
   public:
    virtual void on_pause() = 0;

   protected:
    ~Pauser() = default;
  };
  void set_pauser(Pauser& pauser) noexcept { pauser_ = &pauser; }  // for good

  // Sends what is held back. Calls the streams' owners (on_written), so it must be called by none
  // of them.
  void send_held();
  // A turn may be long: what is held back should not wait for all of it, nor what the pauser does.
  // Asked before each read that the loop has told of, and told after any what came.
  bool is_due() const noexcept { return passed_ >= kDue; }
  // Sends it, and in a long turn has the pauser do its part. To be called by no stream's owner, as
  // send_held().
  void pause();
  void note_read(std::ptrdiff_t bytes) noexcept {
    turn_.note_event();
    passed_ += 1 + static_cast<std::uint32_t>(std::max<std::ptrdiff_t>(bytes, 0) / kLongRead);
  }

  PendingWritePool& pending() noexcept { return pending_; }
  LoopTurn& turn() noexcept { return turn_; }

  // For streams. False: there is no room, and nothing was taken.
  bool hold_back(TcpStream& stream, const uv_buf_t& bytes, BufferLease& hold) noexcept;
  // It is not to be sent any more.
  void take_back(const TcpStream& stream) noexcept;

 private:
  // Few enough that what the kernel knows of their sockets stays in the caches.
  static constexpr std::uint32_t kDue = 64;
  // What is read at once and takes as long as another event.
  static constexpr std::ptrdiff_t kLongRead = 8192;
  // One event may bring several: a backend that was ejected, whose requests are asked again.
  static constexpr std::uint32_t kMost = 2 * kDue;
  struct Held {
    TcpStream* stream;  // null: taken back
    uv_buf_t bytes;
    BufferLease hold;
  };

  // Apart, for what is beside us is in use all the time.
  std::vector<Held> held_ = std::vector<Held>(kMost);
  std::uint32_t count_ = 0;
  std::uint32_t passed_ = 0;  // events since the outbox was emptied, or what took as long
  Pauser* pauser_ = nullptr;  // borrowed
  LoopTurn turn_;
  PendingWritePool pending_;
};

}  // namespace ringmaster
