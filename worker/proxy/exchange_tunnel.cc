// An upgraded connection (RFC 9110 section 7.8): bytes both ways, each side ended when the other
// ends it. It may change workers: what was received and not passed on goes along.

#include <optional>
#include <utility>

#include "worker/proxy/exchange.h"

namespace ringmaster {
namespace {

// What of a buffer's bytes the other side has not got: those not taken up yet (from `at` on) and,
// just before them, those of a pending write. Nothing if that write holds others too.
std::optional<std::string_view> not_passed_on(Buffer* buffer, std::size_t at, TcpStream& to) {
  const std::size_t pending = to.unsent_bytes();
  if (buffer == nullptr) return pending == 0 ? std::optional(std::string_view()) : std::nullopt;
  if (pending > at) return std::nullopt;
  return std::string_view(buffer->data() + at - pending, buffer->end - at + pending);
}

BufferLease filled(WorkerContext& context, std::string_view bytes) {
  const bool fits = bytes.size() < context.buffers.capacity();
  BufferLease buffer = fits ? context.buffers.lend() : context.bulk_buffers.lend();
  bytes.copy(buffer->data(), bytes.size());
  buffer->commit(bytes.size());
  return buffer;
}

}  // namespace

bool Exchange::describe_tunnel(ConnectionToHand& connection) {
  if (phase_ != Phase::kTunnel || !upstream_) return false;
  if (head_pending_to_client_ || head_pending_to_upstream_ || attempt_.request_broken) return false;
  Buffer* answers = upstream_->input().get();
  const auto from_client = not_passed_on(&client_.input(), body_at_, upstream_->stream());
  const auto from_upstream =
      not_passed_on(answers, answers != nullptr ? answers->begin : 0, client_.stream());
  if (!from_client || !from_upstream) return false;
  connection.upstream = upstream_->stream().fd();
  connection.upstream_name = proxy_.context.segment.upstream(upstream_index_).name();
  connection.request_id = id_.text();
  connection.from_client = *from_client;
  connection.from_upstream = *from_upstream;
  return true;
}

void Exchange::let_go() noexcept {
  look_at_clock();
  conclude(RequestOutcome::kHandedOver);
  log_request();
  release_upstream();
  client_.timer().disarm();
  phase_ = Phase::kDone;
}

bool Exchange::resume_tunnel(std::uint32_t upstream, HandedConnection& handed) {
  WorkerContext& context = proxy_.context;
  // One that a later config has added, before its generation was given up.
  if (upstream >= proxy_.balancer.upstream_count()) return false;
  if (handed.from_upstream.size() > context.bulk_buffers.capacity()) return false;
  UpstreamPool& pool = proxy_.upstreams;
  upstream_index_ = upstream;
  upstream_ = UpstreamLease(pool, pool.adopt(upstream, std::move(handed.upstream), *this));
  in_flight_ = proxy_.balancer.count(upstream);
  enlist();
  phase_ = Phase::kTunnel;
  name_request(is_request_id(handed.request_id) ? handed.request_id : std::string_view());
  record_.set(RequestRecord::kTakenOver);
  record_attempt(upstream, /*reused=*/true);
  enter_tunnel();
  client_.timer().arm(config().upstream.tunnel_timeout);
  body_at_ = client_.input().begin;
  if (!handed.from_upstream.empty()) upstream_->input() = filled(context, handed.from_upstream);
  pump_request();
  if (upstream_ && upstream_->input()) relay_response({}, nullptr);
  return true;
}

void Exchange::begin_tunnel() {
  const ResponseForwarding how{.client_version = head_.version,
                               .framing = BodyFraming::kNone,
                               .keep_alive = true,
                               .keep_upgrade = true,
                               .via_name = proxy_.context.via_name,
                               .request_id = id_.text()};
  BufferLease buffer = proxy_.context.buffers.lend();
  const std::size_t size =
      write_response_head(proxy_.response, how, buffer->data(), buffer->capacity);
  if (size == 0) return refuse_answer(AnswerFault::kHeadTooLong);
  upstream_metrics().responses[0].add();
  record_.status = attempt_.status;
  upstream_->input()->consume(proxy_.response.size);
  enter_tunnel();
  pump_request();
  relay_response({buffer->data(), size}, &buffer);
}

void Exchange::enter_tunnel() {
  upstream_->expect(UpstreamConnection::Reads::kShort);
  // The end of the request is no part of the tunnel, and need not lie in the input as it goes out.
  head_pending_to_upstream_ |= upstream_->stream().is_writing();
  phase_ = Phase::kTunnel;
  attempt_.request_done = attempt_.request_broken;
  request_body_.start_tunnel();
  response_body_.start_tunnel();
  record_.set(RequestRecord::kTunnel);
  publish_record();
  retry_permit_.release();
  client_.on_tunnel();
}

// The backend takes no more. If it has ended too, nothing else will tell us that it is over.
void Exchange::end_broken_tunnel() {
  if (phase_ != Phase::kTunnel) return;
  attempt_.request_done = true;
  if (upstream_ended_) pass_on_upstream_end();
}

// Nothing of what the client sent is pending any more.
void Exchange::pass_on_client_end() {
  attempt_.request_done = true;
  upstream_->stream().end_writing();
  end_tunnel_if_both_ended();
}

// Behind what is still pending: called again when it is out.
void Exchange::pass_on_upstream_end() {
  upstream_ended_ = true;
  if (client_.stream().is_writing()) return;
  client_.stream().end_writing();
  end_tunnel_if_both_ended();
}

void Exchange::end_tunnel_if_both_ended() {
  if (!attempt_.request_done || !upstream_ended_) return;
  release_upstream();
  finish(Ending::kClose);
}

}  // namespace ringmaster
