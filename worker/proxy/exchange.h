// One request and its response: from the first byte of the head to the last byte of the answer.
//
//   kHead ──▶ kConnecting ──▶ kAwaiting ──▶ kRelaying ──▶ kFlushing ──▶ kDone
//     │            ▲  │            │  │          └▶ kTunnel ─────────────▲
//     │            └──┴── retry ◀──┘  │ (101)                            │
//     │                    ▲└▶ kVerdict (no budget for it; its backend may prove dead)
//     └── refused ─────────────── answered by ourselves ── kFlushing ────┘
//
// The parts of its work: exchange.cc admits, chooses, accounts and ends; exchange_request.cc sends
// the request; exchange_response.cc relays the answer; exchange_tunnel.cc serves an upgraded
// connection; exchange_failure.cc asks again elsewhere and ends before the time; exchange_answer.cc
// answers in the backend's place; exchange_record.cc tells the flight recorder and the access log.
// What all exchanges of a worker share is in proxy.h.
// What most requests never need is marked cold, so that the code of the others lies in few pages.
// Owned by its ClientConnection from the first byte of a request to on_exchange_done().
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "shared/base/clock.h"
#include "shared/memory/flight_recorder.h"
#include "shared/memory/metrics_slab.h"
#include "worker/http/forwarding.h"
#include "worker/http/local_response.h"
#include "worker/http/parser.h"
#include "worker/http/request_id.h"
#include "worker/io/handover.h"
#include "worker/proxy/balancer.h"
#include "worker/proxy/in_flight.h"
#include "worker/proxy/proxy.h"
#include "worker/proxy/relay.h"
#include "worker/proxy/retry_budget.h"
#include "worker/upstream/upstream_pool.h"

namespace ringmaster {

class Exchange final : public ActiveHook, public AskedHook, private UpstreamConnection::User {
 public:
  // What becomes of the client's connection.
  enum class Ending : std::uint8_t {
    kKeepAlive,
    kClose,   // all was said
    kLinger,  // something the client sent is unread: let it read the answer before we close
    kCut,     // the message broke off: the client must not take it for complete
  };
  class Client {
   public:
    virtual TcpStream& stream() = 0;
    // To the balancer in front, which says so.
    virtual bool came_over_tls() const = 0;
    // Armed with header_timeout (less, at a stop) when the exchange begins, and the exchange's to
    // arm from then on: its timeouts arrive at on_timeout().
    virtual Timer& timer() = 0;
    virtual Buffer& input() = 0;  // begins with this request's first byte that is still kept
    // The input is full, and its request is longer: goes on in a bigger one, with what else has
    // come already. False: it is one.
    virtual bool read_on() = 0;
    // The input is used up: swaps it for a bigger one if `is_short` of room for a long body, back
    // for a usual one if the `came` bytes that were in it had found room there. A tunnel's is given
    // back until more comes.
    virtual void fit_input(std::uint32_t came, bool is_short) = 0;
    virtual void give_back_input() = 0;  // it is used up; more may come
    virtual void resume_reading() = 0;   // there is room in input() again
    // Whether the connection is to live on after an answer, as far as this worker goes, which may
    // be about to end. `more_came`: of what the client sent, more than this request. Asked before
    // an answer.
    virtual bool lives_on(bool more_came) = 0;
    virtual void on_tunnel() = 0;  // a tunnel from now on, or one whose pending bytes are out
    virtual void on_exchange_done(Ending ending) = 0;  // last call

   protected:
    ~Client() = default;
  };

  // `pipelined`: its first byte had been there before the answer to the request before it.
  Exchange(Proxy& proxy, Client& client, const IpAddress& peer, bool pipelined) noexcept;

  // ---- Called by the client connection; each may end in on_exchange_done() ----
  // Bytes came in, or this is the turn of bytes that had come before.
  void on_client_data();
  // The client ended its side. A request that is complete is answered all the same.
  [[gnu::cold]] void on_client_end();
  // The connection broke; no answer is possible. The client connection destroys us after it.
  [[gnu::cold]] void on_client_gone();
  void on_client_written(int error);
  // input() was moved to another address before the head was complete.
  void on_input_moved() noexcept { parser_.reset(); }
  [[gnu::cold]] void on_timeout();
  // Ends the request where it is, the client cut off.
  [[gnu::cold]] void cut(RejectReason reason);

  // ---- Hand-over of a tunnel (exchange_tunnel.cc) ----
  // What another worker needs to go on with it. False: it is no tunnel (yet), or holds bytes that
  // cannot be told apart.
  [[gnu::cold]] bool describe_tunnel(ConnectionToHand& connection);
  // It is another's now: nothing more is sent or counted.
  [[gnu::cold]] void let_go() noexcept;
  // Goes on with a tunnel to `upstream` that another worker began. False: refused, nothing is sent.
  [[gnu::cold]] bool resume_tunnel(std::uint32_t upstream, HandedConnection& handed);

