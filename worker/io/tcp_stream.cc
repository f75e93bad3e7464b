#include "worker/io/tcp_stream.h"

#include <linux/sockios.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstring>
#include <utility>

#include "shared/base/shortage.h"

namespace ringmaster {
namespace {

TcpStream& stream_of(const void* handle) noexcept {
  return *static_cast<TcpStream*>(static_cast<const uv_handle_t*>(handle)->data);
}

// No room for libuv to read into: it says UV_ENOBUFS instead, and we read ourselves.
void offer_no_room(uv_handle_t*, std::size_t, uv_buf_t* room) noexcept {
  *room = uv_buf_init(nullptr, 0);
}

// As libuv does, but through recv(), the shorter way through the kernel for a socket. One read a
// turn: what it leaves makes the loop come back.
ssize_t receive_now(int fd, std::span<char> room) noexcept {
  ssize_t received = 0;
  do {
    received = ::recv(fd, room.data(), room.size(), 0);
  } while (received < 0 && errno == EINTR);
  return received;
}

// As uv_try_write() does, but through send(), the shorter way through the kernel for a socket; what
// it leaves is libuv's to write when there is room.
ssize_t send_now(int fd, std::span<const uv_buf_t> pieces) noexcept {
  static_assert(sizeof(uv_buf_t) == sizeof(iovec) && offsetof(uv_buf_t, base) == 0);
  ssize_t sent = 0;
  do {
    if (pieces.size() == 1) {
      sent = ::send(fd, pieces[0].base, pieces[0].len, MSG_NOSIGNAL);
    } else {
      msghdr message{};
      message.msg_iov = const_cast<iovec*>(reinterpret_cast<const iovec*>(pieces.data()));
      message.msg_iovlen = pieces.size();
      sent = ::sendmsg(fd, &message, MSG_NOSIGNAL);
    }
  } while (sent < 0 && errno == EINTR);
  return sent;
}

}  // namespace

void TcpStream::adopt(uv_loop_t* loop, int fd) noexcept {
  open(loop);
  fd_ = fd;
}

// False: libuv will not have the socket.
bool TcpStream::join_loop() noexcept {
  if (!joined_) joined_ = uv_tcp_open(&handle_, fd_) == 0;
  return joined_;
}

void TcpStream::open(uv_loop_t* loop) noexcept {
  uv_tcp_init(loop, &handle_);  // without a socket it cannot fail
  handle_.data = this;
}

int TcpStream::connect(uv_connect_t* request, const SocketAddress& address, uv_connect_cb done) {
  uv_tcp_nodelay(&handle_, 1);  // kept as a flag and applied once there is a socket
  const int error =
      plain_connect_error(uv_tcp_connect(request, &handle_, address.get(), done), address);
  joined_ = uv_fileno(reinterpret_cast<const uv_handle_t*>(&handle_), &fd_) == 0;
  return error;
}

void TcpStream::start_reading() noexcept {
  if (reading_ || ended_ || closing_ || !join_loop()) return;
  const auto on_readable = [](uv_stream_t* handle, ssize_t, const uv_buf_t*) noexcept {
    stream_of(handle).read();
  };
  reading_ =
      uv_read_start(reinterpret_cast<uv_stream_t*>(&handle_), offer_no_room, on_readable) == 0;
}

void TcpStream::read() {
  if (outbox_.is_due()) {
    outbox_.pause();
    if (!reading_) return;
  }
  // What the loop tells of was read before it did. If there is more, it will tell again.
  if (read_ahead_in_ == outbox_.turn().short_number()) {
    read_ahead_in_ = 0;
    return;
  }
  receive();
}

bool TcpStream::read_ahead() {
  if (!reading_ || !receive()) return false;
  read_ahead_in_ = outbox_.turn().short_number();
  return true;
}

// False: nothing came, or the end.
bool TcpStream::receive() {
  const std::span<char> room = owner_.read_room();
  if (room.empty()) {
    stop_reading();
    return false;
  }
  const ssize_t n = receive_now(fd_, room);
  outbox_.note_read(n);
  if (n > 0) {
    owner_.on_read(static_cast<std::size_t>(n));
    return true;
  }
  const int end = n == 0 ? UV_EOF : uv_translate_sys_error(errno);
  if (end == UV_EAGAIN) return false;
  stop_reading();
  ended_ = true;
  owner_.on_read_end(end);
  return false;
}

std::size_t TcpStream::read_on(BufferLease& input, BufferPool& bigger) {
  BufferLease more = bigger.lend();
  const std::string_view unread = input->unread();
  std::memcpy(more->data(), unread.data(), unread.size());
  more->commit(unread.size());
  input = std::move(more);
  const ssize_t n = receive_now(fd_, input->room());
  // The kernel tells of an error once; the next read will only find an end.
  if (n < 0 && errno != EAGAIN) has_broken_ = true;
  if (n <= 0) return 0;
  outbox_.note_read(n);
  input->commit(static_cast<std::size_t>(n));
  return static_cast<std::size_t>(n);
}

void TcpStream::stop_reading() noexcept {
  if (!reading_) return;
  reading_ = false;
  uv_read_stop(reinterpret_cast<uv_stream_t*>(&handle_));
}

void TcpStream::look_for_peer() {
  if (reading_ || closing_ || !joined_) return;
  pollfd look{fd(), 0, 0};
  if (::poll(&look, 1, 0) <= 0) return;
  // Told without being asked for. A hang-up alone: a write met the error before, or both sides have
  // ended in order, and what came last may still be unread.
  const int broken = ended_writing_ ? POLLERR : POLLERR | POLLHUP;
  if ((look.revents & broken) == 0) return;
  ended_ = true;
  owner_.on_read_end(UV_ECONNRESET);
}

TcpStream::WriteStatus TcpStream::write(std::span<uv_buf_t> pieces, std::span<BufferLease*> holds) {
  if (closing_) return WriteStatus::kFailed;
  const ssize_t sent = send_now(fd(), pieces);
  if (sent < 0 && errno != EAGAIN) {
    // EPIPE: a reset behind the peer's end, which answers what was sent after that.
    if (errno != EPIPE) has_broken_ = true;
    return WriteStatus::kFailed;
  }
  std::size_t left = sent > 0 ? static_cast<std::size_t>(sent) : 0;
  std::size_t first = 0;
  while (first < pieces.size() && left >= pieces[first].len) left -= pieces[first++].len;
  if (first == pieces.size()) return WriteStatus::kDone;
  pieces[first].base += left;
  pieces[first].len -= left;

  if (!join_loop()) return WriteStatus::kFailed;
  PendingWrite* pending = outbox_.pending().create();
  for (std::size_t i = 0; i < holds.size(); ++i) pending->holds[i] = std::move(*holds[i]);
  pending->request.data = this;
  const auto done = [](uv_write_t* request, int status) noexcept {
    auto* self = static_cast<TcpStream*>(request->data);
    self->outbox_.turn().note_event();
    self->outbox_.pending().destroy(reinterpret_cast<PendingWrite*>(request));
    self->writing_ = false;
    if (status != 0 && status != UV_EPIPE && status != UV_ECANCELED) self->has_broken_ = true;
    if (!self->closing_) self->owner_.on_written(status);
  };
  writing_ = true;
  const int error =
      uv_write(&pending->request, reinterpret_cast<uv_stream_t*>(&handle_), pieces.data() + first,
               static_cast<unsigned>(pieces.size() - first), done);
  untaken_ = untaken_bytes();
  if (error == 0) return WriteStatus::kPending;
  writing_ = false;
  outbox_.pending().destroy(pending);
  return WriteStatus::kFailed;
}

TcpStream::WriteStatus TcpStream::write_soon(uv_buf_t bytes, BufferLease& hold) {
  if (closing_) return WriteStatus::kFailed;
  if (!outbox_.hold_back(*this, bytes, hold)) {
    BufferLease* holds[] = {&hold};
    return write({&bytes, 1}, holds);
  }
  writing_ = held_back_ = true;
  return WriteStatus::kPending;
}

// The outbox has come to what we held back.
void TcpStream::send_held(uv_buf_t bytes, BufferLease hold) {
  writing_ = held_back_ = false;
  BufferLease* holds[] = {&hold};
  switch (write({&bytes, 1}, holds)) {
    case WriteStatus::kDone:
      hold.reset();  // for what the owner may have to send next
      return owner_.on_written(0);
    case WriteStatus::kPending:
      return;
    case WriteStatus::kFailed:
      return owner_.on_written(kNothingSent);
  }
}

void TcpStream::forget_held() noexcept {
  if (held_back_) outbox_.take_back(*this);
  held_back_ = false;
}

// Of a pending write, which lies in a few buffers, and of what the kernel holds.
std::uint32_t TcpStream::untaken_bytes() const noexcept {
  int held = 0;
  ::ioctl(fd(), SIOCOUTQ, &held);
  return static_cast<std::uint32_t>(unsent_bytes()) + static_cast<std::uint32_t>(held);
}

bool TcpStream::has_moved_on() noexcept {
  if (!writing_) return false;
  const std::uint32_t untaken = untaken_bytes();
  return untaken < std::exchange(untaken_, untaken);
}

void TcpStream::end_writing() noexcept {
  if (closing_) return;
  ended_writing_ = true;
  ::shutdown(fd(), SHUT_WR);
}

void TcpStream::reset() noexcept {
  if (closing_) return;
  const linger at_once{.l_onoff = 1, .l_linger = 0};
  ::setsockopt(fd(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
  close();
}

void TcpStream::close() noexcept {
  if (closing_) return;
  closing_ = true;
  reading_ = false;
  forget_held();
  if (!joined_ && fd_ >= 0) ::close(fd_);  // libuv knows nothing of it
  const auto on_closed = [](uv_handle_t* handle) noexcept { stream_of(handle).owner_.on_closed(); };
  uv_close(reinterpret_cast<uv_handle_t*>(&handle_), on_closed);
}

}  // namespace ringmaster
