// A backend on the test's own loop, at a port of its own that it keeps for as long as it lives:
// also while it refuses connections no one else can get it.
#pragma once

#include <sys/socket.h>

#include <string>
#include <vector>

#include "shared/base/socket_address.h"
#include "shared/base/unique_fd.h"
#include "shared/base/uv_handle.h"

namespace ringmaster::test {

class FakeBackend {
 public:
  explicit FakeBackend(uv_loop_t* loop) : loop_(loop) {
    reservation_.reset(bound_socket(*SocketAddress::parse("127.0.0.1:0")));
    sockaddr_storage bound{};
    socklen_t size = sizeof bound;
    ::getsockname(reservation_.get(), reinterpret_cast<sockaddr*>(&bound), &size);
    address_ = SocketAddress::from(reinterpret_cast<sockaddr*>(&bound));
    listen();
  }

  const SocketAddress& address() const noexcept { return address_; }

  // What it does with a request.
  std::string reply = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
  bool hangs = false;        // says nothing, as if stopped
  bool closes_after = true;  // its end, once the reply is out
  // What it saw.
  int connections = 0;
  int resets = 0;  // connections that ended otherwise than with an orderly close
  std::vector<std::string> requests;

  void refuse() { listener_.reset(); }
  void listen() {
    listener_ = open_handle<uv_tcp_t>(this, uv_tcp_init, loop_);
    uv_tcp_open(listener_.get(), bound_socket(address_));
    uv_listen(as_stream(listener_), 1024, [](uv_stream_t* stream, int) {
      if (auto* self = owner_of<FakeBackend>(stream)) self->on_connection();
    });
  }

 private:
  struct Connection : uv_tcp_t {
    uv_write_t write;
    uv_shutdown_t shutdown;
    std::string received;
    std::string reply;
  };

  static int bound_socket(const SocketAddress& address) {
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    const int yes = 1;
    ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    if (::bind(fd, address.get(), address.size()) != 0) std::abort();
    return fd;
  }

  void on_connection() {
    auto connection = open_handle<Connection>(this, uv_tcp_init, loop_);
    if (uv_accept(as_stream(listener_), as_stream(connection)) != 0) return;
    ++connections;
    uv_read_start(
        as_stream(connection),
        [](uv_handle_t*, std::size_t, uv_buf_t* buffer) {
          static char bytes[4096];
          *buffer = uv_buf_init(bytes, sizeof bytes);
        },
        [](uv_stream_t* stream, ssize_t size, const uv_buf_t* buffer) {
          auto* self = owner_of<FakeBackend>(stream);
          if (self == nullptr) return;
          self->on_read(*reinterpret_cast<Connection*>(stream), size, buffer->base);
        });
    open_.push_back(std::move(connection));
  }

  void on_read(Connection& connection, ssize_t size, const char* bytes) {
    if (size < 0) return close(connection, static_cast<int>(size));
    connection.received.append(bytes, static_cast<std::size_t>(size));
    if (!connection.received.ends_with("\r\n\r\n")) return;
    requests.push_back(std::exchange(connection.received, {}));
    if (!hangs) answer(connection);
  }

  void answer(Connection& connection) {
    connection.reply = reply;
    const uv_buf_t buffer =
        uv_buf_init(connection.reply.data(), static_cast<unsigned>(connection.reply.size()));
    uv_write(&connection.write, reinterpret_cast<uv_stream_t*>(&connection), &buffer, 1,
             [](uv_write_t* request, int status) {
               auto* self = owner_of<FakeBackend>(request->handle);
               if (self != nullptr && status != 0) ++self->resets;
             });
    if (closes_after) {
      uv_shutdown(&connection.shutdown, reinterpret_cast<uv_stream_t*>(&connection), nullptr);
    }
  }

  void close(Connection& connection, int why) {
    if (why != UV_EOF) ++resets;
    std::erase_if(open_, [&](const auto& owned) { return owned.get() == &connection; });
  }

  uv_loop_t* const loop_;
  UniqueFd reservation_;
  SocketAddress address_;
  OwnedHandle<uv_tcp_t> listener_;
  std::vector<OwnedHandle<Connection>> open_;

 public:
  int open_connections() const { return static_cast<int>(open_.size()); }
};

}  // namespace ringmaster::test
