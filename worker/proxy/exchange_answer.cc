// Answers in the backend's place: refusals, and what a request asks of a proxy itself.
#include <utility>

#include "worker/proxy/exchange.h"

namespace ringmaster {
namespace {

// A refused request's body that is no longer than this is read to its end rather than the
// connection closed.
constexpr std::uint64_t kMostDiscardedBytes = 64 * 1024;

}  // namespace

// Nothing of a response has gone out yet.
void Exchange::refuse(RejectReason reason, std::uint32_t retry_after_s) {
  WorkerMetrics& metrics = proxy_.context.metrics.worker;
  if (reason == RejectReason::kRateLimited) {
    metrics.rate_limited.add();
  } else {
    metrics.rejected[static_cast<std::size_t>(reason)].add();
  }
  release_upstream();
  retry_permit_.release();
  attempt_.status = 0;                  // whatever a backend said, it is not what the client gets
  if (client_.stream().is_writing()) {  // behind an interim response
    if (id_.is_empty()) name_request({});
    conclude(RequestOutcome::kCut, reason);
    return finish(Ending::kCut);
  }
  LocalResponse response = own_answer(reason);
  response.retry_after_s = retry_after_s;
  BufferLease buffer = proxy_.context.buffers.lend();
  const std::size_t size = write_local_response(response, buffer->data());
  send_own_answer(reason, std::move(buffer), size);
}

// Max-Forwards ran out here (RFC 9110 section 7.6.2).
void Exchange::answer_as_recipient() {
  constexpr auto kReason = RejectReason::kMaxForwards;
  proxy_.context.metrics.worker.rejected[static_cast<std::size_t>(kReason)].add();
  BufferLease buffer = proxy_.context.buffers.lend();
  const LocalResponse response = own_answer(kReason);
  const std::size_t size = write_recipient_response(head_, response, buffer->data());
  send_own_answer(kReason, std::move(buffer), size);
}

LocalResponse Exchange::own_answer(RejectReason reason) noexcept {
  if (id_.is_empty()) name_request({});
  keep_alive_ = keeps_alive_after(reason);
  ending_ = keep_alive_ ? Ending::kKeepAlive : Ending::kLinger;
  return {.reason = reason,
          .close = !keep_alive_,
          .keep_alive_10 = keep_alive_ && head_.version == HttpVersion::k10,
          .head_only = head_.is_head,  // known once the request line was read
          .request_id = id_.text(),
          .date = proxy_.context.date.now(),
          .fault = fault_};
}

void Exchange::send_own_answer(RejectReason reason, BufferLease buffer, std::size_t size) {
  uv_buf_t piece = as_buf({buffer->data(), size});
  proxy_.context.metrics.worker.client_sent_bytes.add(size);
  record_.status = describe(reason).status;
  record_.bytes_out += size;
  conclude(RequestOutcome::kRefused, reason);
  BufferLease* holds[] = {&buffer};
  switch (client_.stream().write({&piece, 1}, holds)) {
    case TcpStream::WriteStatus::kDone:
      return finish(ending_);
    case TcpStream::WriteStatus::kPending:
      phase_ = Phase::kFlushing;
      return client_.timer().arm(config().server.body_timeout);
    case TcpStream::WriteStatus::kFailed:
      return finish(Ending::kCut);
  }
}

bool Exchange::keeps_alive_after(RejectReason reason) noexcept {
  if (phase_ == Phase::kHead || !head_.keep_alive || client_ended_ ||
      reason == RejectReason::kBodyTimeout) {
    return false;
  }
  const bool is_read = attempt_.request_done || head_.framing == BodyFraming::kNone;
  if (!client_.lives_on(is_read && more_came())) return false;
  if (is_read) return true;
  // Who waits for 100 (Continue) may never send the body, or send it all the same: nobody could
  // tell.
  return head_.framing == BodyFraming::kLength && !head_.expects_continue &&
         head_.content_length <= kMostDiscardedBytes;
}

void Exchange::discard_body() {
  Buffer& input = client_.input();
  while (!request_body_.is_done() && body_at_ != input.end) {
    BodyRelay::Batch dropped;
    request_body_.gather({}, {input.data() + body_at_, input.end - body_at_},
                         BodyRelay::Input::kMayMove, dropped);
    body_at_ += static_cast<std::uint32_t>(dropped.consumed);
  }
  if (request_body_.is_done()) return finish(Ending::kKeepAlive);
  input.clear();
  body_at_ = 0;
  client_.timer().arm(config().server.body_timeout);
  client_.resume_reading();
}

}  // namespace ringmaster
