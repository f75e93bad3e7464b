// The life of an exchange: admitted, sent to a backend, retried, refused, timed out, accounted,
// ended.
#include "worker/proxy/exchange.h"

#include <sys/random.h>

#include <algorithm>
#include <array>
#include <cstdlib>

namespace ringmaster {
namespace {

std::uint64_t ms(Duration duration) noexcept {
  return static_cast<std::uint64_t>(duration.count());
}

constexpr std::uint32_t kRetryAfterNoBackendS = 1;
// What the master needs to find a dead backend dead, amply.
constexpr std::uint64_t kVerdictPatienceMs = 250;
// A refused request's body that is no longer than this is read to its end rather than the
// connection closed.
constexpr std::uint64_t kMostDiscardedBytes = 64 * 1024;

RequestIdSource seeded_by_kernel() {
  std::array<std::uint64_t, 2> seed;
  // So few bytes never come short, and without them the segment could not have been made.
  if (::getrandom(seed.data(), sizeof seed, 0) != sizeof seed) std::abort();
  return {seed[0], seed[1]};
}

}  // namespace

Proxy::Proxy(WorkerContext& the_context)
    : context(the_context),
      balancer(the_context),
      admission(the_context),
      retries(the_context),
      upstreams(the_context),
      request_ids(seeded_by_kernel()),
      access_lines(the_context.access_log ? std::make_unique<AccessLineWriter>() : nullptr) {}

void Proxy::on_routes_changed() {
  balancer.on_routes_changed();
  upstreams.close_idle(/*only_unusable=*/true);
  for (Exchange* exchange = first_active; exchange != nullptr;) {
    Exchange* next = exchange->next_active_;
    const bool down = context.segment.upstream(exchange->upstream_index_).is_given_up();
    const bool unsent = exchange->phase_ == Exchange::Phase::kConnecting ||
                        exchange->phase_ == Exchange::Phase::kVerdict;
    if (down && (unsent || exchange->may_ask_again())) {
      exchange->fail_attempt(RetryCause::kEjected, RejectReason::kResponseTimeout, true);
    }
    exchange = next;
  }
}

Exchange::Exchange(Proxy& proxy, Client& client, const IpAddress& peer, bool pipelined) noexcept
    : proxy_(proxy),
      client_(client),
      peer_(peer),
      client_ip_(peer),
      started_ns_(monotonic_ns()),
      now_ns_(started_ns_),
      pipelined_(pipelined) {}

Exchange::~Exchange() {
  unlink();
}

void Exchange::on_client_data() {
  if (std::exchange(head_began_, true)) look_at_clock();
  switch (phase_) {
    case Phase::kHead:
      return read_head();
    case Phase::kAwaiting:
    case Phase::kRelaying:
    case Phase::kTunnel:
      return pump_request();
    case Phase::kDiscarding:
      return discard_body();
    default:
      return;  // it waits in the input: a body for a connection to come, or the next request
  }
}

void Exchange::read_head() {
  const ParseLimits limits{config().server.max_header_bytes, proxy_.context.via_name};
  switch (parser_.parse(client_.input().unread(), limits, head_)) {
    case ParseStatus::kIncomplete:
      return;
    case ParseStatus::kError:
      return refuse(parser_.error());
    case ParseStatus::kComplete:
      return begin();
  }
}

// Only a proxy that we trust may say what its request is called: else anyone could hide behind the
// id of another's.
void Exchange::name_request() noexcept {
  const bool knows_head = phase_ != Phase::kHead;
  if (knows_head && proxy_.admission.is_trusted(peer_)) id_.assign(given_request_id(head_));
  if (!id_.is_empty()) record_.set(RequestRecord::kTrustedId);
  if (id_.is_empty()) proxy_.request_ids.make(id_);
  begin_record();
}

void Exchange::begin() {
  body_at_ = client_.input().begin + head_.size;
  phase_ = Phase::kConnecting;
  has_head_ = true;
  client_.timer().disarm();
  client_ip_ = proxy_.admission.client_of(head_, peer_);
  name_request();
  request_body_.start(head_.framing, head_.content_length, head_.framing);
  const Admission::Verdict verdict = proxy_.admission.ask_limiter(client_ip_, now_ns_);
  record_.limit = verdict.decision;
  if (verdict.decision == LimitDecision::kRefused) {
    return refuse(RejectReason::kRateLimited, verdict.retry_after_s);
  }
  if (head_.max_forwards == 0) return answer_as_recipient();
  const std::uint64_t limit = config().server.max_body_bytes;
  if (limit != 0 && head_.framing == BodyFraming::kLength && head_.content_length > limit) {
    return refuse(RejectReason::kBodyTooLarge);
  }
  proxy_.balancer.locate(head_, client_ip_, record_);
  choose_backend();
}

void Exchange::choose_backend() {
  auto choice = proxy_.balancer.choose(tried_, record_);
  if (choice.upstream == HashRing::kNone) {
    if (!tried_.is_empty()) return refuse(failure_);
    return refuse(choice.overloaded ? RejectReason::kOverloaded : RejectReason::kNoBackend,
                  kRetryAfterNoBackendS);
  }
  upstream_index_ = choice.upstream;
  in_flight_ = std::move(choice.in_flight);
  link();
  use_backend(choice.upstream, /*pooled=*/true);
}

void Exchange::use_backend(std::uint32_t upstream, bool pooled) {
  rewind_request();
  UpstreamPool& pool = proxy_.upstreams;
  while (pooled) {
    UpstreamConnection* idle = pool.lend_idle(upstream, *this);
    if (idle == nullptr) break;
    upstream_ = UpstreamLease(pool, idle);
    // What must not be sent twice is not sent on a connection that shows signs of its end. Nor is
    // what is sent in the same turn of the loop in which the connection became idle: something may
    // have come on it since that nobody asked for, and would pass for the answer.
    if ((head_.is_idempotent && !pipelined_) || !idle->looks_stale()) {
      phase_ = Phase::kAwaiting;
      record_attempt(upstream, /*reused=*/true);
      return send_request();
    }
  }
  phase_ = Phase::kConnecting;
  record_attempt(upstream, /*reused=*/false);
  upstream_ = UpstreamLease(pool, pool.open(upstream, *this));
}

void Exchange::on_upstream_connected(int error) {
  if (error == 0) {
    phase_ = Phase::kAwaiting;
    record_connect();
    return send_request();
  }
  proxy_.context.report(upstream_index_);
  const bool timeout = error == UV_ETIMEDOUT;
  fail_attempt(timeout ? RetryCause::kConnectTimeout : RetryCause::kConnectFailed,
               timeout ? RejectReason::kConnectTimeout : RejectReason::kConnectFailed,
               /*may_retry=*/true);
}

// RFC 9110 section 9.2.2: only what is idempotent may be sent again once it may have been acted
// upon.
bool Exchange::may_ask_again() const noexcept {
  return phase_ == Phase::kAwaiting && (head_.is_idempotent || !request_touched_) && replayable_ &&
         !response_begun_;
}

// The body is held back until the backend says 100 (Continue): the client is not late.
bool Exchange::awaits_continue() const noexcept {
  return head_.expects_continue && interim_responses_ == 0 && request_bytes_ == 0;
}

void Exchange::arm_while_awaiting() {
  const bool for_backend = request_done_ || awaits_continue();
  client_.timer().arm(
      ms(for_backend ? config().upstream.response_timeout : config().server.body_timeout));
}

// This attempt is over without an answer: the next backend of the ring walk, or the client learns
// why.
void Exchange::fail_attempt(RetryCause cause, RejectReason reason, bool may_retry) {
  failure_ = reason;
  look_at_clock();
  record_failure(cause);
  if (!may_retry || retries_ >= config().upstream.retries || tried_.is_full()) {
    return refuse(reason);
  }
  if (!may_retry_for(cause)) {
    failure_cause_ = cause;
    return await_verdict();
  }
  ++retries_;
  retry_elsewhere(cause);
}

// Only a retry that may load a live backend twice is limited.
bool Exchange::may_retry_for(RetryCause cause) noexcept {
  const bool is_limited =
      cause == RetryCause::kConnectTimeout || cause == RetryCause::kUpstreamClosed;
  if (!is_limited || retry_permit_) return true;
  if (!proxy_.context.segment.upstream(upstream_index_).is_usable()) return true;
  retry_permit_ = proxy_.retries.ask();
  return static_cast<bool>(retry_permit_);
}

// A backend that was killed drops all its requests at once, far more than the budget: they wait for
// the master to find it dead (Proxy::on_routes_changed). It has been told already.
void Exchange::await_verdict() {
  upstream_.discard();
  in_flight_.release();
  phase_ = Phase::kVerdict;
  client_.timer().arm(kVerdictPatienceMs);
}

// The backend lives.
void Exchange::on_no_verdict() {
  if (!may_retry_for(failure_cause_)) {
    proxy_.context.metrics.worker.retries_refused.add();
    return refuse(failure_);
  }
  ++retries_;
  retry_elsewhere(failure_cause_);
}

void Exchange::retry_elsewhere(RetryCause cause) {
  upstream_metrics().retries[static_cast<std::size_t>(cause)].add();
  tried_.add(upstream_index_);
  release_upstream();
  choose_backend();
}

void Exchange::release_upstream() noexcept {
  upstream_.discard();
  in_flight_.release();
  unlink();
}

void Exchange::rewind_request() noexcept {
  body_at_ = client_.input().begin + head_.size;
  request_bytes_ = 0;
  request_done_ = request_touched_ = request_broken_ = response_begun_ = false;
  request_body_.start(head_.framing, head_.content_length, head_.framing);
  response_parser_.reset();
}

void Exchange::on_timeout() {
  look_at_clock();
  switch (phase_) {
    case Phase::kHead:
      return refuse(RejectReason::kHeaderTimeout);
    case Phase::kAwaiting:
      if (!request_done_ && !request_broken_ && !awaits_continue() &&
          !upstream_->stream().is_writing()) {
        return refuse(RejectReason::kBodyTimeout);
      }
      proxy_.context.report(upstream_index_);
      return refuse(RejectReason::kResponseTimeout);
    case Phase::kVerdict:
      return on_no_verdict();
    case Phase::kRelaying:
    case Phase::kFlushing:
      return cut(client_.stream().is_writing() ? RejectReason::kClientGone
                                               : RejectReason::kResponseCut);
    case Phase::kTunnel:
      release_upstream();
      return finish(Ending::kClose);
    case Phase::kDiscarding:
      return finish(Ending::kClose);
    default:
      return;
  }
}

// Answers in the backend's place. Nothing of a response has gone out yet.
void Exchange::refuse(RejectReason reason, std::uint32_t retry_after_s) {
  WorkerMetrics& metrics = proxy_.context.metrics.worker;
  if (reason == RejectReason::kRateLimited) {
    metrics.rate_limited.add();
  } else {
    metrics.rejected[static_cast<std::size_t>(reason)].add();
  }
  release_upstream();
  retry_permit_.release();
  if (client_.stream().is_writing()) {  // behind an interim response
    if (id_.is_empty()) name_request();
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
  if (id_.is_empty()) name_request();
  keep_alive_ = keeps_alive_after(reason);
  ending_ = keep_alive_ ? Ending::kKeepAlive : Ending::kLinger;
  return {.reason = reason,
          .close = !keep_alive_,
          .keep_alive_10 = keep_alive_ && head_.version == HttpVersion::k10,
          .head_only = head_.is_head,  // known once the request line was read
          .request_id = id_.text(),
          .date = proxy_.context.date.now()};
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
      return client_.timer().arm(ms(config().server.body_timeout));
    case TcpStream::WriteStatus::kFailed:
      return finish(Ending::kCut);
  }
}

bool Exchange::keeps_alive_after(RejectReason reason) const noexcept {
  if (phase_ == Phase::kHead || !head_.keep_alive || client_ended_ ||
      reason == RejectReason::kBodyTimeout || proxy_.context.ends_connections()) {
    return false;
  }
  if (request_done_ || head_.framing == BodyFraming::kNone) return true;
  // Who waits for 100 (Continue) may never send the body, or send it all the same: nobody could
  // tell.
  return head_.framing == BodyFraming::kLength && !head_.expects_continue &&
         head_.content_length <= kMostDiscardedBytes;
}

// Nothing can come behind it any more.
bool Exchange::is_last_request() noexcept {
  return client_ended_ && body_at_ == client_.input().end;
}

void Exchange::discard_body() {
  Buffer& input = client_.input();
  while (!request_body_.is_done() && body_at_ != input.end) {
    BodyRelay::Batch dropped;
    request_body_.gather({}, {input.data() + body_at_, input.end - body_at_}, dropped);
    body_at_ += static_cast<std::uint32_t>(dropped.consumed);
  }
  if (request_body_.is_done()) return finish(Ending::kKeepAlive);
  input.clear();
  body_at_ = 0;
  client_.resume_reading();
}

void Exchange::cut(RejectReason reason) {
  if (phase_ == Phase::kDone) return;
  if (phase_ != Phase::kHead) {
    proxy_.context.metrics.worker.rejected[static_cast<std::size_t>(reason)].add();
  }
  look_at_clock();
  if (phase_ == Phase::kRelaying) account();
  if (phase_ != Phase::kDiscarding) conclude(RequestOutcome::kCut, reason);
  release_upstream();
  finish(Ending::kCut);
}

void Exchange::on_client_gone() {
  if (phase_ == Phase::kDone) return;
  const bool waited_for = phase_ != Phase::kHead && phase_ != Phase::kTunnel;
  if (waited_for) {
    constexpr auto kReason = static_cast<std::size_t>(RejectReason::kClientGone);
    proxy_.context.metrics.worker.rejected[kReason].add();
  }
  look_at_clock();
  if (phase_ == Phase::kRelaying) account();
  // Whose answer is out has nothing left to lose.
  if (phase_ == Phase::kTunnel) {
    conclude(RequestOutcome::kTunnelEnded);
  } else if (phase_ != Phase::kDiscarding) {
    conclude(RequestOutcome::kCut, RejectReason::kClientGone);
  }
  log_request();
  release_upstream();
  phase_ = Phase::kDone;
}

void Exchange::on_client_end() {
  look_at_clock();
  client_ended_ = true;
  if (phase_ == Phase::kTunnel) return pump_request();  // passed on behind what is left
  if (phase_ == Phase::kDiscarding) return finish(Ending::kClose);
  if (phase_ == Phase::kFlushing || request_done_ ||
      (phase_ != Phase::kHead && has_whole_request())) {
    return;
  }
  // The rest of the request will never come: the backend may not take it for complete. An answer
  // that has begun all the same is relayed to its end.
  if (phase_ == Phase::kRelaying) {
    request_broken_ = true;
    return;
  }
  const bool answered = client_.stream().is_writing();
  on_client_gone();
  client_.on_exchange_done(answered ? Ending::kCut : Ending::kClose);
}

// Everything that the client sent is in the input, if not on its way already.
bool Exchange::has_whole_request() noexcept {
  Buffer& input = client_.input();
  return request_body_.needs_no_more_than({input.data() + body_at_, input.end - body_at_});
}

void Exchange::on_client_written(int error) {
  if (error != 0) return cut(RejectReason::kClientGone);
  look_at_clock();
  if (phase_ == Phase::kFlushing) {
    account();
    return finish(ending_);
  }
  if (phase_ == Phase::kTunnel && upstream_ended_) return end_tunnel_side(/*client_side=*/false);
  if (!upstream_) return;
  upstream_->stream().start_reading();
  // What was received before goes first.
  if (phase_ == Phase::kRelaying || phase_ == Phase::kTunnel) {
    client_.timer().arm(ms(phase_ == Phase::kTunnel ? config().upstream.tunnel_timeout
                                                    : config().server.body_timeout));
    if (upstream_->input() && !upstream_->input()->is_empty()) relay_response({}, nullptr);
  } else if (phase_ == Phase::kAwaiting && upstream_->input()) {
    read_response_head();
  }
}

// Before the last byte goes out: whoever has read the answer finds it counted.
void Exchange::account() noexcept {
  if (accounted_ || phase_ == Phase::kTunnel || upstream_index_ == HashRing::kNone) return;
  if (response_.status == 0) return;  // answered by ourselves
  accounted_ = true;
  UpstreamMetrics& metrics = upstream_metrics();
  metrics.responses[response_.status / 100u - 1].add();
  metrics.request_duration.observe(now_ns_ - started_ns_);
  record_.status = response_.status;
  conclude(RequestOutcome::kAnswered);
  in_flight_.release();
  retry_permit_.release();
}

void Exchange::finish(Ending ending) {
  if (record_.outcome == RequestOutcome::kInProgress) conclude(RequestOutcome::kTunnelEnded);
  log_request();
  if (ending == Ending::kKeepAlive && !request_body_.is_done()) {
    phase_ = Phase::kDiscarding;
    client_.timer().arm(ms(config().server.body_timeout));
    return discard_body();
  }
  phase_ = Phase::kDone;
  client_.timer().disarm();
  client_.input().begin = std::min(std::max(body_at_, client_.input().begin), client_.input().end);
  client_.on_exchange_done(ending);
}

void Exchange::link() noexcept {
  if (linked_) return;
  linked_ = true;
  previous_active_ = nullptr;
  next_active_ = proxy_.first_active;
  if (next_active_ != nullptr) next_active_->previous_active_ = this;
  proxy_.first_active = this;
}

void Exchange::unlink() noexcept {
  if (!linked_) return;
  linked_ = false;
  if (next_active_ != nullptr) next_active_->previous_active_ = previous_active_;
  (previous_active_ != nullptr ? previous_active_->next_active_ : proxy_.first_active) =
      next_active_;
}

}  // namespace ringmaster
