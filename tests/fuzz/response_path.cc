#include "tests/fuzz/response_path.h"

#include <memory>

#include "tests/fuzz/finding.h"
#include "tests/fuzz/request_path.h"
#include "worker/http/connection_options.h"
#include "worker/http/forwarding.h"
#include "worker/http/parser.h"
#include "worker/proxy/relay.h"

namespace ringmaster::fuzz {
namespace {

// The request that 'U' stands for.
const RequestHead& upgrade_request() {
  static const std::string bytes =
      "GET / HTTP/1.1\r\nHost: h\r\nConnection: upgrade\r\nUpgrade: " + std::string(kOffer) +
      "\r\n\r\n";
  static const auto head = [] {
    auto made = std::make_unique<RequestHead>();
    RequestParser parser;
    demand(parser.parse(bytes, {kMostHeadBytes}, *made) == ParseStatus::kComplete, "no request");
    return made;
  }();
  return *head;
}

class ResponsePath {
 public:
  ResponsePath(std::string_view from_backend, Pieces pieces) : backend_(from_backend, pieces) {}

  // False once nothing more can come.
  bool answer(Asked asked) {
    asked_ = asked;
    while (read_head()) {
      if (head_->status == 101) return begin_tunnel();
      if (head_->status >= 200) return relay();
      relay_interim();
    }
    return false;
  }

  ResponseRun take() { return std::move(run_); }

 private:
  bool read_head() {
    parser_.reset();
    for (;;) {
      if (backend_.arrived(at_).empty()) {
        if (!backend_.next()) return false;
        continue;
      }
      head_ = heads_[backend_.toss() ? 1 : 0].get();
      switch (parser_.parse(backend_.arrived(at_), kLimits, asked_.is_head, *head_)) {
        case ParseStatus::kComplete:
          return true;
        case ParseStatus::kError:
          return refuse();
        case ParseStatus::kIncomplete:
          if (!backend_.next()) return false;
          if (backend_.toss()) parser_.reset();
      }
    }
  }

  bool refuse() {
    run_.is_refused = true;
    return false;
  }

  RelayedResponse& begin_response() {
    RelayedResponse& response = run_.responses.emplace_back();
    response.asked = asked_;
    response.begin = at_;
    return response;
  }

  void write_head(BodyFraming framing, bool keep_alive, bool keep_upgrade, Buffer& buffer) {
    const ResponseForwarding how{
        .client_version = asked_.is_11 ? HttpVersion::k11 : HttpVersion::k10,
        .framing = framing,
        .keep_alive = keep_alive,
        .keep_upgrade = keep_upgrade,
        .via_name = kViaName,
        .request_id = kRequestId,
        .date = kDate};
    buffer.clear();
    buffer.commit(write_response_head(*head_, how, buffer.data(), buffer.capacity));
  }

  void relay_interim() {
    RelayedResponse& response = begin_response();
    response.is_interim = response.is_done = true;
    if (asked_.is_11) {
      BufferLease buffer = buffers_.lend();
      write_head(BodyFraming::kNone, true, false, *buffer);
      response.bytes = buffer->unread();
    }
    at_ += head_->size;
    response.end = at_;
  }

  bool begin_tunnel() {
    const bool wanted = asked_.upgrade && head_->wants_upgrade;
    if (!wanted || !accepts_offer(*head_, upgrade_request())) return refuse();
    RelayedResponse& response = begin_response();
    BufferLease buffer = buffers_.lend();
    write_head(BodyFraming::kNone, true, true, *buffer);
    response.bytes = buffer->unread();
    response.is_tunnel = response.is_done = true;
    at_ += head_->size;
    response.end = at_;
    run_.is_closed = true;
    return false;
  }

  bool relay() {
    BodyFraming framing = head_->framing;
    if (framing == BodyFraming::kChunked || framing == BodyFraming::kUntilClose) {
      framing = asked_.is_11 ? BodyFraming::kChunked : BodyFraming::kUntilClose;
    }
    const bool keep_alive = asked_.keep_alive && framing != BodyFraming::kUntilClose;
    BufferLease buffer = buffers_.lend();
    const bool tells_what_to_upgrade_to =
        head_->status == 426 && head_->wants_upgrade && asked_.is_11;
    write_head(framing, keep_alive, tells_what_to_upgrade_to, *buffer);
    if (buffer->is_empty()) return refuse();
    RelayedResponse& response = begin_response();
    body_.start(*head_, framing);
    at_ += head_->size;
    if (!relay_body(*buffer, response)) return false;
    response.is_done = true;
    response.client_may_go_on = keep_alive;
    response.end = at_;
    run_.is_closed = !head_->keep_alive || head_->framing == BodyFraming::kUntilClose;
    return !run_.is_closed;
  }

  // True once the body is complete.
  bool relay_body(Buffer& buffer, RelayedResponse& response) {
    std::string_view prefix = buffer.unread();
    for (;;) {
      BodyRelay::Batch batch;
      body_.gather(prefix, backend_.pending(at_), BodyRelay::Input::kMayMove, batch);
      if (batch.status == BodyRelay::Status::kError) {
        if (prefix.empty()) {
          run_.is_cut = true;
        } else {
          run_.responses.pop_back();  // nothing of it has gone out
          run_.is_refused = true;
        }
        return false;
      }
      at_ += batch.consumed;
      if (!prefix.empty()) BodyRelay::join_short(batch, buffer);
      for (std::size_t i = 0; i < batch.count; ++i) {
        response.bytes.append(batch.pieces[i].base, batch.pieces[i].len);
      }
      if (batch.status == BodyRelay::Status::kDone) return true;
      if (backend_.arrived(at_).empty() && !backend_.next()) return end_of_connection(response);
      prefix = {};
    }
  }

  bool end_of_connection(RelayedResponse& response) {
    run_.is_cut = !body_.ends_with_connection();
    if (!run_.is_cut && asked_.is_11) response.bytes += kLastChunk;
    return !run_.is_cut;
  }

  static constexpr ParseLimits kLimits{kMostHeadBytes};

  Arrival backend_;
  Asked asked_;
  std::size_t at_ = 0;
  ResponseParser parser_;
  const std::unique_ptr<ResponseHead> heads_[2] = {std::make_unique<ResponseHead>(),
                                                   std::make_unique<ResponseHead>()};
  ResponseHead* head_ = nullptr;
  BodyRelay body_;
  BufferPool buffers_{kMostHeadBytes + kForwardingOverhead, 1};
  ResponseRun run_;
};

}  // namespace

Asked Asked::from(char letter) noexcept {
  switch (letter) {
    case 'H':
      return {.is_head = true};
    case 'C':
      return {.keep_alive = false};
    case 'U':
      return {.upgrade = true};
    case 'g':
      return {.is_11 = false, .keep_alive = false};
    case 'h':
      return {.is_head = true, .is_11 = false, .keep_alive = false};
    case 'k':
      return {.is_11 = false};
    default:
      return {};
  }
}

ResponseRun run_responses(std::string_view asked, std::string_view from_backend, Pieces pieces) {
  ResponsePath path(from_backend, pieces);
  for (const char letter : asked) {
    if (!path.answer(Asked::from(letter))) break;
  }
  return path.take();
}

}  // namespace ringmaster::fuzz
