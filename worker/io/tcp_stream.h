// TcpStream: one TCP connection on the worker's loop. Reads go straight into the owner's memory;
// writes are tried at once, or at the end of the loop's turn, and only what the kernel would not
// take is queued, together with the buffers it lies in. An accepted socket joins the loop when
// something must be waited for there: a client that asks once, and is answered, never does, which
// spares three system calls. The owner lives until on_closed(): libuv keeps the handle, which is
// embedded here, that long.
#pragma once

#include <uv.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "shared/base/socket_address.h"
#include "worker/io/buffer_pool.h"
#include "worker/io/outbox.h"

namespace ringmaster {

class TcpStream {
 public:
  class Owner {
   public:
    // Where the next bytes go: asked right before each read. Empty: reading stops.
    virtual std::span<char> read_room() = 0;
    // `n` > 0 bytes were put there.
    virtual void on_read(std::size_t n) = 0;
    // The peer ended its side (UV_EOF) or the connection broke (any other error). Reading has
    // stopped.
    virtual void on_read_end(int error) = 0;
    // A write that had been pending went out whole (0) or failed; kNothingSent: with no byte of it
    // taken by the kernel.
    virtual void on_written(int status) = 0;
    // The last call: the stream may be destroyed, by its owner's destruction.
    virtual void on_closed() = 0;

   protected:
    ~Owner() = default;
  };

  static constexpr int kNothingSent = UV_ECANCELED;

  TcpStream(Owner& owner, Outbox& outbox) noexcept : owner_(owner), outbox_(outbox) {}
  TcpStream(const TcpStream&) = delete;
  TcpStream& operator=(const TcpStream&) = delete;

  // Takes an open, non-blocking socket over. The loop knows nothing of it before start_reading() or
  // a write that has to wait.
  void adopt(uv_loop_t* loop, int fd) noexcept;
  bool has_joined_loop() const noexcept { return joined_; }
  // A fresh handle to connect with; the request and its callback are the caller's.
  void open(uv_loop_t* loop) noexcept;
  int connect(uv_connect_t* request, const SocketAddress& address, uv_connect_cb done);

  // Both do nothing if that is how things are. Stopping and starting anew within one turn of the
  // loop costs no system call.
  void start_reading() noexcept;
  void stop_reading() noexcept;
  // Reads what has come already, if anything has (true), as if the loop had told us of it.
  // Precondition: not reading.
  bool read_what_came() { return receive(); }
  // Reads what the loop may not have told of yet, in a turn that takes long. False: nothing but,
  // perhaps, the end.
  bool read_ahead();

  // From within on_read(), when `input` is full: goes on in one of `bigger`, which gets its bytes
  // and what else has come already. Worth a copy where all of it then goes out in the same write,
  // and wakes its reader once. Returns how many bytes came. An end that is met is told later.
  std::size_t read_on(BufferLease& input, BufferPool& bigger);

  // Tells the owner, as on_read_end() does, if the connection broke while nothing was read. To be
  // called where the loop does not look: with its peer's side ended, or reading stopped for long.
  void look_for_peer();

  enum class WriteStatus : std::uint8_t { kDone, kPending, kFailed };
  // Writes all of `pieces`, at once or later. What is pending keeps the leases in `holds` (taken
  // only then) and whatever else the pieces lie in must stay until on_written(). Precondition:
  // !is_writing().
  WriteStatus write(std::span<uv_buf_t> pieces, std::span<BufferLease*> holds = {});
  // The same for `bytes`, which lie in `hold`, at the end of this turn of the loop and together
  // with those of other streams (as a rule: kPending). If the stream is closed before, they are not
  // sent.
  WriteStatus write_soon(uv_buf_t bytes, BufferLease& hold);
  bool is_writing() const noexcept { return writing_; }
  // Of what is pending nothing was tried yet.
  bool is_held_back() const noexcept { return held_back_; }
  // Of a pending write: what the kernel has not taken.
  std::size_t unsent_bytes() const noexcept {
    return uv_stream_get_write_queue_size(reinterpret_cast<const uv_stream_t*>(&handle_));
  }

  // Whether the peer has taken something of a pending write, or of what the kernel holds before it,
  // since that had to wait or this was asked last. False where none is pending.
  [[gnu::cold]] bool has_moved_on() noexcept;

  // Whether the connection broke before the end that a read has told of: a write met the error
  // first, which takes the kernel's note of it away.
  bool has_broken() const noexcept { return has_broken_; }
  // Sends FIN. Precondition: !is_writing().
  void end_writing() noexcept;
  // The peer would find out at its next read or write otherwise: sends RST and closes.
  [[gnu::cold]] void reset() noexcept;
  // Closes; on_closed() comes in a later callback. Both may be called more than once.
  void close() noexcept;
  bool is_closing() const noexcept { return closing_; }
  int fd() const noexcept { return fd_; }

 private:
  friend class Outbox;
  bool join_loop() noexcept;
  void read();
  bool receive();
  void send_held(uv_buf_t bytes, BufferLease hold);
  void forget_held() noexcept;
  std::uint32_t untaken_bytes() const noexcept;

  // Borrowed: the owner embeds us, the outbox is the worker's.
  Owner& owner_;
  Outbox& outbox_;
  // Owned by libuv between open/adopt and on_closed.
  uv_tcp_t handle_;
  std::uint32_t untaken_ = 0;  // when the pending write had to wait, or has_moved_on() looked
  int fd_ = -1;
  std::uint32_t read_ahead_in_ = 0;  // turn of the loop, in short; 0: none
  bool joined_ : 1 = false;          // the handle has the socket
  bool reading_ : 1 = false;
  bool ended_ : 1 = false;  // nothing will come any more: the owner is told so once
  bool ended_writing_ : 1 = false;
  bool writing_ : 1 = false;
  bool held_back_ : 1 = false;
  bool closing_ : 1 = false;
  bool has_broken_ : 1 = false;
};

inline uv_buf_t as_buf(std::string_view bytes) noexcept {
  return uv_buf_init(const_cast<char*>(bytes.data()), static_cast<unsigned>(bytes.size()));
}

}  // namespace ringmaster
