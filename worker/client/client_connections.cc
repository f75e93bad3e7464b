#include "worker/client/client_connections.h"

#include <unistd.h>

namespace ringmaster {
namespace {

// The others take what waits in the channel within a turn of their loops.
constexpr std::uint64_t kHandOverAgainMs = 2;

}  // namespace

ClientConnections::ClientConnections(WorkerContext& context, Proxy& proxy)
    : context_(context),
      proxy_(proxy),
      again_(open_handle<uv_timer_t>(this, uv_timer_init, context.loop)) {}

void ClientConnections::add(int fd, const IpAddress& peer) {
  ClientConnection* connection = memory_.create(*this, peer);
  if (!connection->start(fd)) {
    memory_.destroy(connection);
    ::close(fd);
    return;
  }
  link(*connection);
  context_.metrics.worker.clients_total.add();
  context_.metrics.worker.clients_idle.add();
  context_.slot.set_connections(++size_);
}

void ClientConnections::take_over(HandedConnection handed) {
  ClientConnection* connection = memory_.create(*this, handed.peer);
  if (!connection->resume(handed)) return memory_.destroy(connection);
  link(*connection);
  context_.metrics.worker.clients_idle.add();
  context_.slot.set_connections(++size_);
  connection->go_on(handed);
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
  const auto again = [](uv_timer_t* timer) noexcept {
    auto* self = owner_of<ClientConnections>(timer);
    if (self != nullptr && self->context_.hands_over) self->hand_over_all();
  };
  uv_timer_start(again_.get(), again, kHandOverAgainMs, 0);
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
