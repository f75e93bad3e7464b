// The request's way to the backend: the rewritten head, then the body as it comes, with back
// pressure.
#include "worker/proxy/exchange.h"

namespace ringmaster {

static_assert(kHeadSlack >= kForwardingOverhead);  // a head as long as allowed finds room

void Exchange::send_request() {
  char address[INET6_ADDRSTRLEN];
  std::string default_host;
  if (head_.authority.empty()) {
    default_host = proxy_.context.segment.upstream(upstream_index_).address().to_string();
  }
  const RequestForwarding how{.client_ip = {address, peer_.format(address)},
                              .peer_is_trusted = proxy_.admission.is_trusted(peer_),
                              .keep_upgrade = head_.wants_upgrade,
                              .via_name = proxy_.context.via_name,
                              .request_id = id_.text(),
                              .forwarded = config().server.forwarded,
                              .scheme = client_.came_over_tls() ? "https" : "http",
                              .default_host = default_host};
  BufferLease buffer = proxy_.context.buffers.lend();
  const std::size_t size = write_request_head(head_, how, buffer->data(), buffer->capacity);
  if (size == 0) return refuse(RejectReason::kHeaderTooLarge);
  upstream_->expect(UpstreamConnection::Reads::kUnknown);
  note_asked();
  if (write_request({buffer->data(), size}, &buffer)) pump_request();
}

// In a long turn nothing is sent unseen (use_idle_connection): what is read ahead came after the
// request.
void Exchange::note_asked() noexcept {
  AskedHook::unlink();
  if (proxy_.context.outbox.turn().may_get_long()) proxy_.asked.push_back(*this);
}

void Exchange::pump_request() {
  while (!attempt_.request_done && !attempt_.request_broken && !upstream_->stream().is_writing()) {
    if (body_at_ == client_.input().end) return reclaim_input();
    if (!write_request({}, nullptr)) return;
  }
  const bool is_long = client_.input().capacity > proxy_.context.buffers.capacity();
  if (is_long && attempt_.request_done && !upstream_->stream().is_writing()) forget_request();
}

// One write: `prefix` and what there is of the body. False if the exchange may be over.
bool Exchange::write_request(std::string_view prefix, BufferLease* hold) {
  Buffer& input = client_.input();
  BodyRelay::Batch batch;
  // What may have to be sent again stays as it came.
  const auto use = replayable_ ? BodyRelay::Input::kStays : BodyRelay::Input::kMayMove;
  request_body_.gather(prefix, {input.data() + body_at_, input.end - body_at_}, use, batch);
  attempt_.request_bytes += batch.data_bytes;
  const std::uint64_t limit = config().server.max_body_bytes;
  const bool too_large = limit != 0 && attempt_.request_bytes > limit && phase_ != Phase::kTunnel;
  if (batch.status == BodyRelay::Status::kError || too_large) {
    look_at_clock();
    const auto reason = too_large ? RejectReason::kBodyTooLarge : RejectReason::kBadRequest;
    fault_ = MessageFault::kBody;
    phase_ == Phase::kAwaiting ? refuse(reason) : cut(reason);
    return false;
  }
  body_at_ += static_cast<std::uint32_t>(batch.consumed);
  attempt_.received_bytes += batch.consumed;
  attempt_.request_done = batch.status == BodyRelay::Status::kDone;

  rearm_for_request();
  if (batch.count == 0) return true;
  if (hold != nullptr) BodyRelay::join_short(batch, **hold);
  proxy_.context.metrics.worker.upstream_sent_bytes.add(batch.bytes());
  const auto status = send_upstream(batch, hold);
  // A backend that takes no more may have answered already: its answer, or its end, is read first.
  attempt_.request_broken = status == TcpStream::WriteStatus::kFailed;
  attempt_.request_touched |= !attempt_.request_broken;
  head_pending_to_upstream_ = status == TcpStream::WriteStatus::kPending && hold != nullptr;
  if (attempt_.request_broken) end_broken_tunnel();
  return status == TcpStream::WriteStatus::kDone;
}

// What makes up the whole request, in one piece, need not hurry; but what was sent upon a look at
// the connection is sent before anything can happen there.
TcpStream::WriteStatus Exchange::send_upstream(BodyRelay::Batch& batch, BufferLease* hold) {
  TcpStream& stream = upstream_->stream();
  if (hold == nullptr) return stream.write({batch.pieces.data(), batch.count});
  const bool may_wait = attempt_.sent_unseen_in != 0 || !upstream_->was_reused();
  if (may_wait && attempt_.request_done && batch.count == 1)
    return stream.write_soon(batch.pieces[0], *hold);
  return stream.write({batch.pieces.data(), batch.count}, {&hold, 1});
}

// The request moves. A backend that answers before it has all of it may be silent meanwhile.
void Exchange::rearm_for_request() {
  switch (phase_) {
    case Phase::kTunnel:
      return client_.timer().arm(config().upstream.tunnel_timeout);
    case Phase::kAwaiting:
      return arm_while_awaiting();
    case Phase::kRelaying:
      return client_.timer().arm(config().server.body_timeout);
    default:
      return;
  }
}

// All of the input has gone upstream. As long as it would find room in a usual buffer, everything
// is kept; after that its room is used again, and the request can no longer be sent a second time.
void Exchange::reclaim_input() {
  if (phase_ == Phase::kTunnel && client_ended_) return pass_on_client_end();
  Buffer& input = client_.input();
  const bool full = input.end >= proxy_.context.buffers.capacity();
  if (full || !replayable_ || phase_ == Phase::kTunnel) {
    give_up_replay();
    const std::uint32_t came = input.end;
    input.clear();
    client_.fit_input(came, full && request_body_.is_long());
  }
  client_.resume_reading();
}

// It has gone out. What may not be sent again is not kept: the next long request finds its buffer
// warm from this one. What came behind it needs the buffer.
void Exchange::forget_request() {
  if (head_.is_idempotent || !was_asked() || more_came()) return;
  give_up_replay();
  client_.give_back_input();
}

// The input is to be used for something else.
void Exchange::give_up_replay() {
  replayable_ = false;
  body_at_ = 0;
  // The log tells of it; and with what it offers, a switch of protocols is to be compared.
  const bool may_switch = head_.wants_upgrade && phase_ != Phase::kTunnel;
  if (proxy_.access_lines || may_switch) keep_head();
}

void Exchange::on_upstream_written(int error) {
  if (error != 0) {
    if (error == TcpStream::kNothingSent) attempt_.request_touched = false;
    attempt_.request_broken = true;
    return end_broken_tunnel();
  }
  head_pending_to_upstream_ = false;
  if (left_early() && phase_ == Phase::kRelaying) return pass_on_early_end();
  rearm_for_request();
  if (phase_ == Phase::kTunnel) client_.on_tunnel();
  pump_request();
}

}  // namespace ringmaster
