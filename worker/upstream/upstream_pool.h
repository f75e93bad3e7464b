// All connections of one worker to all backends: lends an idle one or opens a new one, takes them
// back, the last used first. Of a backend's idle connections upstream.max_idle are kept; those
// above it for as long as the next wave of requests needs them again, which close_surplus() finds
// out.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "shared/base/line_limit.h"
#include "worker/io/object_pool.h"
#include "worker/upstream/upstream_connection.h"

namespace ringmaster {

class UpstreamPool {
 public:
  explicit UpstreamPool(WorkerContext& context);

  // Has the one brought near that lend_idle() would lend.
  void prefetch(std::uint32_t upstream) const noexcept {
    if (const UpstreamConnection* next = idle_[upstream].first) next->prefetch();
  }
  // kProven: only if the backend is known to keep connections. One that closes them without a word
  // behind each answer may do so while the next request is on its way, which is no harm to a
  // request that may be sent again.
  enum class Trust : std::uint8_t { kAny, kProven };
  // An idle connection to the backend, ready for use, or null.
  UpstreamConnection* lend_idle(std::uint32_t upstream, UpstreamConnection::User& user,
                                Trust trust) noexcept;
  // The backend closed a connection that it had let pass for kept.
  [[gnu::cold]] void doubt(std::uint32_t upstream) noexcept { idle_[upstream].is_proven = false; }
  // A new connection, on which `user` is called when it stands or failed. Precondition: the address
  // is known.
  UpstreamConnection* open(std::uint32_t upstream, UpstreamConnection::User& user);

  // A connection that another worker made.
  UpstreamConnection* adopt(std::uint32_t upstream, UniqueFd socket,
                            UpstreamConnection::User& user);

  // Each connection lent comes back once, one way or the other.
  void give_back(UpstreamConnection& connection) noexcept;  // fit for another request
  void discard(UpstreamConnection& connection) noexcept;    // closed; also called for idle ones

  [[gnu::cold]] void close_all_idle() noexcept;
  // Those to backends that are not usable any more.
  [[gnu::cold]] void close_unusable() noexcept;
  // One step of closing what lay idle above max_idle, as FreeList::release_surplus() does.
  void close_surplus(bool ends_round) noexcept;
  bool has_surplus() const noexcept { return has_surplus_; }
  FreeList& memory() noexcept { return memory_.memory(); }

 private:
  friend class UpstreamConnection;
  // Of descriptors: the longest idle connection gives its own to a new one.
  [[gnu::cold]] bool makes_room_after(int error);
  void on_idle_end(UpstreamConnection& connection) noexcept;  // the backend closed it
  struct IdleList {
    UpstreamConnection* first = nullptr;
    UpstreamConnection* last = nullptr;
    std::uint32_t size = 0;
    std::uint32_t least = 0;  // of size, since surplus was last closed
    std::uint32_t lends = 0;  // in this step
    bool is_proven = false;   // one of its connections served again, or idled for long enough to
  };
  static bool is_proven(IdleList& list) noexcept;
  void close_idle(IdleList& list) noexcept;
  bool close_surplus(IdleList& list, bool ends_round) noexcept;
  void unlink(UpstreamConnection& connection) noexcept;
  void bury(UpstreamConnection& connection) noexcept;  // after its handle closed
  UpstreamMetrics& metrics(const UpstreamConnection& connection) noexcept {
    return context_.metrics.upstreams[connection.upstream()];
  }

  // Borrowed: the worker's.
  WorkerContext& context_;
  // Owned.
  ObjectPool<UpstreamConnection> memory_;
  std::vector<IdleList> idle_;  // by upstream
  bool has_surplus_ = false;    // some list may be longer than max_idle
  log::LineLimit shortage_lines_{1, 60'000};
};

// An exchange's hold on a connection: discarded unless it was given back.
class UpstreamLease {
 public:
  UpstreamLease() noexcept = default;
  UpstreamLease(UpstreamPool& pool, UpstreamConnection* connection) noexcept
      : pool_(&pool), connection_(connection) {}
  UpstreamLease(UpstreamLease&& other) noexcept
      : pool_(other.pool_), connection_(std::exchange(other.connection_, nullptr)) {}
  UpstreamLease& operator=(UpstreamLease&& other) noexcept {
    discard();
    pool_ = other.pool_;
    connection_ = std::exchange(other.connection_, nullptr);
    return *this;
  }
  ~UpstreamLease() { discard(); }

  explicit operator bool() const noexcept { return connection_ != nullptr; }
  UpstreamConnection* operator->() const noexcept { return connection_; }
  UpstreamConnection& operator*() const noexcept { return *connection_; }
  void give_back() noexcept { pool_->give_back(*std::exchange(connection_, nullptr)); }
  void discard() noexcept {
    if (connection_ != nullptr) pool_->discard(*std::exchange(connection_, nullptr));
  }

 private:
  UpstreamPool* pool_ = nullptr;
  UpstreamConnection* connection_ = nullptr;
};

}  // namespace ringmaster
