#include "tests/fuzz/request_path.h"

#include <memory>

#include "worker/http/forwarding.h"
#include "worker/http/local_response.h"
#include "worker/http/parser.h"
#include "worker/proxy/relay.h"

namespace ringmaster::fuzz {
namespace {

class RequestPath {
 public:
  RequestPath(std::string_view from_client, Pieces pieces, const Setting& setting)
      : client_(from_client, pieces), setting_(setting) {}

  RequestRun run() {
    while (read_head() && relay()) continue;
    return std::move(run_);
  }

 private:
  // True once a head is complete and accepted.
  bool read_head() {
    parser_.reset();
    for (;;) {
      // An empty input is never given to the parser: an exchange begins with the first byte.
      if (client_.arrived(at_).empty()) {
        if (!client_.next()) return false;
        continue;
      }
      // What the last call left in the head may be overwritten by another connection's.
      head_ = heads_[client_.toss() ? 1 : 0].get();
      switch (parser_.parse(client_.arrived(at_), kLimits, *head_)) {
        case ParseStatus::kComplete:
          return true;
        case ParseStatus::kError:
          run_.refusal = parser_.error().reason;
          return false;
        case ParseStatus::kIncomplete:
          if (!client_.next()) return false;
          if (client_.toss()) parser_.reset();  // as after a move of the input
      }
    }
  }

  bool relay() {
    if (head_->max_forwards == 0) return answer();
    RelayedRequest& request = run_.requests.emplace_back();
    request.begin = at_;
    look_up();
    const RequestForwarding how{.client_ip = setting_.client_ip,
                                .peer_is_trusted = setting_.peer_is_trusted,
                                .keep_upgrade = head_->wants_upgrade,
                                .via_name = kViaName,
                                .request_id = kRequestId,
                                .forwarded = setting_.forwarded};
    BufferLease buffer = buffers_.lend();
    const std::size_t size = write_request_head(*head_, how, buffer->data(), buffer->capacity);
    if (size == 0) {
      run_.requests.pop_back();
      run_.refusal = RejectReason::kHeaderTooLarge;
      return false;
    }
    body_.start(*head_, head_->framing);
    at_ += head_->size;
    if (!relay_body({buffer->data(), size}, *buffer, request)) return false;
    request.is_done = true;
    request.end = at_;
    run_.closes = !head_->keep_alive;
    return !run_.closes;
  }

  bool relay_body(std::string_view prefix, Buffer& buffer, RelayedRequest& request) {
    for (;;) {
      BodyRelay::Batch batch;
      body_.gather(prefix, client_.pending(at_), BodyRelay::Input::kMayMove, batch);
      if (batch.status == BodyRelay::Status::kError) {
        run_.refusal = RejectReason::kBadRequest;
        if (!prefix.empty()) run_.requests.pop_back();  // nothing of it has gone out
        return false;
      }
      at_ += batch.consumed;
      if (!prefix.empty()) BodyRelay::join_short(batch, buffer);
      for (std::size_t i = 0; i < batch.count; ++i) {
        request.bytes.append(batch.pieces[i].base, batch.pieces[i].len);
      }
      if (batch.status == BodyRelay::Status::kDone) return true;
      if (client_.arrived(at_).empty() && !client_.next()) return false;
      prefix = {};
    }
  }

  // In the backend's place. A body that may be dropped is, before the next request.
  bool answer() {
    RelayedRequest& request = run_.requests.emplace_back();
    request.begin = at_;
    request.is_answered = true;
    const bool is_droppable = head_->framing != BodyFraming::kChunked && !head_->expects_continue;
    const bool lives = head_->keep_alive && is_droppable;
    BufferLease buffer = buffers_.lend();
    const std::size_t size =
        write_recipient_response(*head_,
                                 {.reason = RejectReason::kMaxForwards,
                                  .close = !lives,
                                  .keep_alive_10 = lives && head_->version == HttpVersion::k10,
                                  .head_only = head_->is_head,
                                  .request_id = kRequestId,
                                  .date = kDate},
                                 buffer->data());
    request.bytes.assign(buffer->data(), size);
    body_.start(*head_, head_->framing);
    at_ += head_->size;
    request.is_done = !lives || drop_body();
    request.end = at_;
    run_.closes = !lives;
    return lives && request.is_done;
  }

  // False if it is not all there.
  bool drop_body() {
    for (;;) {
      BodyRelay::Batch dropped;
      body_.gather({}, client_.pending(at_), BodyRelay::Input::kMayMove, dropped);
      at_ += dropped.consumed;
      if (dropped.status == BodyRelay::Status::kDone) return true;
      if (client_.arrived(at_).empty() && !client_.next()) return false;
    }
  }

  // What the balancer asks of a head, for the sanitizers to see.
  void look_up() const {
    volatile std::size_t sum = head_->path().size() + head_->cookie("id").size() +
                               head_->find("x-key").size() +
                               head_->find(FieldId::kXForwardedFor).size();
    static_cast<void>(sum);
  }

  static constexpr ParseLimits kLimits{kMostHeadBytes, kViaName};

  Arrival client_;
  const Setting setting_;
  std::size_t at_ = 0;
  RequestParser parser_;
  const std::unique_ptr<RequestHead> heads_[2] = {std::make_unique<RequestHead>(),
                                                  std::make_unique<RequestHead>()};
  RequestHead* head_ = nullptr;
  BodyRelay body_;
  BufferPool buffers_{kMostHeadBytes + kForwardingOverhead, 1};
  RequestRun run_;
};

}  // namespace

RequestRun run_requests(std::string_view from_client, Pieces pieces, const Setting& setting) {
  return RequestPath(from_client, pieces, setting).run();
}

}  // namespace ringmaster::fuzz
