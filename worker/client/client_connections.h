// All clients of one worker: counts them by what they do, and ends them together.
#pragma once

#include <uv.h>

#include <cstdint>
#include <string_view>

#include "shared/base/line_limit.h"
#include "shared/base/uv_handle.h"
#include "worker/client/client_connection.h"
#include "worker/proxy/proxy.h"

namespace ringmaster {

class ClientConnections {
 public:
  ClientConnections(WorkerContext& context, Proxy& proxy);

  // Takes an accepted socket over, whatever happens.
  void add(int fd, const IpAddress& peer);
  // Goes on with a connection that another worker gave us, or closes it.
  void take_over(HandedConnection handed);
  // Gives every connection to another worker that can be given, now and as it becomes idle.
  void hand_over_all();
  // Now and then: those who came since and are still waiting are listened to (see heed()).
  void heed_newcomers() noexcept;
  void begin_drain() noexcept;
  // Returns how many requests that cut short.
  std::uint32_t cut_all(RejectReason reason);

  std::uint32_t size() const noexcept { return size_; }
  FreeList& memory() noexcept { return memory_.memory(); }

  // For the connections.
  WorkerContext& context() noexcept { return context_; }
  Proxy& proxy() noexcept { return proxy_; }
  void recount(ClientConnection::State from, ClientConnection::State to,
               ClientConnection& connection) noexcept;
  void bury(ClientConnection& connection) noexcept;
  void hand_over_later();
  // `peer` sent no valid PROXY header: all of them do where the balancer in front is not told to.
  [[gnu::cold]] void tell_of_bad_proxy_header(const IpAddress& peer);
  // The index of a backend by name, or HashRing::kNone.
  std::uint32_t find_upstream(std::string_view name) const noexcept;

 private:
  void hand_over_again();
  Gauge* gauge_of(ClientConnection::State state) noexcept;
  ClientConnection& admit(const IpAddress& peer);
  void link(ClientConnection& connection) noexcept;
  void unlink(ClientConnection& connection) noexcept;

  // Borrowed: the worker's.
  WorkerContext& context_;
  Proxy& proxy_;
  // Owned.
  ObjectPool<ClientConnection> memory_;
  OwnedHandle<uv_timer_t> again_;      // until the hand-over channel takes more
  ClientConnection* first_ = nullptr;  // the newest
  log::LineLimit bad_headers_{1, 60'000};
  std::uint32_t came_silent_ = 0;  // newcomers in a row with whom no request came
  std::uint32_t size_ = 0;         // open, those about to close not counted
};

}  // namespace ringmaster
