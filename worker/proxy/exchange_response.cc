// The response's way to the client: its head checked and rewritten, its body as it comes, with back
// pressure. A broken message is never passed on as a complete one: 502 before the head went out,
// cut off after.
#include "worker/http/connection_options.h"
#include "worker/proxy/exchange.h"

namespace ringmaster {
namespace {

// In a second: a flood of 1xx is no answer.
constexpr std::uint32_t kMostInterimResponses = 16;
constexpr std::uint64_t kInterimWindowNs = 1'000'000'000;

}  // namespace

void Exchange::on_upstream_data() {
  look_at_clock();
  // Not a byte of the request had gone out when it came: whatever this is, it is no answer to it.
  const bool unasked = !was_asked() || (!attempt_.response_begun && came_before_request());
  if (phase_ == Phase::kAwaiting && unasked) return lose_upstream();
  attempt_.response_begun = true;
  if (record_.first_byte_us == RequestRecord::kNever) record_first_byte();
  // An interim response may still be on its way out; all else waits behind it.
  if (client_.stream().is_writing()) return upstream_->stream().stop_reading();
  if (phase_ == Phase::kAwaiting) return read_response_head();
  relay_response({}, nullptr);
}

void Exchange::read_response_head() {
  ResponseHead& response = proxy_.response;
  for (;;) {
    Buffer& input = *upstream_->input();
    const ParseLimits limits{proxy_.context.buffers.capacity() - kHeadSlack};
    const auto status = response_parser_.parse(input.unread(), limits, head_.is_head, response);
    if (status == ParseStatus::kError) return refuse_answer(response_parser_.fault());
    if (status == ParseStatus::kIncomplete) {
      if (!make_room_for_head()) return refuse_answer(AnswerFault::kHeadTooLong);
      return upstream_->stream().start_reading();
    }
    attempt_.status = response.status;
    if (attempt_.status == 101) {
      // The body, if there is one, belongs to the old protocol and comes first.
      const bool wanted = head_.wants_upgrade && response.wants_upgrade && attempt_.request_done;
      if (wanted && accepts_offer(response, head_)) return begin_tunnel();
      return refuse_answer(AnswerFault::kUpgrade);
    }
    if (attempt_.status >= 200) return begin_response();
    if (!relay_interim()) return;
  }
}

// Interim responses before it may have left the head little room.
bool Exchange::make_room_for_head() {
  Buffer& input = *upstream_->input();
  if (!input.room().empty()) return true;
  if (input.begin == 0) return false;
  input.compact();
  response_parser_.reset();
  return true;
}

// RFC 9110 section 15.2. True if the next head may be read at once.
bool Exchange::relay_interim() {
  if (now_ns_ - interim_since_ns_ >= kInterimWindowNs) {
    interim_since_ns_ = now_ns_;
    interim_responses_ = 0;
  }
  if (++interim_responses_ > kMostInterimResponses) {
    refuse_answer(AnswerFault::kInterim);
    return false;
  }
  upstream_metrics().responses[0].add();
  const std::uint32_t size = proxy_.response.size;
  bool flushed = true;
  if (head_.version == HttpVersion::k11) {
    BufferLease buffer = proxy_.context.buffers.lend();
    const ResponseForwarding how{.client_version = head_.version,
                                 .framing = BodyFraming::kNone,
                                 .keep_alive = true,
                                 .keep_upgrade = false,
                                 .via_name = proxy_.context.via_name};
    uv_buf_t piece =
        as_buf({buffer->data(),
                write_response_head(proxy_.response, how, buffer->data(), buffer->capacity)});
    proxy_.context.metrics.worker.client_sent_bytes.add(piece.len);
    record_.bytes_out += piece.len;
    BufferLease* holds[] = {&buffer};
    const auto status = client_.stream().write({&piece, 1}, holds);
    if (status == TcpStream::WriteStatus::kFailed) {
      cut(RejectReason::kClientGone);
      return false;
    }
    flushed = status == TcpStream::WriteStatus::kDone;
  }
  continued_ |= attempt_.status == 100;
  upstream_->input()->consume(size);
  response_parser_.reset();
  attempt_.status = 0;
  arm_while_awaiting();
  if (!flushed) upstream_->stream().stop_reading();
  const bool goes_on = !upstream_->input()->is_empty();
  if (!goes_on) record_.first_byte_us = RequestRecord::kNever;  // its answer is still to come
  return flushed && goes_on;
}

void Exchange::begin_response() {
  const ResponseHead& response = proxy_.response;
  attempt_.response_framing = response.framing;
  attempt_.upstream_keep_alive = response.keep_alive;
  BodyFraming framing = response.framing;
  if (framing == BodyFraming::kChunked || framing == BodyFraming::kUntilClose) {
    framing = head_.version == HttpVersion::k11 ? BodyFraming::kChunked : BodyFraming::kUntilClose;
  }
  // 426 (Upgrade Required) is of no use without Upgrade (RFC 9110 section 15.5.22).
  const bool tells_what_to_upgrade_to =
      attempt_.status == 426 && response.wants_upgrade && head_.version == HttpVersion::k11;
  // An answer before the whole request was read ends the connection (RFC 9112 section 9.3).
  keep_alive_ = head_.keep_alive && attempt_.request_done && !is_last_request() &&
                framing != BodyFraming::kUntilClose && client_.lives_on(more_came());
  const ResponseForwarding how{.client_version = head_.version,
                               .framing = framing,
                               .keep_alive = keep_alive_,
                               .keep_upgrade = tells_what_to_upgrade_to,
                               .via_name = proxy_.context.via_name,
                               .request_id = id_.text(),
                               .date = proxy_.context.date.now()};
  BufferLease buffer = proxy_.context.buffers.lend();
  const std::size_t size = write_response_head(response, how, buffer->data(), buffer->capacity);
  if (size == 0) return refuse_answer(AnswerFault::kHeadTooLong);
  response_body_.start(response, framing);
  upstream_->input()->consume(response.size);
  expect_body(true);
  phase_ = Phase::kRelaying;
  retry_permit_.release();
  relay_response({buffer->data(), size}, &buffer);
}

// A client that takes less than we read gets small buffers, or its bytes would fill big ones.
void Exchange::expect_body(bool client_keeps_up) noexcept {
  using Reads = UpstreamConnection::Reads;
  upstream_->expect(client_keeps_up && response_body_.is_long() ? Reads::kLong : Reads::kShort);
}

void Exchange::relay_response(std::string_view prefix, BufferLease* hold) {
  client_.timer().arm(phase_ == Phase::kTunnel ? config().upstream.tunnel_timeout
                                               : config().server.body_timeout);
  for (;;) {
    BufferLease& input = upstream_->input();
    BodyRelay::Batch batch;
    response_body_.gather(prefix, input->pending(), BodyRelay::Input::kMayMove, batch);
    if (batch.status == BodyRelay::Status::kError) {
      // Nothing of a broken message that begins with its head has gone out yet.
      if (hold != nullptr) {
        phase_ = Phase::kAwaiting;
        return refuse_answer(AnswerFault::kBody);
      }
      note_fault(AnswerFault::kBody);
      return cut(RejectReason::kResponseCut);
    }
    input->consume(batch.consumed);
    const bool finished = batch.status == BodyRelay::Status::kDone;
    // A response that ends short of the bytes received shares its buffer with something nobody
    // asked for.
    const bool surplus = finished && !input->is_empty();
    const std::size_t bytes = batch.bytes();
    record_.bytes_out += bytes;
    if (finished) account();

    if (hold != nullptr) BodyRelay::join_short(batch, **hold);
    proxy_.context.metrics.worker.client_sent_bytes.add(bytes);
    const auto status = send_to_client(batch, hold, finished);
    if (status == TcpStream::WriteStatus::kFailed) return cut(RejectReason::kClientGone);
    const bool flushed = status == TcpStream::WriteStatus::kDone;
    head_pending_to_client_ = !flushed && hold != nullptr;
    if (finished) {
      if (surplus) attempt_.upstream_keep_alive = false;
      return finish_response(flushed);
    }
    prefix = {};
    hold = nullptr;
    expect_body(flushed);
    if (!flushed) return upstream_->stream().stop_reading();
    if (input->is_empty()) {
      input.reset();
      return upstream_->stream().start_reading();
    }
  }
}

// What makes up the whole answer, in one piece, need not hurry.
TcpStream::WriteStatus Exchange::send_to_client(BodyRelay::Batch& batch, BufferLease* hold,
                                                bool finished) {
  if (batch.count == 0) return TcpStream::WriteStatus::kDone;
  TcpStream& stream = client_.stream();
  if (finished && hold != nullptr && batch.count == 1) {
    return stream.write_soon(batch.pieces[0], *hold);
  }
  BufferLease* holds[2];
  std::size_t hold_count = 0;
  if (hold != nullptr) holds[hold_count++] = hold;
  if (finished) holds[hold_count++] = &upstream_->input();
  return stream.write({batch.pieces.data(), batch.count}, {holds, hold_count});
}

void Exchange::finish_response(bool flushed) {
  const bool reusable =
      attempt_.upstream_keep_alive && attempt_.request_done && !attempt_.request_broken &&
      attempt_.response_framing != BodyFraming::kUntilClose && !upstream_->stream().is_writing();
  if (reusable) {
    if (attempt_.response_framing == BodyFraming::kNone) upstream_->expect_surplus();
    upstream_.give_back();
  } else {
    upstream_.discard();
  }
  in_flight_.release();
  ActiveHook::unlink();
  const bool unread = !attempt_.request_done || more_came();
  // A client with more to send may have sent it before it learns that this is the last answer; an
  // old one sends an empty line behind a body.
  const bool may_send = unread || head_.keep_alive || head_.framing != BodyFraming::kNone;
  ending_ = keep_alive_ ? Ending::kKeepAlive : may_send ? Ending::kLinger : Ending::kClose;
  if (flushed) return finish(ending_);
  phase_ = Phase::kFlushing;
}

void Exchange::on_upstream_end(int error) {
  look_at_clock();
  if (phase_ == Phase::kAwaiting) return lose_upstream();
  if (phase_ == Phase::kTunnel) {
    const bool orderly = error == UV_EOF && !upstream_->stream().has_broken();
    if (orderly) return pass_on_upstream_end();
    release_upstream();
    return finish(Ending::kCut);
  }
  const bool complete =
      error == UV_EOF && response_body_.ends_with_connection() && !upstream_->stream().has_broken();
  if (!complete) {
    if (left_early()) return cut(RejectReason::kClientGone);
    proxy_.context.report(upstream_index_);
    return cut(RejectReason::kResponseCut);
  }
  const bool is_chunked = keep_alive_ || head_.version == HttpVersion::k11;
  if (is_chunked) {
    record_.bytes_out += kLastChunk.size();
    proxy_.context.metrics.worker.client_sent_bytes.add(kLastChunk.size());
  }
  account();
  bool flushed = true;
  if (is_chunked) {
    uv_buf_t piece = as_buf(kLastChunk);
    const auto status = client_.stream().write({&piece, 1});
    if (status == TcpStream::WriteStatus::kFailed) return cut(RejectReason::kClientGone);
    flushed = status == TcpStream::WriteStatus::kDone;
  }
  finish_response(flushed);
}

void Exchange::note_fault(AnswerFault fault) {
  record_.set_fault(fault);
  proxy_.tell_of_bad_answer(upstream_index_, fault);
}

void Exchange::refuse_answer(AnswerFault fault) {
  note_fault(fault);
  refuse(RejectReason::kBadResponse);
}

// The connection died with no response, or half a head.
void Exchange::lose_upstream() {
  const bool stale = upstream_->was_reused() && !attempt_.response_begun;
  const bool again = may_ask_again();
  if (stale) proxy_.upstreams.doubt(upstream_index_);
  if (stale && again) {
    // The backend had closed it before our request came: no failure of the backend, and no retry
    // that counts.
    upstream_metrics().retries[static_cast<std::size_t>(RetryCause::kStaleConnection)].add();
    record_failure(RetryCause::kStaleConnection);
    upstream_.discard();
    rewind_request();
    return use_new_connection();
  }
  if (!stale) proxy_.context.report(upstream_index_);
  fail_attempt(RetryCause::kUpstreamClosed, RejectReason::kUpstreamClosed, again);
}

}  // namespace ringmaster
