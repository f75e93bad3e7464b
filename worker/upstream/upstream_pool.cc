#include "worker/upstream/upstream_pool.h"

#include <algorithm>
#include <utility>

#include "shared/base/log.h"
#include "shared/base/shortage.h"

namespace ringmaster {
namespace {

// To close one takes some ten microseconds, for which all else waits.
constexpr std::uint32_t kMostClosedInAStep = 512;
// A backend that does not keep connections closes them sooner than this.
constexpr Duration kProof(20);

}  // namespace

UpstreamPool::UpstreamPool(WorkerContext& context)
    : context_(context), idle_(context.segment.upstream_count()) {}

UpstreamConnection* UpstreamPool::lend_idle(std::uint32_t upstream, UpstreamConnection::User& user,
                                            Trust trust) noexcept {
  IdleList& list = idle_[upstream];
  if (trust == Trust::kProven && !is_proven(list)) return nullptr;
  UpstreamConnection* connection = list.first;
  // Those to an address that its name no longer stands for end here.
  const std::uint32_t address = context_.segment.upstream(upstream).address_number();
  while (connection != nullptr && connection->address_number() != address) {
    discard(*connection);
    connection = list.first;
  }
  if (connection == nullptr) return nullptr;
  unlink(*connection);
  ++list.lends;
  connection->lend(user);
  metrics(*connection).connections_busy.add();
  return connection;
}

bool UpstreamPool::is_proven(IdleList& list) noexcept {
  if (!list.is_proven && list.last != nullptr) list.is_proven = list.last->idle_for() >= kProof;
  return list.is_proven;
}

UpstreamConnection* UpstreamPool::open(std::uint32_t upstream, UpstreamConnection::User& user) {
  UpstreamConnection* connection = memory_.create(context_, *this, upstream);
  metrics(*connection).connections_busy.add();
  connection->connect(user, context_.segment.upstream(upstream));
  return connection;
}

UpstreamConnection* UpstreamPool::adopt(std::uint32_t upstream, UniqueFd socket,
                                        UpstreamConnection::User& user) {
  UpstreamConnection* connection = memory_.create(context_, *this, upstream);
  connection->adopt(user, std::move(socket));
  metrics(*connection).connections_busy.add();
  return connection;
}

bool UpstreamPool::makes_room_after(int error) {
  if (!is_own_shortage(error)) return false;
  if (shortage_lines_.admits(uv_now(context_.loop))) {
    log::error(
        "cannot open a connection to a backend: {}; raise the limit on open files (LimitNOFILE) "
        "or the range of local ports, or lower upstream.max_idle{}",
        uv_strerror(error), shortage_lines_.note());
  }
  if (error != UV_EMFILE && error != UV_ENFILE) return false;
  const auto longest = std::max_element(
      idle_.begin(), idle_.end(),
      [](const IdleList& a, const IdleList& b) noexcept { return a.size < b.size; });
  if (longest == idle_.end() || longest->last == nullptr) return false;
  discard(*longest->last);
  return true;
}

void UpstreamPool::give_back(UpstreamConnection& connection) noexcept {
  IdleList& list = idle_[connection.upstream()];
  const std::uint32_t most = context_.config.upstream.max_idle;
  if (most == 0 || context_.is_draining()) {
    discard(connection);
    return;
  }
  if (connection.was_reused()) list.is_proven = true;
  metrics(connection).connections_busy.subtract();
  metrics(connection).connections_idle.add();
  connection.idle_previous = nullptr;
  connection.idle_next = list.first;
  (list.first != nullptr ? list.first->idle_previous : list.last) = &connection;
  list.first = &connection;
  if (++list.size > most) has_surplus_ = true;
  connection.make_idle();
}

void UpstreamPool::on_idle_end(UpstreamConnection& connection) noexcept {
  if (connection.idle_for() < kProof) doubt(connection.upstream());
  discard(connection);
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
  } else {
    list.last = connection.idle_previous;
  }
  list.least = std::min(list.least, --list.size);
}

void UpstreamPool::close_all_idle() noexcept {
  for (IdleList& list : idle_) close_idle(list);
}

void UpstreamPool::close_unusable() noexcept {
  for (std::uint32_t upstream = 0; upstream < idle_.size(); ++upstream) {
    if (!context_.segment.upstream(upstream).is_usable()) close_idle(idle_[upstream]);
  }
}

void UpstreamPool::close_idle(IdleList& list) noexcept {
  while (list.first != nullptr) discard(*list.first);
}

void UpstreamPool::close_surplus(bool ends_round) noexcept {
  if (!has_surplus_) return;
  has_surplus_ = false;
  for (IdleList& list : idle_) {
    if (close_surplus(list, ends_round)) has_surplus_ = true;
  }
}

// True if some may be left for another step.
bool UpstreamPool::close_surplus(IdleList& list, bool ends_round) noexcept {
  const std::uint32_t most = context_.config.upstream.max_idle;
  const bool is_quiet = std::exchange(list.lends, 0) <= list.least;
  if (is_quiet || ends_round) {
    const std::uint32_t unneeded =
        std::min(std::exchange(list.least, list.size), kMostClosedInAStep);
    for (std::uint32_t left = unneeded; left != 0 && list.size > most; --left) {
      discard(*list.last);
    }
  }
  return list.size > most;
}

void UpstreamPool::bury(UpstreamConnection& connection) noexcept {
  memory_.destroy(&connection);
}

}  // namespace ringmaster
