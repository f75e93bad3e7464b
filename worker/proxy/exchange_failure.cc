// What an exchange does when something goes wrong: asked again elsewhere, timed out, cut off, left
// by its client.
#include "worker/proxy/exchange.h"

namespace ringmaster {
namespace {

// What the master needs to find a dead backend dead, amply.
constexpr Duration kVerdictPatience(250);

// Behind a body, from old clients (RFC 9112 section 2.2): who sent no more asked for nothing.
bool is_stray_line_end(std::string_view bytes) noexcept {
  return bytes == "\r\n" || bytes == "\n" || bytes == "\r";
}

}  // namespace

// This attempt is over without an answer: the next backend of the ring walk, or the client learns
// why.
void Exchange::fail_attempt(RetryCause cause, RejectReason reason, bool may_retry) {
  failure_ = reason;
  failure_cause_ = cause;
  look_at_clock();
  record_failure(cause);
  if (!may_retry || !has_retry_left()) return refuse(reason);
  if (!may_retry_for(cause)) return await_verdict();
  retry_elsewhere();
}

// Its backend was found dead: asked again at once, if anybody else can be. If not, it stays: what
// fails its probes may still answer.
void Exchange::on_ejected() {
  const bool unsent = phase_ == Phase::kConnecting || phase_ == Phase::kVerdict;
  // Part of an answer that nobody will end, or an interim one, is no reason to wait for the rest.
  if (!unsent && !may_send_again()) return;
  const bool is_lost = phase_ == Phase::kVerdict;
  const bool has_other = has_retry_left() && proxy_.balancer.has_other(tried_, upstream_index_);
  if (!is_lost && !has_other) return;
  fail_attempt(RetryCause::kEjected, is_lost ? failure_ : RejectReason::kResponseTimeout,
               /*may_retry=*/true);
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
  client_.timer().arm(kVerdictPatience);
}

// The backend lives.
void Exchange::on_no_verdict() {
  if (!may_retry_for(failure_cause_)) {
    proxy_.context.metrics.worker.retries_refused.add();
    return refuse(failure_);
  }
  retry_elsewhere();
}

void Exchange::retry_elsewhere() {
  ++retries_;
  tried_.add(upstream_index_);
  release_upstream();
  choose_backend();
}

// A timeout is for a peer that takes nothing: whoever took a part of a long write gets another.
void Exchange::on_timeout() {
  look_at_clock();
  switch (phase_) {
    case Phase::kHead:
      if (is_stray_line_end(client_.input().unread())) return finish(Ending::kClose);
      return refuse(RejectReason::kHeaderTimeout);
    case Phase::kAwaiting:
      if (upstream_->stream().has_moved_on()) return arm_while_awaiting();
      if (client_.stream().is_writing()) {
        if (client_.stream().has_moved_on()) return arm_while_awaiting();
        return cut(RejectReason::kClientGone);
      }
      if (!attempt_.request_done && !attempt_.request_broken && !awaits_continue() &&
          !upstream_->stream().is_writing()) {
        return refuse(RejectReason::kBodyTimeout);
      }
      proxy_.context.report(upstream_index_);
      return refuse(RejectReason::kResponseTimeout);
    case Phase::kVerdict:
      return on_no_verdict();
    case Phase::kRelaying:
    case Phase::kFlushing:
      if (client_.stream().has_moved_on() || (upstream_ && upstream_->stream().has_moved_on())) {
        return client_.timer().arm(config().server.body_timeout);
      }
      return cut(reason_of_standstill());
    case Phase::kTunnel:
      if (client_.stream().has_moved_on() || upstream_->stream().has_moved_on()) {
        return client_.timer().arm(config().upstream.tunnel_timeout);
      }
      release_upstream();
      return finish(Ending::kClose);
    case Phase::kDiscarding:
      return finish(Ending::kLinger);
    default:
      return;
  }
}

// An answer has begun and does not go on. A backend need not end it before it has the request.
RejectReason Exchange::reason_of_standstill() noexcept {
  if (client_.stream().is_writing() || left_early()) return RejectReason::kClientGone;
  const bool takes_more = upstream_ && !upstream_->stream().is_writing();
  const bool owes_body = takes_more && !attempt_.request_done && !attempt_.request_broken;
  return owes_body ? RejectReason::kBodyTimeout : RejectReason::kResponseCut;
}

void Exchange::cut(RejectReason reason) {
  if (phase_ == Phase::kDone) return;
  conclude_cut(reason);
  release_upstream();
  finish(ending_of_cut(reason));
}

void Exchange::conclude_cut(RejectReason reason) {
  count_cut(reason);
  look_at_clock();
  if (phase_ == Phase::kRelaying) account();
  // Whose answer is out has nothing left to lose.
  if (phase_ == Phase::kTunnel && reason == RejectReason::kClientGone) {
    conclude(RequestOutcome::kTunnelEnded);
  } else if (phase_ != Phase::kDiscarding) {
    conclude(RequestOutcome::kCut, reason);
  }
}

// A reset takes along what the client has not read yet of the answers before this one. A client
// that reads is spared it, where it can tell a part from a whole without one; and what it still
// sends must not bring one about, either.
Exchange::Ending Exchange::ending_of_cut(RejectReason reason) const noexcept {
  if (reason == RejectReason::kClientGone) return Ending::kCut;
  if (!owes_answer()) return Ending::kClose;
  const bool shows = head_.version == HttpVersion::k11 && phase_ != Phase::kTunnel;
  if (!pipelined_ || !shows) return Ending::kCut;
  const bool may_linger = reason != RejectReason::kDrainTimeout && !client_.stream().is_writing();
  return may_linger ? Ending::kLinger : Ending::kClose;
}

// Each request once: none that was refused, or whose answer is out; nor is who leaves a tunnel cut.
void Exchange::count_cut(RejectReason reason) noexcept {
  const bool was_refused = record_.outcome == RequestOutcome::kRefused;
  const bool has_left = phase_ == Phase::kTunnel && reason == RejectReason::kClientGone;
  if (!owes_answer() || was_refused || has_left) return;
  proxy_.context.metrics.worker.rejected[static_cast<std::size_t>(reason)].add();
}

void Exchange::on_client_gone() {
  if (phase_ == Phase::kDone) return;
  conclude_cut(RejectReason::kClientGone);
  log_request();
  release_upstream();
  phase_ = Phase::kDone;
}

void Exchange::on_client_end() {
  look_at_clock();
  client_ended_ = true;
  if (phase_ == Phase::kTunnel) return pump_request();  // passed on behind what is left
  if (phase_ == Phase::kDiscarding) return finish(Ending::kClose);
  if (phase_ == Phase::kFlushing || attempt_.request_done ||
      (phase_ != Phase::kHead && has_whole_request())) {
    return;
  }
  // The rest of the request will never come: the backend may not take it for complete. An answer
  // that has begun all the same is relayed to its end.
  if (phase_ == Phase::kRelaying) return pass_on_early_end();
  const bool answered = client_.stream().is_writing();
  on_client_gone();
  client_.on_exchange_done(answered ? Ending::kCut : Ending::kClose);
}

// A backend that goes by what it is sent learns that no more will come; it cannot take a part for
// the whole.
void Exchange::pass_on_early_end() noexcept {
  attempt_.request_broken = true;
  TcpStream& upstream = upstream_->stream();
  if (!upstream.is_writing()) upstream.end_writing();  // else behind that (on_upstream_written)
}

}  // namespace ringmaster