  // See Proxy::look_for_clients().
  void look_for_client() { client_.stream().look_for_peer(); }

  bool has_complete_head() const noexcept { return phase_ != Phase::kHead; }
  // The request has come whole, and had no body: the client has nothing more to say before it is
  // answered.
  bool has_all_of_short_request() const noexcept {
    return has_complete_head() && head_.framing == BodyFraming::kNone && phase_ != Phase::kTunnel;
  }
  // A request has come whose answer is not out.
  bool owes_answer() const noexcept {
    return phase_ != Phase::kHead && phase_ != Phase::kDiscarding;
  }

 private:
  friend struct Proxy;
  enum class Phase : std::uint8_t {
    kHead,        // reading the request head
    kConnecting,  // to a backend
    kAwaiting,    // sending the request, no response head yet
    kVerdict,     // lost its backend, and no retry is left in the budget: it is asked again for
                  // nothing if the master now finds that backend dead
    kRelaying,    // the response head went out, the body follows
    kTunnel,
    kFlushing,    // all decided, the last bytes wait for the client to take them
    kDiscarding,  // refused; the rest of a short body is read and dropped, so that the connection
                  // lives on
    kDone,
  };

  // How far the request has come on its way to the backend that was chosen, and the answer on its
  // way back. Forgotten when the request is sent again; what must outlive that is the request's.
  struct Attempt {
    std::uint64_t request_bytes = 0;   // of the body, so far
    std::uint64_t received_bytes = 0;  // likewise, with what chunking adds
    // The turn of the loop in which an idle connection was used without a look at what had come on
    // it; 0: none.
    std::uint64_t sent_unseen_in = 0;
    std::uint16_t status = 0;  // of the backend's response; 0: none, or answered by ourselves
    BodyFraming response_framing = BodyFraming::kNone;  // as the backend sends it
    bool upstream_keep_alive = false;                   // the backend said so
    bool request_done = false;                          // sent to the last byte
    bool request_touched = false;  // the kernel took some byte of it for this backend
    bool request_broken = false;   // the backend takes no more; its answer may still come
    bool response_begun = false;   // some byte of a response came
  };

  // exchange.cc
  void read_head();
  bool read_on();
  void name_request(std::string_view given) noexcept;
  std::string_view trusted_id() noexcept;
  void begin();
  void choose_backend();
  void use_backend();
  bool use_idle_connection();
  void use_new_connection();
  void on_upstream_connected(int error) override;
  bool may_send_again() const noexcept;
  // It died: one that has begun to answer may have acted.
  bool may_ask_again() const noexcept { return may_send_again() && !attempt_.response_begun; }
  // Some of the request may have reached the backend. Precondition: it has one.
  bool was_asked() const noexcept {
    return attempt_.request_touched && !upstream_->stream().is_held_back();
  }
  bool awaits_continue() const noexcept;
  bool came_before_request() const noexcept {
    return attempt_.sent_unseen_in == proxy_.context.outbox.turn().number();
  }
  void arm_while_awaiting();
  void release_upstream() noexcept;
  void rewind_request() noexcept;
  bool is_last_request() noexcept;
  bool more_came() noexcept;
  bool has_whole_request() noexcept;
  void account() noexcept;
  void finish(Ending ending);
  void enlist() noexcept;
  // Reads the answer if it is there. False: none has come yet.
  bool read_ahead() {
    if (phase_ != Phase::kAwaiting || !upstream_) return true;
    return upstream_->read_ahead();
  }

  // exchange_failure.cc
  [[gnu::cold]] void fail_attempt(RetryCause cause, RejectReason reason, bool may_retry);
  bool has_retry_left() const noexcept {
    return retries_ < config().upstream.retries && !tried_.is_full();
  }
  [[gnu::cold]] bool may_retry_for(RetryCause cause) noexcept;
  [[gnu::cold]] void await_verdict();
  [[gnu::cold]] void on_no_verdict();
  [[gnu::cold]] void retry_elsewhere();
  [[gnu::cold]] void on_ejected();
  // The client ended its side in the middle of its request.
  bool left_early() noexcept {
    return client_ended_ && !attempt_.request_done && !has_whole_request();
  }
  [[gnu::cold]] void pass_on_early_end() noexcept;
  [[gnu::cold]] RejectReason reason_of_standstill() noexcept;
  [[gnu::cold]] void conclude_cut(RejectReason reason);
  [[gnu::cold]] void count_cut(RejectReason reason) noexcept;
  [[gnu::cold]] Ending ending_of_cut(RejectReason reason) const noexcept;

  // exchange_answer.cc
  [[gnu::cold]] void refuse(RejectReason reason, std::uint32_t retry_after_s = 0);
  [[gnu::cold]] void answer_as_recipient();
  [[gnu::cold]] LocalResponse own_answer(RejectReason reason) noexcept;
  [[gnu::cold]] void send_own_answer(RejectReason reason, BufferLease buffer, std::size_t size);
  [[gnu::cold]] bool keeps_alive_after(RejectReason reason) noexcept;
  [[gnu::cold]] void discard_body();

