// The life of an exchange that goes well: named, admitted, sent to a backend, accounted, ended.
#include "worker/proxy/exchange.h"

#include <algorithm>
#include <utility>

#include "shared/base/shortage.h"

namespace ringmaster {
namespace {

constexpr std::uint32_t kRetryAfterNoBackendS = 1;

}  // namespace

Exchange::Exchange(Proxy& proxy, Client& client, const IpAddress& peer, bool pipelined) noexcept
    : proxy_(proxy),
      client_(client),
      peer_(peer),
      client_ip_(peer),
      started_ns_(monotonic_ns()),
      now_ns_(started_ns_),
      pipelined_(pipelined) {}

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
      fault_ = parser_.error().fault;
      return refuse(parser_.error().reason);
    case ParseStatus::kComplete:
      return read_on() ? read_head() : begin();
  }
}

// A body that fills the usual buffer goes upstream in one write with its head, which is read anew
// where it lies then. Chunks are not: sent as they came, they may be too many for one write.
bool Exchange::read_on() {
  Buffer& input = client_.input();
  const bool is_cut_short = input.room().empty() && head_.framing == BodyFraming::kLength &&
                            head_.size + head_.content_length > input.unread().size();
  if (!is_cut_short || !client_.read_on()) return false;
  parser_.reset();
  return true;
}

void Exchange::name_request(std::string_view given) noexcept {
  id_.assign(given);
  if (id_.is_empty()) proxy_.request_ids.make(id_);
  begin_record();
}

// Only a proxy that we trust may say what its request is called: else anyone could hide behind the
// id of another's.
std::string_view Exchange::trusted_id() noexcept {
  if (!proxy_.admission.is_trusted(peer_)) return {};
  const std::string_view given = given_request_id(head_);
  if (!given.empty()) record_.set(RequestRecord::kTrustedId);
  return given;
}

void Exchange::begin() {
  body_at_ = client_.input().begin + head_.size;
  phase_ = Phase::kConnecting;
  has_head_ = true;
  client_.timer().disarm();
  client_ip_ = proxy_.admission.client_of(head_, peer_);
  const Balancer::Place place = proxy_.balancer.locate(head_, client_ip_);
  proxy_.balancer.prefetch_owner(place);
  name_request(trusted_id());
  proxy_.prefetch_backend(place);
  request_body_.start(head_, head_.framing);
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
  record_.set_place(place.key, place.hash);
  choose_backend();
}

void Exchange::choose_backend() {
  auto choice = proxy_.balancer.choose(tried_, record_);
  if (choice.upstream == HashRing::kNone) {
    if (!tried_.is_empty()) return refuse(failure_);
    return refuse(choice.overloaded ? RejectReason::kOverloaded : RejectReason::kNoBackend,
                  kRetryAfterNoBackendS);
  }
  if (!tried_.is_empty()) {  // of the one that failed
    upstream_metrics().retries[static_cast<std::size_t>(failure_cause_)].add();
  }
  upstream_index_ = choice.upstream;
  in_flight_ = std::move(choice.in_flight);
  enlist();
  use_backend();
}

void Exchange::use_backend() {
  rewind_request();
  if (!use_idle_connection()) use_new_connection();
}

// False: there is none that is fit for this request.
bool Exchange::use_idle_connection() {
  UpstreamPool& pool = proxy_.upstreams;
  const auto trust = head_.is_idempotent ? UpstreamPool::Trust::kAny : UpstreamPool::Trust::kProven;
  while (UpstreamConnection* idle = pool.lend_idle(upstream_index_, *this, trust)) {
    upstream_ = UpstreamLease(pool, idle);
    // What may change something is not sent on a connection that shows signs of its end; nor is
    // anything on one on which something may have come, since it became idle, that nobody asked for
    // and that would pass for the answer. All else is sent unseen: what this turn still brings from
    // there came before it, which cannot be told in a turn that is long. (Where it was the answer
    // all the same, the request is sent twice.)
    const LoopTurn& turn = proxy_.context.outbox.turn();
    const bool unseen = head_.is_safe && !pipelined_ && !idle->may_hold_surplus() &&
                        !turn.may_get_long() &&
                        (head_.framing == BodyFraming::kNone || has_whole_request());
    if (unseen || !idle->looks_stale()) {
      upstream_metrics().connections_reused.add();
      attempt_.sent_unseen_in = unseen ? turn.number() : 0;
      phase_ = Phase::kAwaiting;
      record_attempt(upstream_index_, /*reused=*/true);
      send_request();
      return true;
    }
  }
  return false;
}

void Exchange::use_new_connection() {
  UpstreamPool& pool = proxy_.upstreams;
  phase_ = Phase::kConnecting;
  record_attempt(upstream_index_, /*reused=*/false);
  upstream_ = UpstreamLease(pool, pool.open(upstream_index_, *this));
}

