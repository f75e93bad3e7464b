#include "tests/system/origin.h"

#include <array>
#include <stdexcept>

#include "tests/support/backend.h"

namespace ringmaster::test {
namespace {

constexpr int kBacklog = 4096;

// One connection of the balancer's; closes and frees itself.
struct Connection {
  uv_tcp_t socket{};
  uv_timer_t timer{};
  std::string input;
  std::array<char, 16'384> room{};
  bool is_tunnel = false;
  bool is_waiting = false;
  int open_handles = 2;

  static Connection* of(void* handle) {
    return static_cast<Connection*>(static_cast<uv_handle_t*>(handle)->data);
  }

  explicit Connection(uv_loop_t* loop) {
    uv_tcp_init(loop, &socket);
    uv_timer_init(loop, &timer);
    socket.data = timer.data = this;
  }

  void close() {
    for (auto* handle :
         {reinterpret_cast<uv_handle_t*>(&socket), reinterpret_cast<uv_handle_t*>(&timer)}) {
      if (uv_is_closing(handle) != 0) continue;
      uv_close(handle, [](uv_handle_t* closed) {
        Connection* self = of(closed);
        if (--self->open_handles == 0) delete self;
      });
    }
  }

  void send(std::string_view bytes) {
    struct Write {
      uv_write_t request{};
      std::string bytes;
    };
    auto* write = new Write{{}, std::string(bytes)};
    write->request.data = write;
    const uv_buf_t buffer =
        uv_buf_init(write->bytes.data(), static_cast<unsigned>(write->bytes.size()));
    const int error =
        uv_write(&write->request, reinterpret_cast<uv_stream_t*>(&socket), &buffer, 1,
                 [](uv_write_t* done, int) { delete static_cast<Write*>(done->data); });
    if (error != 0) delete write;
  }

  void answer() {
    is_waiting = false;
    send("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello");
    serve();
  }

  void serve() {
    while (!is_tunnel && !is_waiting) {
      const std::size_t end = input.find("\r\n\r\n");
      if (end == std::string::npos) return;
      const std::string head = input.substr(0, end + 4);
      input.erase(0, end + 4);
      if (head.find("\r\nUpgrade: ") != std::string::npos) {
        is_tunnel = true;
        send("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n");
      } else if (head.starts_with("GET /slow")) {
        is_waiting = true;
        uv_timer_start(
            &timer, [](uv_timer_t* t) { of(t)->answer(); },
            static_cast<std::uint64_t>(Origin::kSlow.count()), 0);
      } else {
        answer();
        return;  // it went on by itself
      }
    }
    if (is_tunnel && !input.empty()) send(std::exchange(input, {}));
  }

  void start_reading() {
    uv_read_start(
        reinterpret_cast<uv_stream_t*>(&socket),
        [](uv_handle_t* handle, std::size_t, uv_buf_t* buffer) {
          *buffer = uv_buf_init(of(handle)->room.data(), sizeof room);
        },
        [](uv_stream_t* stream, ssize_t n, const uv_buf_t* buffer) {
          Connection* self = of(stream);
          if (n < 0) return self->close();
          self->input.append(buffer->base, static_cast<std::size_t>(n));
          self->serve();
        });
  }
};

void on_connection(uv_stream_t* listener, int status) {
  if (status != 0) return;
  auto* connection = new Connection(listener->loop);
  if (uv_accept(listener, reinterpret_cast<uv_stream_t*>(&connection->socket)) != 0) {
    return connection->close();
  }
  uv_tcp_nodelay(&connection->socket, 1);
  connection->start_reading();
}

// Every handle but those of connections lies in the Origin itself.
void close_all(uv_loop_t* loop, void* origin_end) {
  uv_walk(
      loop,
      [](uv_handle_t* handle, void* end) {
        if (uv_is_closing(handle) != 0) return;
        const bool is_connections = handle->data != nullptr && handle != end;
        if (is_connections) return Connection::of(handle)->close();
        uv_close(handle, nullptr);
      },
      origin_end);
}

}  // namespace

Origin::Origin(const std::vector<std::uint16_t>& ports) : ports_(ports), listeners_(ports.size()) {
  uv_loop_init(&loop_);
  uv_async_init(&loop_, &end_, [](uv_async_t* end) { close_all(end->loop, end); });
  for (std::size_t i = 0; i < ports.size(); ++i) {
    sockaddr_in address;
    uv_ip4_addr("127.0.0.1", ports[i], &address);
    uv_tcp_init(&loop_, &listeners_[i]);
    listeners_[i].data = nullptr;
    int error = uv_tcp_bind(&listeners_[i], reinterpret_cast<sockaddr*>(&address), 0);
    if (error == 0) {
      error = uv_listen(reinterpret_cast<uv_stream_t*>(&listeners_[i]), kBacklog, on_connection);
    }
    if (error != 0) throw std::runtime_error(std::string("origin: ") + uv_strerror(error));
  }
  thread_ = std::thread([this] { uv_run(&loop_, UV_RUN_DEFAULT); });
}

Origin::~Origin() {
  uv_async_send(&end_);
  thread_.join();
  uv_loop_close(&loop_);
}

std::string Origin::toml() const {
  std::string text;
  for (std::size_t i = 0; i < ports_.size(); ++i) {
    text += backend_table("b" + std::to_string(i + 1), {"127.0.0.1", ports_[i]});
  }
  return text;
}

}  // namespace ringmaster::test
