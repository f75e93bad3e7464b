#include "worker/upstream/upstream_pool.h"

namespace ringmaster {

UpstreamPool::UpstreamPool(WorkerContext& context)
    : context_(context), idle_(context.segment.upstream_count()) {}

UpstreamConnection* UpstreamPool::lend_idle(std::uint32_t upstream,
                                            UpstreamConnection::User& user) noexcept {
  UpstreamConnection* connection = idle_[upstream].first;
  if (connection == nullptr) return nullptr;
  unlink(*connection);
  connection->lend(user);
  UpstreamMetrics& m = metrics(*connection);
  m.connections_busy.add();
  m.connections_reused.add();
  return connection;
}

UpstreamConnection* UpstreamPool::open(std::uint32_t upstream, UpstreamConnection::User& user) {
  UpstreamConnection* connection = memory_.create(context_, *this, upstream);
  ++open_connections_;
  metrics(*connection).connections_busy.add();
  connection->connect(user, context_.segment.upstream(upstream).address());
  return connection;
}

UpstreamConnection* UpstreamPool::adopt(std::uint32_t upstream, UniqueFd& socket,
                                        UpstreamConnection::User& user) {
  UpstreamConnection* connection = memory_.create(context_, *this, upstream);
  if (!connection->adopt(user, socket)) {
    memory_.destroy(connection);
    return nullptr;
  }
  ++open_connections_;
  metrics(*connection).connections_busy.add();
  return connection;
}

void UpstreamPool::give_back(UpstreamConnection& connection) noexcept {
  IdleList& list = idle_[connection.upstream()];
  if (list.size >= context_.config.upstream.max_idle || context_.draining) {
    discard(connection);
    return;
  }
  metrics(connection).connections_busy.subtract();
  metrics(connection).connections_idle.add();
  connection.idle_previous = nullptr;
  connection.idle_next = list.first;
  if (list.first != nullptr) list.first->idle_previous = &connection;
  list.first = &connection;
  ++list.size;
  connection.make_idle();
}

void UpstreamPool::discard(UpstreamConnection& connection) noexcept {
  if (connection.stream().is_closing()) return;
  if (connection.idle_) {
    unlink(connection);
  } else {
    metrics(connection).connections_busy.subtract();
  }
  connection.close();
}

void UpstreamPool::unlink(UpstreamConnection& connection) noexcept {
  IdleList& list = idle_[connection.upstream()];
  metrics(connection).connections_idle.subtract();
  connection.idle_ = false;
  if (connection.idle_previous != nullptr) {
    connection.idle_previous->idle_next = connection.idle_next;
  } else {
    list.first = connection.idle_next;
  }
  if (connection.idle_next != nullptr) {
    connection.idle_next->idle_previous = connection.idle_previous;
  }
  --list.size;
}

void UpstreamPool::close_idle(bool only_unusable) noexcept {
  for (std::uint32_t upstream = 0; upstream < idle_.size(); ++upstream) {
    if (only_unusable && context_.segment.upstream(upstream).is_usable()) continue;
    while (idle_[upstream].first != nullptr) discard(*idle_[upstream].first);
  }
}

void UpstreamPool::bury(UpstreamConnection& connection) noexcept {
  --open_connections_;
  memory_.destroy(&connection);
}

}  // namespace ringmaster
