#include "master/demo/demo_backends.h"

#include <llhttp.h>
#include <sys/prctl.h>
#include <uv.h>

#include <algorithm>
#include <charconv>
#include <csignal>
#include <string>
#include <string_view>
#include <utility>

#include "master/listeners.h"

namespace ringmaster {
namespace {

constexpr unsigned kLongestSleepS = 60;

// One connection to a demo backend: requests in turn, each answered with who answered.
class DemoConnection {
 public:
  DemoConnection(uv_stream_t* server, const std::string& name) : name_(name) {
    llhttp_settings_init(&settings_);
    settings_.on_message_begin = [](llhttp_t* parser) {
      of(parser).target_.clear();
      return 0;
    };
    settings_.on_url = [](llhttp_t* parser, const char* at, std::size_t n) {
      of(parser).target_.append(at, n);
      return 0;
    };
    settings_.on_message_complete = [](llhttp_t*) { return static_cast<int>(HPE_PAUSED); };
    llhttp_init(&parser_, HTTP_REQUEST, &settings_);
    parser_.data = this;
    uv_tcp_init(server->loop, &socket_);
    uv_timer_init(server->loop, &sleep_);
    socket_.data = sleep_.data = write_.data = this;
    uv_accept(server, as_stream());
    read_on();
  }

 private:
  static DemoConnection& of(llhttp_t* parser) {
    return *static_cast<DemoConnection*>(parser->data);
  }
  uv_stream_t* as_stream() { return reinterpret_cast<uv_stream_t*>(&socket_); }

  void read_on() {
    uv_read_start(
        as_stream(),
        [](uv_handle_t* handle, std::size_t, uv_buf_t* room) {
          auto* self = static_cast<DemoConnection*>(handle->data);
          *room = uv_buf_init(self->bytes_, sizeof self->bytes_);
        },
        [](uv_stream_t* stream, ssize_t n, const uv_buf_t* room) {
          auto* self = static_cast<DemoConnection*>(stream->data);
          if (n < 0) return self->close();
          self->parse(room->base, static_cast<std::size_t>(n));
        });
  }

  // A load balancer sends one request at a time; what else came with it is not looked at.
  void parse(const char* bytes, std::size_t size) {
    const llhttp_errno_t result = llhttp_execute(&parser_, bytes, size);
    if (result == HPE_OK) return;
    if (result != HPE_PAUSED) return close();
    uv_read_stop(as_stream());
    uv_timer_start(
        &sleep_, [](uv_timer_t* timer) { static_cast<DemoConnection*>(timer->data)->answer(); },
        sleep_ms(), 0);
  }

  std::uint64_t sleep_ms() const {
    constexpr std::string_view kPath = "/sleep/";
    if (!target_.starts_with(kPath)) return 0;
    unsigned seconds = 0;
    std::from_chars(target_.data() + kPath.size(), target_.data() + target_.size(), seconds);
    return std::min(seconds, kLongestSleepS) * std::uint64_t{1000};
  }

  void answer() {
    const std::string body = name_ + " answers " + target_ + "\n";
    response_ = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nX-Backend: " + name_ +
                "\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" +
                (parser_.method == HTTP_HEAD ? "" : body);
    const uv_buf_t piece = uv_buf_init(response_.data(), static_cast<unsigned>(response_.size()));
    uv_write(&write_, as_stream(), &piece, 1, [](uv_write_t* write, int status) {
      auto* self = static_cast<DemoConnection*>(write->data);
      if (status != 0) return self->close();
      llhttp_reset(&self->parser_);
      self->read_on();
    });
  }

  void close() {
    if (uv_is_closing(reinterpret_cast<uv_handle_t*>(&socket_))) return;
    uv_close(reinterpret_cast<uv_handle_t*>(&socket_), [](uv_handle_t* handle) {
      auto* self = static_cast<DemoConnection*>(handle->data);
      uv_close(reinterpret_cast<uv_handle_t*>(&self->sleep_),
               [](uv_handle_t* timer) { delete static_cast<DemoConnection*>(timer->data); });
    });
  }

  const std::string& name_;
  uv_tcp_t socket_;
  uv_timer_t sleep_;
  uv_write_t write_;
  llhttp_t parser_;
  llhttp_settings_t settings_;
  std::string target_;
  std::string response_;
  char bytes_[8192];
};

[[noreturn]] void serve(std::vector<Listener> listeners, std::vector<std::string> names) {
  ::prctl(PR_SET_NAME, "ringmaster-demo");
  // A ^C in the terminal is for the balancer, which still needs us while it drains.
  ::signal(SIGINT, SIG_IGN);
  ::signal(SIGTERM, SIG_IGN);
  ::signal(SIGPIPE, SIG_IGN);
  uv_loop_t loop;
  uv_loop_init(&loop);
  std::vector<uv_tcp_t> servers(listeners.size());
  for (std::size_t i = 0; i < listeners.size(); ++i) {
    uv_tcp_init(&loop, &servers[i]);
    uv_tcp_open(&servers[i], listeners[i].socket.release());
    servers[i].data = &names[i];
    uv_listen(reinterpret_cast<uv_stream_t*>(&servers[i]), 1024, [](uv_stream_t* server, int) {
      new DemoConnection(server, *static_cast<std::string*>(server->data));
    });
  }
  uv_run(&loop, UV_RUN_DEFAULT);
  ::_exit(0);
}

}  // namespace

Result<void> start_demo_backends(const std::vector<BackendConfig>& backends) {
  std::vector<Listener> listeners;
  std::vector<std::string> names;
  for (const BackendConfig& backend : backends) {
    auto listener = open_listener(*SocketAddress::parse(backend.address()));
    if (!listener) return Error{listener.error()};
    listeners.push_back(*std::move(listener));
    names.push_back(backend.name);
  }
  const pid_t parent = ::getpid();
  const pid_t child = ::fork();
  if (child < 0) return Error{"cannot start the demo backends: fork failed"};
  if (child > 0) return {};
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent) ::_exit(0);  // it died before that
  serve(std::move(listeners), std::move(names));
}

}  // namespace ringmaster
