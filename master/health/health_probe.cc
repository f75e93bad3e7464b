#include "master/health/health_probe.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "master/lend_buffer.h"
#include "master/version.h"
#include "shared/base/shortage.h"

namespace ringmaster {
namespace {

constexpr std::size_t kMaxHeadBytes = 65'536;
constexpr std::size_t kMaxDiscardedBytes = 262'144;  // of a body that no one asked for

// Interim responses (RFC 9110 section 15.2) are passed over; 101 is final, nothing but tunnel
// follows it.
int on_headers_complete(llhttp_t* parser) noexcept {
  const int status = parser->status_code;
  if (status / 100 == 1 && status != 101) return 0;
  *static_cast<int*>(parser->data) = status;
  return HPE_PAUSED;
}

const llhttp_settings_t& parser_settings() {
  static const llhttp_settings_t settings = [] {
    llhttp_settings_t s;
    llhttp_settings_init(&s);
    s.on_headers_complete = on_headers_complete;
    return s;
  }();
  return settings;
}

// A connection from an ephemeral port to that very port meets itself when no one listens there.
bool is_connected_to_itself(const uv_tcp_t* tcp, std::uint16_t port) noexcept {
  sockaddr_storage here{}, there{};
  int here_size = sizeof here, there_size = sizeof there;
  if (uv_tcp_getsockname(tcp, reinterpret_cast<sockaddr*>(&here), &here_size) != 0 ||
      SocketAddress::from(reinterpret_cast<sockaddr*>(&here)).port() != port ||
      uv_tcp_getpeername(tcp, reinterpret_cast<sockaddr*>(&there), &there_size) != 0) {
    return false;
  }
  return SocketAddress::from(reinterpret_cast<sockaddr*>(&here)) ==
         SocketAddress::from(reinterpret_cast<sockaddr*>(&there));
}

}  // namespace

std::string make_probe_request(const HealthConfig& config, const BackendConfig& backend) {
  if (config.path.empty()) return {};
  return fmt::format(
      "GET {} HTTP/1.1\r\nHost: {}\r\nUser-Agent: ringmaster-health/{}\r\nAccept: */*\r\n"
      "Connection: close\r\n\r\n",
      config.path, config.host.empty() ? backend.address() : config.host, kVersion);
}

HealthProbe::HealthProbe(uv_loop_t* loop, const HealthConfig& config, const SocketAddress& address,
                         const std::string& request, Owner& owner)
    : config_(config),
      owner_(owner),
      deadline_(open_handle<uv_timer_t>(this, uv_timer_init, loop)),
      connection_(open_handle<Connection>(this, uv_tcp_init, loop)),
      port_(address.port()) {
  llhttp_init(&parser_, HTTP_RESPONSE, &parser_settings());
  parser_.data = &status_;
  connection_->request = request;
  connect(address);
}

void HealthProbe::connect(const SocketAddress& address) {
  const auto connected = [](uv_connect_t* request, int status) noexcept {
    auto* self = owner_of<HealthProbe>(request->handle);
    if (self != nullptr) self->on_connected(status);
  };
  const int error =
      uv_tcp_connect(&connection_->connect, connection_.get(), address.get(), connected);
  early_error_ = plain_connect_error(error, address);
  // Before it is connected, or libuv would register the descriptor twice.
  if (early_error_ == 0 && !connection_->request.empty()) read();
  uv_update_time(deadline_->loop);  // the callback that we are in may have taken its time
  due_ms_ = uv_now(deadline_->loop) + static_cast<std::uint64_t>(config_.timeout.count());
  start_timer<&HealthProbe::on_deadline>(deadline_,
                                         early_error_ == 0 ? config_.timeout : Duration{0});
}

void HealthProbe::read() {
  const auto on_bytes = [](uv_stream_t* stream, ssize_t size, const uv_buf_t* buffer) noexcept {
    if (auto* self = owner_of<HealthProbe>(stream)) self->on_read(size, buffer->base);
  };
  uv_read_start(as_stream(connection_), lend_buffer, on_bytes);
}

void HealthProbe::on_connected(int status) {
  if (status != 0) return conclude_error(status);
  if (is_connected_to_itself(connection_.get(), port_)) return conclude_error(UV_ECONNREFUSED);
  if (connection_->request.empty()) return conclude(HealthCause::kNone, "connected");
  send_request();
}

void HealthProbe::send_request() {
  const uv_buf_t bytes =
      uv_buf_init(connection_->request.data(), static_cast<unsigned>(connection_->request.size()));
  // At once, as a rule: a uv_write() would cost the loop a turn for its callback. What a failed
  // write means is for the read to say, for an answer may have come before; unless it is our want.
  int sent = uv_try_write(as_stream(connection_), &bytes, 1);
  if (sent == UV_EAGAIN) sent = 0;
  if (sent < 0 && is_own_shortage(sent)) return conclude_error(sent);
  if (sent < 0 || static_cast<unsigned>(sent) == bytes.len) return;
  const uv_buf_t rest = uv_buf_init(bytes.base + sent,
                                    static_cast<unsigned>(bytes.len) - static_cast<unsigned>(sent));
  uv_write(&connection_->write, as_stream(connection_), &rest, 1, nullptr);
}

void HealthProbe::on_read(ssize_t size, const char* bytes) {
  if (size == 0) return;
  if (size > 0) received_bytes_ += static_cast<std::size_t>(size);
  if (done_) {
    if (size < 0 || received_bytes_ > kMaxDiscardedBytes) close();
  } else if (size == UV_EOF) {
    conclude(HealthCause::kProtocol, received_bytes_ == 0 ? "closed without an answer"
                                                          : "closed in the middle of its answer");
  } else if (size < 0) {
    conclude(HealthCause::kProtocol, uv_strerror(static_cast<int>(size)));
  } else {
    parse(bytes, static_cast<std::size_t>(size));
  }
}

void HealthProbe::parse(const char* bytes, std::size_t size) {
  const llhttp_errno_t error = llhttp_execute(&parser_, bytes, size);
  if (status_ != 0) return judge_status();
  if (error != HPE_OK) {
    const char* reason = llhttp_get_error_reason(&parser_);
    return conclude(HealthCause::kProtocol,
                    fmt::format("not HTTP: {}", reason != nullptr ? reason : "unreadable"));
  }
  if (received_bytes_ > kMaxHeadBytes) {
    conclude(HealthCause::kProtocol,
             fmt::format("no end of the response head in {} KiB", kMaxHeadBytes / 1024));
  }
}

void HealthProbe::judge_status() {
  if (parser_.http_major != 1) {
    return conclude(HealthCause::kProtocol, fmt::format("not HTTP/1: version {}.{}",
                                                        parser_.http_major, parser_.http_minor));
  }
  const auto& expect = config_.expect;
  const bool expected = std::any_of(expect.begin(), expect.end(), [this](const auto& range) {
    return status_ >= range.first && status_ <= range.second;
  });
  conclude(expected ? HealthCause::kNone : HealthCause::kStatus, std::to_string(status_));
}

// libuv runs due timers before it looks at sockets: if this process was kept from running (stopped,
// or busy with a long turn), the answer may be there unread. The time it lost is not the backend's:
// once, it is added to the deadline, and at the very least one more look at the sockets.
void HealthProbe::on_deadline() {
  if (done_) return close();
  if (early_error_ != 0) return conclude_error(early_error_);
  const auto timeout_ms = static_cast<std::uint64_t>(config_.timeout.count());
  if (!std::exchange(extended_, true)) {
    const std::uint64_t late_ms = uv_now(deadline_->loop) - due_ms_;
    const std::uint64_t more_ms = std::clamp<std::uint64_t>(late_ms, 1, timeout_ms + 1);
    return start_timer<&HealthProbe::on_deadline>(deadline_, Duration(more_ms));
  }
  conclude(HealthCause::kTimeout, fmt::format("no answer within {} ms", timeout_ms));
}

void HealthProbe::conclude_error(int uv_error) {
  const bool timed_out = uv_error == UV_ETIMEDOUT;
  if (!is_own_shortage(uv_error)) {
    return conclude(timed_out ? HealthCause::kTimeout : HealthCause::kConnect,
                    uv_strerror(uv_error));
  }
  done_ = true;
  close();
  owner_.on_probe_done({HealthCause::kConnect, uv_strerror(uv_error), true});
}

void HealthProbe::conclude(HealthCause cause, std::string detail) {
  done_ = true;
  if (status_ == 0) close();  // else the rest of the response is still read
  owner_.on_probe_done({cause, std::move(detail)});
}

void HealthProbe::close() noexcept {
  connection_.reset();
  deadline_.reset();
}

}  // namespace ringmaster
