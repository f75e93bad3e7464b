// All clients of one worker: counts them by what they do, and ends them together.
#pragma once

#include <cstdint>

#include "worker/client/client_connection.h"

namespace ringmaster {

class ClientConnections {
 public:
  ClientConnections(WorkerContext& context, Proxy& proxy) noexcept
      : context_(context), proxy_(proxy) {}

  // Takes an accepted socket over, whatever happens.
  void add(int fd, const IpAddress& peer);
  void begin_drain() noexcept;
  // Returns how many requests that cut short.
  std::uint32_t cut_all(RejectReason reason);

  std::uint32_t size() const noexcept { return size_; }

  // For the connections.
  WorkerContext& context() noexcept { return context_; }
  Proxy& proxy() noexcept { return proxy_; }
  void recount(ClientConnection::State from, ClientConnection::State to,
               ClientConnection& connection) noexcept;
  void bury(ClientConnection& connection) noexcept;

 private:
  Gauge* gauge_of(ClientConnection::State state) noexcept;
  void link(ClientConnection& connection) noexcept;
  void unlink(ClientConnection& connection) noexcept;

  // Borrowed: the worker's.
  WorkerContext& context_;
  Proxy& proxy_;
  // Owned.
  ObjectPool<ClientConnection> memory_;
  ClientConnection* first_ = nullptr;
  std::uint32_t size_ = 0;  // open, those about to close not counted
};

}  // namespace ringmaster
