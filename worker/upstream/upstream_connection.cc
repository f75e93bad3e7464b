#include "worker/upstream/upstream_connection.h"

#include <poll.h>

#include <utility>

#include "shared/base/clock.h"
#include "worker/upstream/upstream_pool.h"

namespace ringmaster {

UpstreamConnection::UpstreamConnection(WorkerContext& context, UpstreamPool& pool,
                                       std::uint32_t upstream) noexcept
    : context_(context),
      pool_(pool),
      stream_(*this, context.outbox),
      timer_(context.timers, *this),
      upstream_(upstream) {}

void UpstreamConnection::connect(User& user, const UpstreamState& upstream) {
  user_ = &user;
  // Before the address itself: one that is newer than its number is only closed too soon.
  address_number_ = upstream.address_number();
  connect_started_ns_ = monotonic_ns();
  stream_.open(context_.loop);
  connect_request_.data = this;
  const auto done = [](uv_connect_t* request, int status) noexcept {
    static_cast<UpstreamConnection*>(request->data)->finish_connect(status);
  };
  timer_.arm(context_.config.upstream.connect_timeout);
  early_error_ = stream_.connect(&connect_request_, upstream.address(), done);
  if (early_error_ != 0 && pool_.makes_room_after(early_error_)) {
    early_error_ = stream_.connect(&connect_request_, upstream.address(), done);
  }
  // Told from the loop, like every other outcome: the caller is not ready for it yet.
  if (early_error_ != 0) timer_.arm(Duration::zero());
}

void UpstreamConnection::adopt(User& user, UniqueFd socket) {
  stream_.adopt(context_.loop, socket.release());
  user_ = &user;
  connected_ = reused_ = true;
  stream_.start_reading();
}

void UpstreamConnection::finish_connect(int status) {
  context_.outbox.turn().note_event();
  context_.beat_now_and_then();
  if (user_ == nullptr) return;  // given up meanwhile
  timer_.disarm();
  if (status == 0) {
    connected_ = true;
    connect_ns_ = monotonic_ns() - connect_started_ns_;
    context_.metrics.upstreams[upstream_].connect_duration.observe(connect_ns_);
    stream_.start_reading();
  }
  user_->on_upstream_connected(status);
}

void UpstreamConnection::lend(User& user) noexcept {
  timer_.disarm();
  user_ = &user;
  idle_ = false;
  reused_ = true;
}

void UpstreamConnection::make_idle() noexcept {
  user_ = nullptr;
  idle_ = true;
  idle_since_ms_ = uv_now(context_.loop);
  reads_ = Reads::kUnknown;
  input_.reset();
  stream_.start_reading();
  timer_.arm(context_.config.upstream.idle_timeout);
}

bool UpstreamConnection::looks_stale() const noexcept {
  pollfd look{stream_.fd(), POLLIN | POLLRDHUP, 0};
  return ::poll(&look, 1, 0) != 0;
}

std::span<char> UpstreamConnection::read_room() {
  if (input_ && input_->room().empty() && input_->is_empty()) input_.reset();
  if (!input_)
    input_ = reads_ == Reads::kLong ? context_.bulk_buffers.lend() : context_.buffers.lend();
  return input_->room();
}

bool UpstreamConnection::read_ahead() {
  if (stream_.read_ahead()) return true;
  if (input_ && input_->is_empty()) input_.reset();  // nothing waits in it
  return false;
}

void UpstreamConnection::on_read(std::size_t n) {
  context_.beat_now_and_then();
  if (user_ == nullptr) {  // an answer that nobody asked for
    pool_.discard(*this);
    return;
  }
  input_->commit(n);
  if (reads_ == Reads::kUnknown && input_->room().empty() &&
      input_->pool != &context_.bulk_buffers) {
    n += stream_.read_on(input_, context_.bulk_buffers);
  }
  context_.metrics.worker.upstream_received_bytes.add(n);
  user_->on_upstream_data();
  // What could not be used up leaves the next read without room. Not asked before the user had its
  // turn: to stop and start again costs two system calls.
  if (user_ != nullptr && input_ && input_->room().empty() && !input_->is_empty()) {
    stream_.stop_reading();
  }
}

void UpstreamConnection::on_read_end(int error) {
  if (user_ == nullptr) {
    pool_.on_idle_end(*this);
    return;
  }
  user_->on_upstream_end(error);
}

void UpstreamConnection::on_written(int status) {
  if (user_ != nullptr) user_->on_upstream_written(status);
}

void UpstreamConnection::on_timeout() {
  if (idle_) {
    pool_.discard(*this);
  } else if (user_ != nullptr && !connected_) {
    user_->on_upstream_connected(early_error_ != 0 ? early_error_ : UV_ETIMEDOUT);
  }
}

void UpstreamConnection::close() noexcept {
  user_ = nullptr;
  timer_.disarm();
  input_.reset();
  stream_.close();
}

void UpstreamConnection::on_closed() {
  pool_.bury(*this);
}

}  // namespace ringmaster