void Exchange::on_upstream_connected(int error) {
  if (error == 0) {
    phase_ = Phase::kAwaiting;
    record_connect();
    return send_request();
  }
  if (!is_own_shortage(error)) proxy_.context.report(upstream_index_);
  const bool timeout = error == UV_ETIMEDOUT;
  fail_attempt(timeout ? RetryCause::kConnectTimeout : RetryCause::kConnectFailed,
               timeout ? RejectReason::kConnectTimeout : RejectReason::kConnectFailed,
               /*may_retry=*/true);
}

// RFC 9110 section 9.2.2: only what is idempotent may be sent again once it may have been acted
// upon.
bool Exchange::may_send_again() const noexcept {
  return phase_ == Phase::kAwaiting && (head_.is_idempotent || !was_asked()) && replayable_;
}

// The body is held back until the backend says 100 (Continue): the client is not late.
bool Exchange::awaits_continue() const noexcept {
  return head_.expects_continue && !continued_ && attempt_.request_bytes == 0;
}

// While an interim answer waits for the client, the backend is not listened to.
void Exchange::arm_while_awaiting() {
  const bool for_backend =
      (attempt_.request_done || awaits_continue()) && !client_.stream().is_writing();
  client_.timer().arm(for_backend ? config().upstream.response_timeout
                                  : config().server.body_timeout);
}

void Exchange::release_upstream() noexcept {
  upstream_.discard();
  in_flight_.release();
  ActiveHook::unlink();
}

void Exchange::rewind_request() noexcept {
  attempt_ = {};
  body_at_ = client_.input().begin + head_.size;
  request_body_.start(head_, head_.framing);
  response_parser_.reset();
}

// Nothing can come behind it any more.
bool Exchange::is_last_request() noexcept {
  return client_ended_ && !more_came();
}

// Behind the request, which must be done: the next one.
bool Exchange::more_came() noexcept {
  return body_at_ != client_.input().end;
}

// Everything that the client sent is in the input, if not on its way already.
bool Exchange::has_whole_request() noexcept {
  Buffer& input = client_.input();
  return request_body_.needs_no_more_than({input.data() + body_at_, input.end - body_at_});
}

void Exchange::on_client_written(int error) {
  if (error != 0) return cut(RejectReason::kClientGone);
  if (phase_ == Phase::kFlushing) return finish(ending_);
  look_at_clock();
  head_pending_to_client_ = false;
  if (phase_ == Phase::kTunnel) client_.on_tunnel();
  if (phase_ == Phase::kTunnel && upstream_ended_) return pass_on_upstream_end();
  if (!upstream_) return;
  upstream_->stream().start_reading();
  // What was received before goes first.
  if (phase_ == Phase::kRelaying || phase_ == Phase::kTunnel) {
    client_.timer().arm(phase_ == Phase::kTunnel ? config().upstream.tunnel_timeout
                                                 : config().server.body_timeout);
    if (upstream_->input() && !upstream_->input()->is_empty()) relay_response({}, nullptr);
  } else if (phase_ == Phase::kAwaiting) {
    arm_while_awaiting();
    if (upstream_->input()) read_response_head();
  }
}

// Before the last byte goes out: whoever has read the answer finds it counted.
void Exchange::account() noexcept {
  if (accounted_ || phase_ == Phase::kTunnel || upstream_index_ == HashRing::kNone) return;
  if (attempt_.status == 0) return;
  accounted_ = true;
  UpstreamMetrics& metrics = upstream_metrics();
  metrics.responses[attempt_.status / 100u - 1].add();
  metrics.request_duration.observe(now_ns_ - started_ns_);
  record_.status = attempt_.status;
  conclude(RequestOutcome::kAnswered);
  in_flight_.release();
  retry_permit_.release();
}

void Exchange::finish(Ending ending) {
  if (record_.outcome == RequestOutcome::kInProgress) conclude(RequestOutcome::kTunnelEnded);
  log_request();
  // The rest will not come any more.
  if (ending == Ending::kKeepAlive && client_ended_ && !has_whole_request())
    ending = Ending::kClose;
  if (ending == Ending::kKeepAlive && !request_body_.is_done()) {
    phase_ = Phase::kDiscarding;
    return discard_body();
  }
  phase_ = Phase::kDone;
  client_.timer().disarm();
  client_.input().begin = std::min(std::max(body_at_, client_.input().begin), client_.input().end);
  client_.on_exchange_done(ending);
}

void Exchange::enlist() noexcept {
  if (!ActiveHook::is_linked()) proxy_.active.push_front(*this);
}

}  // namespace ringmaster