  // exchange_record.cc
  void begin_record() noexcept;
  void record_attempt(std::uint32_t upstream, bool reused) noexcept;
  void record_connect() noexcept;
  void record_first_byte() noexcept;
  [[gnu::cold]] void record_failure(RetryCause cause) noexcept;
  void conclude(RequestOutcome outcome, RejectReason reason = {}) noexcept;
  void publish_record() noexcept;
  void log_request();
  [[gnu::cold]] void keep_head();
  std::uint64_t age_us() const noexcept { return (now_ns_ - started_ns_) / 1000; }
  void look_at_clock() noexcept { now_ns_ = monotonic_ns(); }

  // exchange_request.cc
  void send_request();
  void note_asked() noexcept;
  void pump_request();
  bool write_request(std::string_view prefix, BufferLease* hold);
  TcpStream::WriteStatus send_upstream(BodyRelay::Batch& batch, BufferLease* hold);
  void rearm_for_request();
  void reclaim_input();
  void forget_request();
  void give_up_replay();
  void on_upstream_written(int error) override;

  // exchange_response.cc
  void on_upstream_data() override;
  [[gnu::cold]] void on_upstream_end(int error) override;
  void read_response_head();
  [[gnu::cold]] bool make_room_for_head();
  [[gnu::cold]] bool relay_interim();
  void begin_response();
  void expect_body(bool client_keeps_up) noexcept;
  void relay_response(std::string_view prefix, BufferLease* hold);
  TcpStream::WriteStatus send_to_client(BodyRelay::Batch& batch, BufferLease* hold, bool finished);
  void finish_response(bool flushed);
  [[gnu::cold]] void lose_upstream();
  [[gnu::cold]] void note_fault(AnswerFault fault);
  [[gnu::cold]] void refuse_answer(AnswerFault fault);

  // exchange_tunnel.cc
  [[gnu::cold]] void begin_tunnel();
  [[gnu::cold]] void enter_tunnel();
  [[gnu::cold]] void pass_on_client_end();
  [[gnu::cold]] void pass_on_upstream_end();
  [[gnu::cold]] void end_tunnel_if_both_ended();
  [[gnu::cold]] void end_broken_tunnel();

  const Config& config() const noexcept { return proxy_.context.config; }
  UpstreamMetrics& upstream_metrics() noexcept {
    return proxy_.context.metrics.upstreams[upstream_index_];
  }

  // Borrowed: the worker's proxy, the connection that owns us.
  Proxy& proxy_;
  Client& client_;
  // Owned.
  UpstreamLease upstream_;
  InFlight in_flight_;
  RetryPermit retry_permit_;
  BodyRelay request_body_;
  BodyRelay response_body_;
  BufferLease kept_head_;  // a copy of a head that had to make room and is still needed
  // Of the request, whoever it is sent to.
  const IpAddress peer_;
  IpAddress client_ip_;
  RequestId id_;  // from a complete head, or our refusal, on
  const std::uint64_t started_ns_;
  std::uint64_t now_ns_;  // when the event came that is being dealt with
  std::uint64_t interim_since_ns_ = 0;
  // What the flight recorder is told, and the number of its entry.
  RequestRecord record_{};
  std::uint64_t recorded_as_ = FlightRecorder::kUnpublished;
  std::uint32_t body_at_ = 0;  // of the client's input: what has not gone upstream yet
  std::uint32_t upstream_index_ = HashRing::kNone;  // the backend that was chosen last
  std::uint32_t retries_ = 0;
  std::uint32_t interim_responses_ = 0;  // of all attempts, in one second
  TriedUpstreams tried_;
  Phase phase_ = Phase::kHead;
  bool head_began_ = false;                   // some of the request was looked at
  MessageFault fault_ = MessageFault::kNone;  // of a bad request
  Ending ending_ = Ending::kLinger;
  // Why the last attempt failed: what the client is told, and what is counted.
  RejectReason failure_ = RejectReason::kNoBackend;
  RetryCause failure_cause_ = RetryCause::kConnectFailed;
  const bool pipelined_;
  bool replayable_ = true;   // every byte of the request is still in the client's input
  bool keep_alive_ = false;  // said so to the client
  bool continued_ = false;   // the client was told 100 (Continue)
  // What is pending there begins with a head or a part of it, or is no part of the tunnel.
  bool head_pending_to_client_ = false;
  bool head_pending_to_upstream_ = false;
  bool client_ended_ = false;
  bool upstream_ended_ = false;  // of a tunnel
  bool accounted_ = false;
  bool has_head_ = false;  // head_ is complete
  bool logged_ = false;
  // Of this attempt, as are the two bodies and the response's parser, which are told themselves to
  // begin anew.
  Attempt attempt_;
  // Parsers and head last: large, and touched at the ends only.
  RequestParser parser_;
  ResponseParser response_parser_;
  RequestHead head_;
};

}  // namespace ringmaster
