// Host names of backends, looked up again and again: the first time at once, then every ten
// seconds, every second as long as a name was never found. An answer that fails keeps the last good
// one. Lookups run in libuv's thread pool, whose threads exist only if some backend has a host
// name. That is bearable beside fork: the workers never resolve, and a child that leaves through
// _exit() never meets the pool again (through exit() it would crash: libuv's destructor joins
// threads that are not there). Owner: the HealthMonitor, who may destroy it at any time; lookups
// under way then find no one.
#pragma once

#include <uv.h>

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "shared/base/socket_address.h"
#include "shared/config.h"

namespace ringmaster {

// The address of a backend that needs no lookup.
std::optional<SocketAddress> literal_address(const BackendConfig& backend);

// Which of the addresses of a new answer to use: the current one while it is among them (an answer
// in another order each time must not make a backend wander), else the first. Precondition:
// !answer.empty().
SocketAddress choose_address(const SocketAddress& current,
                             const std::vector<SocketAddress>& answer);

class Resolver {
 public:
  class Observer {
   public:
    // The name `id` is at a new address.
    virtual void on_resolved(std::size_t id, const SocketAddress& address) = 0;
    // A name that was never resolved could not be, once more; or there is no answer for a while.
    virtual void on_unresolved(std::size_t id, const std::string& why) = 0;

   protected:
    ~Observer() = default;
  };

  using Lookup = int (*)(uv_loop_t*, uv_getaddrinfo_t*, uv_getaddrinfo_cb, const char* node,
                         const char* service, const addrinfo* hints);
  struct Timing {
    Duration refresh;
    Duration retry;  // while never resolved
    // With an answer that does not come, before a name never resolved is reported.
    Duration patience;
  };
  static constexpr Timing kTiming{Duration{10'000}, Duration{1'000}, Duration{2'000}};

  // `observer` outlives the resolver. The last two arguments are for tests.
  Resolver(uv_loop_t* loop, Observer& observer, Lookup lookup = uv_getaddrinfo,
           const Timing& timing = kTiming);
  ~Resolver();

  // `id` is the caller's name for it. `current`: the last good address, or empty.
  void add(std::size_t id, const BackendConfig& backend, const SocketAddress& current);

  // Moves on to the next address of the last answer, for the current one was found dead. Returns
  // it, or nothing where there is no other.
  std::optional<SocketAddress> next_address(std::size_t id);
  // How many addresses the last answer had.
  std::size_t address_count(std::size_t id) const noexcept;
  // Whether a thread is, or may be, at work on an answer: it uses the loop when it has it.
  bool has_lookups_under_way() const noexcept;

 private:
  class Name;
  Name* find(std::size_t id) const noexcept;

  // Borrowed.
  uv_loop_t* const loop_;
  Observer& observer_;
  // Constant after construction.
  const Lookup lookup_;
  const Timing timing_;
  // Owned.
  std::vector<std::unique_ptr<Name>> names_;
};

}  // namespace ringmaster
