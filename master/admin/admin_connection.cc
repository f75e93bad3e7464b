#include "master/admin/admin_connection.h"

#include <poll.h>

#include <array>
#include <exception>
#include <utility>

#include "master/lend_buffer.h"
#include "shared/base/clock.h"
#include "shared/base/line_limit.h"
#include "shared/base/log.h"

namespace ringmaster {
namespace {

// There is always room for an answer of this size: a probe's, say.
constexpr std::size_t kSmall = 16 << 10;

AdminResponse not_found() {
  return {.status = 404, .body = "there is nothing here\n"};
}

AdminResponse too_slow() {
  return {.status = 503, .body = "too many clients are slow to read their answers\n"};
}

}  // namespace

AdminConnection::AdminConnection(uv_loop_t* loop, const AdminRoutes& routes,
                                 const AdminLimits& limits, Owner& owner)
    : routes_(routes),
      limits_(limits),
      owner_(owner),
      socket_(open_handle<Socket>(this, uv_tcp_init, loop)),
      timer_(open_handle<uv_timer_t>(this, uv_timer_init, loop)),
      parser_(limits.max_head_bytes, limits.accepts_post) {}

bool AdminConnection::accept(uv_stream_t* listener) {
  if (uv_accept(listener, as_stream(socket_)) != 0) return false;
  uv_tcp_nodelay(socket_.get(), 1);
  waits_since_ms_ = uv_now(socket_->loop);
  set_timer(limits_.request_timeout);  // who connects has something to ask
  return start_reading();
}

bool AdminConnection::is_idle() const noexcept {
  return state_ == State::kReading && parser_.is_idle() && input_.empty();
}

bool AdminConnection::is_quiet() const noexcept {
  if (state_ == State::kLingering) return true;
  if (!was_answered_ || !is_idle()) return false;
  uv_os_fd_t fd = -1;
  uv_fileno(reinterpret_cast<const uv_handle_t*>(socket_.get()), &fd);
  pollfd look{fd, POLLIN, 0};
  return ::poll(&look, 1, 0) == 0;
}

bool AdminConnection::start_reading() {
  const auto read = [](uv_stream_t* stream, ssize_t size, const uv_buf_t* buffer) noexcept {
    if (auto* self = owner_of<AdminConnection>(stream)) self->on_read(size, buffer->base);
  };
  const int error = uv_read_start(as_stream(socket_), lend_buffer, read);
  return error == 0;
}

void AdminConnection::on_read(ssize_t size, const char* bytes) {
  if (size == 0) return;
  if (size < 0) return end();
  if (state_ == State::kLingering) return;  // thrown away: the answer is out
  if (is_idle()) {
    waits_since_ms_ = uv_now(socket_->loop);
    set_timer(limits_.request_timeout);
  }
  input_.append(bytes, static_cast<std::size_t>(size));
  parse();
}

void AdminConnection::parse() {
  std::size_t consumed = 0;
  const AdminParser::Status status = parser_.parse(input_, consumed);
  input_.erase(0, consumed);
  switch (status) {
    case AdminParser::Status::kIncomplete:
      return;
    case AdminParser::Status::kComplete:
      return answer();
    case AdminParser::Status::kRefused:
      return send(parser_.refusal(), false, true);
  }
}

void AdminConnection::answer() {
  AdminResponse response = respond();
  if (response.status == kAnsweredLater) return end();
  if (is_too_much(response.body.size())) response = too_slow();
  send(std::move(response), parser_.keep_alive(), !parser_.is_head());
}

// Beside what waits for slow readers.
bool AdminConnection::is_too_much(std::size_t size) const noexcept {
  return size > kSmall && owner_.unsent_bytes() + size > limits_.max_unsent_bytes;
}

// A handler that throws costs its own request, not the master.
AdminResponse AdminConnection::respond() {
  const auto route = routes_.find(parser_.request().path);
  if (route == routes_.end()) return not_found();
  AdminRequest request = parser_.request();
  uv_fileno(reinterpret_cast<const uv_handle_t*>(socket_.get()), &request.connection);
  std::size_t& last_size = owner_.last_size(route->first);
  // While nothing waits it is made all the same: this one may be smaller.
  if (owner_.unsent_bytes() != 0 && is_too_much(last_size)) return too_slow();
  try {
    AdminResponse response = route->second(request);
    last_size = response.body.size();
    return response;
  } catch (const std::exception& e) {
    static log::LineLimit lines(5, 60'000);  // who asks may ask often
    if (lines.admits(monotonic_ms())) {
      log::error("admin: {} failed: {}; please report this{}", route->first, e.what(),
                 lines.note());
    }
    return {.status = 500, .body = "the report failed; see the log\n"};
  }
}

void AdminConnection::send(AdminResponse response, bool keep_alive, bool with_body) {
  state_ = State::kWriting;
  keep_alive_ = keep_alive;
  uv_read_stop(as_stream(socket_));
  set_timer(limits_.write_timeout);
  socket_->head = write_admin_head(response, {keep_alive, parser_.is_http_1_0()});
  socket_->body = with_body ? std::move(response.body) : std::string();

  const std::array<uv_buf_t, 2> bytes{
      uv_buf_init(socket_->head.data(), static_cast<unsigned>(socket_->head.size())),
      uv_buf_init(socket_->body.data(), static_cast<unsigned>(socket_->body.size()))};
  const unsigned count = socket_->body.empty() ? 1 : 2;
  const auto written = [](uv_write_t* request, int status) noexcept {
    auto* self = owner_of<AdminConnection>(request->handle);
    if (self != nullptr) self->on_written(status);
  };
  const int error = uv_write(&socket_->write, as_stream(socket_), bytes.data(), count, written);
  if (error != 0) end();
}

void AdminConnection::on_written(int status) {
  if (status != 0) return end();
  socket_->body = std::string();  // a page of metrics is not kept for a client that idles
  was_answered_ = true;
  if (!keep_alive_) return linger();
  parser_.reset();
  state_ = State::kReading;
  waits_since_ms_ = uv_now(socket_->loop);
  set_timer(input_.empty() ? limits_.idle_timeout : limits_.request_timeout);
  if (!start_reading()) return end();
  if (!input_.empty()) parse();
}

// Our end is closed, theirs is awaited: closing at once, with bytes of theirs unread, would send a
// reset, and that can overtake the answer (RFC 9112 section 9.6).
void AdminConnection::linger() {
  state_ = State::kLingering;
  set_timer(limits_.linger_timeout);
  if (uv_shutdown(&socket_->shutdown, as_stream(socket_), nullptr) != 0) return end();
  if (!start_reading()) end();
}

void AdminConnection::on_timer() {
  if (state_ != State::kReading || parser_.is_idle()) return end();
  send({.status = 408, .body = "the request took too long\n"}, false, true);
}

void AdminConnection::set_timer(std::chrono::milliseconds delay) {
  start_timer<&AdminConnection::on_timer>(timer_, delay);
}

}  // namespace ringmaster
