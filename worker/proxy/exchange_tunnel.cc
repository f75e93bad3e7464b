// An upgraded connection (RFC 9110 section 7.8): bytes both ways, each side ended when the other
// ends it.
#include "worker/proxy/exchange.h"

namespace ringmaster {

void Exchange::begin_tunnel() {
  const ResponseForwarding how{.client_version = head_.version,
                               .framing = BodyFraming::kNone,
                               .keep_alive = true,
                               .keep_upgrade = true,
                               .via_name = proxy_.context.via_name};
  BufferLease buffer = proxy_.context.buffers.lend();
  const std::size_t size = write_response_head(response_, how, buffer->data(), buffer->capacity);
  if (size == 0) return refuse(RejectReason::kBadResponse);
  upstream_metrics().responses[0].add();
  upstream_->input()->consume(response_.size);
  upstream_->expect_bulk(false);
  phase_ = Phase::kTunnel;
  request_done_ = false;
  request_body_.start(BodyFraming::kUntilClose, 0, BodyFraming::kUntilClose);
  response_body_.start(BodyFraming::kUntilClose, 0, BodyFraming::kUntilClose);
  client_.on_tunnel();
  pump_request();
  relay_response({buffer->data(), size}, &buffer);
}

// Passes one side's end on to the other, behind what is still pending. Both ended: over.
void Exchange::end_tunnel_side(bool client_side) {
  if (client_side) {
    if (upstream_->stream().is_writing()) return;  // comes back when it is written
    request_done_ = true;
    upstream_->stream().end_writing();
  } else {
    upstream_ended_ = true;
    if (client_.stream().is_writing()) return;  // likewise
    client_.stream().end_writing();
  }
  if (!request_done_ || !upstream_ended_) return;
  release_upstream();
  finish(Ending::kClose);
}

}  // namespace ringmaster
