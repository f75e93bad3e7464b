#include "worker/client/client_connection.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "worker/client/client_connections.h"
#include "worker/http/proxy_header.h"

namespace ringmaster {
namespace {

// How long an idle connection is kept while draining, for a request that was already on its way.
constexpr Duration kDrainGrace(1000);
// How long we read on after the last answer, so that what is still coming does not reset the
// connection before the client has read it (RFC 9112 section 9.6): between two reads, and in all.
constexpr Duration kLinger(2000);
constexpr std::uint64_t kMostLingerS = 30;
// So many requests that had come already are answered while the worker ends its connections: a
// client that never stops sending would keep it.
constexpr std::uint8_t kMostAnswersAtEnd = 100;

static_assert(kMostHandedBytes <= kBulkBuffer);  // what is handed over finds room in one buffer

}  // namespace

constinit Buffer ClientConnection::kNoInput{};

ClientConnection::ClientConnection(ClientConnections& all, const IpAddress& peer) noexcept
    : all_(all),
      stream_(*this, all.context().outbox),
      timer_(all.context().timers, *this),
      peer_(peer),
      awaits_proxy_header_(all.context().config.server.proxy_protocol) {}

bool ClientConnection::start(int fd, bool look) {
  stream_.adopt(all_.context().loop, fd);
  // A connection that sends nothing is no better than one that sends its head too slowly.
  timer_.arm(all_.context().config.server.header_timeout);
  const bool came = look && stream_.read_what_came();
  if (state_ != State::kIdle) return came;
  if (input_ && input_->is_empty()) input_.reset();
  stream_.start_reading();
  return came;
}

void ClientConnection::heed() noexcept {
  is_heeded_ = true;
  if (state_ == State::kBusy) resume_reading();
}

void ClientConnection::resume(HandedConnection handed) {
  WorkerContext& context = all_.context();
  stream_.adopt(context.loop, handed.client.release());
  if (handed.from_client.size() > context.bulk_buffers.capacity()) return close();
  awaits_proxy_header_ = handed.awaits_proxy_header;
  is_tls_ = handed.is_tls;
  const bool fits = handed.from_client.size() < context.buffers.capacity();
  const bool is_tunnel = handed.upstream.is_open();
  if (!handed.from_client.empty()) {
    input_ = fits ? context.buffers.lend() : context.bulk_buffers.lend();
    std::memcpy(input_->data(), handed.from_client.data(), handed.from_client.size());
    input_->commit(handed.from_client.size());
  }
  stream_.start_reading();
  // What is left of its time is not known here.
  const bool owes_header = awaits_proxy_header_ && !context.ends_connections();
  timer_.arm(owes_header ? context.config.server.header_timeout : patience());
  if (is_tunnel) return resume_tunnel(handed);
  if (input_ && (!awaits_proxy_header_ || read_proxy_header())) serve(/*pipelined=*/false);
}

void ClientConnection::resume_tunnel(HandedConnection& handed) {
  const std::uint32_t upstream = all_.find_upstream(handed.upstream_name);
  if (upstream == HashRing::kNone) return close();
  timer_.disarm();
  exchange_ = all_.proxy().exchanges.create(all_.proxy(), static_cast<Exchange::Client&>(*this),
                                            peer_, false);
  if (!exchange_->resume_tunnel(upstream, handed)) close();
}

bool ClientConnection::hand_over() {
  ConnectionToHand connection;
  connection.client = stream_.fd();
  connection.peer = peer_;
  connection.awaits_proxy_header = awaits_proxy_header_;
  connection.is_tls = is_tls_;
  if (state_ == State::kTunnel) {
    if (!exchange_->describe_tunnel(connection)) return true;  // not now: on_tunnel() tries again
  } else if (exchange_ == nullptr && state_ != State::kLingering && !peer_ended_ &&
             !stream_.is_writing()) {
    if (input_) connection.from_client = input_->unread();
  } else {
    return true;
  }
  switch (::ringmaster::hand_over(all_.context().hand_over_out, connection)) {
    case HandStatus::kTryAgain:
      return false;
    case HandStatus::kImpossible:
      return true;
    case HandStatus::kSent:
      break;
  }
  if (exchange_ != nullptr) exchange_->let_go();
  close();
  return true;
}

std::span<char> ClientConnection::read_room() {
  if (!input_) {
    WorkerContext& context = all_.context();
    input_ = (wants_bulk_ ? context.bulk_buffers : context.buffers).lend();
  }
  if (state_ == State::kLingering) input_->clear();
  return input_->room();
}

void ClientConnection::on_read(std::size_t n) {
  all_.context().beat_now_and_then();
  all_.context().metrics.worker.client_received_bytes.add(n);
  if (state_ == State::kLingering) return linger_on();
  input_->commit(n);
  if (awaits_proxy_header_ && !read_proxy_header()) return;
  serve(/*pipelined=*/false);
}

// False while there is nothing to serve: it is not whole yet, or it was refused.
bool ClientConnection::read_proxy_header() {
  const ProxyHeader header = parse_proxy_header(input_->unread());
  if (header.status == ProxyHeader::Status::kIncomplete) return false;  // header_timeout runs on
  if (header.status == ProxyHeader::Status::kMalformed) {
    refuse_proxy_header();
    return false;
  }
  awaits_proxy_header_ = false;
  if (header.has_client) peer_ = header.client;
  is_tls_ = header.is_tls;
  input_->consume(header.size);
  if (!input_->is_empty()) return true;
  input_.reset();
  return false;
}

// Nobody is there to answer: who speaks no PROXY protocol here is not the balancer we know.
void ClientConnection::refuse_proxy_header() {
  constexpr auto kReason = static_cast<std::size_t>(RejectReason::kBadProxyHeader);
  all_.context().metrics.worker.rejected[kReason].add();
  all_.tell_of_bad_proxy_header(peer_);
  close();
}

// Reads heads and starts exchanges until one has to wait for something. `pipelined`: nothing new
// came, it is the turn of what had come before.
void ClientConnection::serve(bool pipelined) {
  if (serving_) return;
  serving_ = true;
  for (; state_ != State::kLingering && state_ != State::kClosed && input_; pipelined = true) {
    const bool is_new = exchange_ == nullptr;
    if (is_new) {
      if (input_->is_empty()) break;
      if (all_.context().hands_over() && hand_over() && state_ == State::kClosed) break;
      become(State::kBusy);
      exchange_ = all_.proxy().exchanges.create(all_.proxy(), static_cast<Exchange::Client&>(*this),
                                                peer_, pipelined);
      // At a stop, what may be no more than a stray line end is not waited for as long.
      timer_.arm(pipelined && all_.context().ends_connections()
                     ? kDrainGrace
                     : all_.context().config.server.header_timeout);
    }
    exchange_->on_client_data();
    if (exchange_ != nullptr && is_new && peer_ended_) exchange_->on_client_end();
    if (exchange_ != nullptr) break;
  }
  serving_ = false;
  if (state_ == State::kClosed || state_ == State::kLingering) return;
  if (exchange_ == nullptr) return await_request();
  if (!stream_.has_joined_loop() && !is_heeded_ && exchange_->has_all_of_short_request()) return;
  if (!exchange_->has_complete_head() && input_->room().empty()) compact_input();
  if (input_ && input_->room().empty()) {
    stream_.stop_reading();
  } else {
    resume_reading();
  }
}

// Between two requests.
void ClientConnection::await_request() {
  if (peer_ended_) return close();
  input_.reset();
  become(State::kIdle);
  if (all_.context().hands_over()) {
    if (!hand_over()) all_.hand_over_later();
    if (state_ == State::kClosed) return;
  }
  stream_.start_reading();
  timer_.arm(patience());
}

// With a client that has nothing to ask.
Duration ClientConnection::patience() const noexcept {
  const WorkerContext& context = all_.context();
  return context.ends_connections() ? kDrainGrace : context.config.server.keepalive_timeout;
}

// A pipelined head that began late in the buffer gets the whole of it.
void ClientConnection::compact_input() noexcept {
  if (input_->begin == 0) return;
  input_->compact();
  exchange_->on_input_moved();
}

void ClientConnection::on_read_end(int error) {
  peer_ended_ = true;
  if (error != UV_EOF) {
    if (exchange_ != nullptr) exchange_->on_client_gone();
    return close();
  }
  // An end before the first byte is how others see whether anybody listens: no fault of theirs.
  if (awaits_proxy_header_ && input_ && !input_->is_empty()) return refuse_proxy_header();
  if (exchange_ == nullptr) return close();
  exchange_->on_client_end();
}

void ClientConnection::on_written(int status) {
  if (exchange_ != nullptr) exchange_->on_client_written(status);
}

bool ClientConnection::read_on() {
  WorkerContext& context = all_.context();
  if (input_->pool == &context.bulk_buffers) return false;
  const std::size_t n = stream_.read_on(input_, context.bulk_buffers);
  context.metrics.worker.client_received_bytes.add(n);
  return true;
}

void ClientConnection::fit_input(std::uint32_t came, bool is_short) {
  WorkerContext& context = all_.context();
  const bool found_room = came < context.buffers.capacity();
  if (state_ == State::kTunnel) {
    wants_bulk_ = is_short || !found_room;
    return input_.reset();
  }
  const bool is_bulk = input_->pool == &context.bulk_buffers;
  if (is_short && !is_bulk) {
    input_ = context.bulk_buffers.lend();
  } else if (is_bulk && found_room) {
    input_ = context.buffers.lend();
  }
}

void ClientConnection::resume_reading() {
  const bool has_room = !input_ || !input_->room().empty();  // read_room() lends one
  if (!peer_ended_ && has_room) stream_.start_reading();
}

bool ClientConnection::lives_on(bool more_came) {
  if (!all_.context().ends_connections()) return true;
  return more_came && ++answers_at_end_ < kMostAnswersAtEnd;
}

// What could not be handed over before it was one, or with bytes under way, can be tried now.
void ClientConnection::on_tunnel() {
  become(State::kTunnel);
  if (all_.context().hands_over()) all_.hand_over_later();
}

void ClientConnection::on_exchange_done(Exchange::Ending ending) {
  drop_exchange();
  switch (ending) {
    case Exchange::Ending::kKeepAlive:
      return serve(/*pipelined=*/true);
    case Exchange::Ending::kClose:
      return close();
    case Exchange::Ending::kLinger:
      return linger();
    case Exchange::Ending::kCut:
      become(State::kClosed);
      return stream_.reset();
  }
}

void ClientConnection::linger() {
  if (peer_ended_) return close();
  become(State::kLingering);
  stream_.end_writing();
  if (input_) input_.reset();
  stream_.start_reading();
  timer_.arm(all_.context().is_draining() ? kDrainGrace : kLinger);
  linger_until_s_ = static_cast<std::uint32_t>(uv_now(all_.context().loop) / 1000 + kMostLingerS);
}

// What comes now is of no interest; but as long as something does, the client may not have read the
// answer yet.
void ClientConnection::linger_on() {
  input_.reset();
  const std::uint64_t now_ms = uv_now(all_.context().loop);
  const std::uint64_t until_ms = std::uint64_t{linger_until_s_} * 1000;
  if (all_.context().is_draining() || now_ms >= until_ms) return;
  timer_.arm(std::min(kLinger, Duration(until_ms - now_ms)));
}

void ClientConnection::on_timeout() {
  switch (state_) {
    case State::kBusy:
    case State::kTunnel:
      if (exchange_ != nullptr) exchange_->on_timeout();
      return;
    case State::kIdle:
      if (awaits_proxy_header_ && !all_.context().is_draining()) return refuse_proxy_header();
      return close();
    case State::kLingering:
      return close();
    default:
      return;
  }
}

void ClientConnection::begin_drain() noexcept {
  if (state_ == State::kIdle) timer_.arm(kDrainGrace);
}

bool ClientConnection::cut(RejectReason reason) {
  const bool busy = exchange_ != nullptr && exchange_->owes_answer();
  if (exchange_ != nullptr) {
    exchange_->cut(reason);  // ends in on_exchange_done()
  } else {
    close();
  }
  return busy;
}

void ClientConnection::close() {
  drop_exchange();
  become(State::kClosed);
  timer_.disarm();
  input_.reset();
  stream_.close();
}

void ClientConnection::become(State state) noexcept {
  all_.recount(state_, state, *this);
  state_ = state;
}

void ClientConnection::drop_exchange() noexcept {
  if (exchange_ == nullptr) return;
  all_.proxy().exchanges.destroy(std::exchange(exchange_, nullptr));
}

void ClientConnection::on_closed() {
  all_.bury(*this);
}

}  // namespace ringmaster
