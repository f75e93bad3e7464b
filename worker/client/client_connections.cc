#include "worker/client/client_connections.h"

#include <chrono>
#include <utility>

namespace ringmaster {
namespace {

// The others take what waits in the channel within a turn of their loops.
constexpr std::chrono::milliseconds kHandOverAgain{2};
// After so many newcomers in a row with whom no request came, only one in so many is asked.
constexpr std::uint32_t kFewSilent = 4;
constexpr std::uint32_t kAskOneIn = 16;

}  // namespace

ClientConnections::ClientConnections(WorkerContext& context, Proxy& proxy)
    : context_(context),
      proxy_(proxy),
      again_(open_handle<uv_timer_t>(this, uv_timer_init, context.loop)) {}

// A busy worker finds the request there when it comes to accept; one that has been woken for the
// connection itself is too early, and would look in vain.
void ClientConnections::add(int fd, const IpAddress& peer) {
  context_.metrics.worker.clients_total.add();
  const bool look = came_silent_ < kFewSilent || came_silent_ % kAskOneIn == 0;
  came_silent_ = admit(peer).start(fd, look) ? 0 : came_silent_ + 1;
}

void ClientConnections::take_over(HandedConnection handed) {
  const IpAddress peer = handed.peer;
  admit(peer).resume(std::move(handed));
}

ClientConnection& ClientConnections::admit(const IpAddress& peer) {
  ClientConnection& connection = *memory_.create(*this, peer);
  link(connection);
  context_.metrics.worker.clients_idle.add();
  context_.slot.set_connections(++size_);
  return connection;
}

// All behind one that is heeded came before it.
void ClientConnections::heed_newcomers() noexcept {
  for (ClientConnection* c = first_; c != nullptr && !c->is_heeded_; c = c->next_) c->heed();
}

void ClientConnections::hand_over_all() {
  for (ClientConnection* c = first_; c != nullptr;) {
    ClientConnection* next = c->next_;
    if (!c->hand_over()) return hand_over_later();
    c = next;
  }
}

void ClientConnections::hand_over_later() {
  if (uv_is_active(reinterpret_cast<uv_handle_t*>(again_.get())) != 0) return;
  start_timer<&ClientConnections::hand_over_again>(again_, kHandOverAgain);
}

void ClientConnections::hand_over_again() {
  if (context_.hands_over()) hand_over_all();
}

std::uint32_t ClientConnections::find_upstream(std::string_view name) const noexcept {
  for (std::uint32_t i = 0; i < context_.segment.upstream_count(); ++i) {
    if (context_.segment.upstream(i).name() == name) return i;
  }
  return HashRing::kNone;
}

void ClientConnections::begin_drain() noexcept {
  for (ClientConnection* c = first_; c != nullptr; c = c->next_) c->begin_drain();
}

std::uint32_t ClientConnections::cut_all(RejectReason reason) {
  std::uint32_t cut = 0;
  for (ClientConnection* c = first_; c != nullptr;) {
    ClientConnection* next = c->next_;
    if (c->cut(reason)) ++cut;
    c = next;
  }
  return cut;
}

Gauge* ClientConnections::gauge_of(ClientConnection::State state) noexcept {
  switch (state) {
    case ClientConnection::State::kIdle:
      return &context_.metrics.worker.clients_idle;
    case ClientConnection::State::kBusy:
    case ClientConnection::State::kLingering:
      return &context_.metrics.worker.clients_active;
    case ClientConnection::State::kTunnel:
      return &context_.metrics.worker.clients_tunnel;
    case ClientConnection::State::kClosed:
      break;
  }
  return nullptr;
}

void ClientConnections::recount(ClientConnection::State from, ClientConnection::State to,
                                ClientConnection& connection) noexcept {
  if (from == to) return;
  if (Gauge* gauge = gauge_of(from)) gauge->subtract();
  if (Gauge* gauge = gauge_of(to)) gauge->add();
  if (to != ClientConnection::State::kClosed) return;
  unlink(connection);
  context_.slot.set_connections(--size_);
}

void ClientConnections::tell_of_bad_proxy_header(const IpAddress& peer) {
  if (!bad_headers_.admits(uv_now(context_.loop))) return;
  log::warning(
      "a connection from {} had no valid PROXY header and was closed: server.proxy_protocol is on "
      "here, is it in the balancer in front?{}",
      peer.to_string(), bad_headers_.note());
}

void ClientConnections::link(ClientConnection& connection) noexcept {
  connection.next_ = first_;
  if (first_ != nullptr) first_->previous_ = &connection;
  first_ = &connection;
}

void ClientConnections::unlink(ClientConnection& connection) noexcept {
  if (connection.next_ != nullptr) connection.next_->previous_ = connection.previous_;
  (connection.previous_ != nullptr ? connection.previous_->next_ : first_) = connection.next_;
}

void ClientConnections::bury(ClientConnection& connection) noexcept {
  memory_.destroy(&connection);
}

}  // namespace ringmaster
