// One probe of one backend: a TCP connection and, where a path is configured, one GET whose status
// decides. Owner: the backend's BackendWatch, who may destroy it at any time, in on_probe_done()
// too. Invariants: on_probe_done() comes exactly once, never out of the constructor, and at the
// latest when the timeout is over. Afterwards the probe still reads, until the same deadline, what
// the backend has to say: closing upon unread bytes would send a reset, which backends log as
// errors.
#pragma once

#include <llhttp.h>
#include <uv.h>

#include <cstddef>
#include <cstdint>
#include <string>

#include "shared/base/socket_address.h"
#include "shared/base/uv_handle.h"
#include "shared/config.h"
#include "shared/memory/upstream_state.h"

namespace ringmaster {

struct ProbeResult {
  HealthCause cause;   // kNone: healthy
  std::string detail;  // "200", "connection refused", "no answer within 500 ms"
  // It failed for want of something on our side: says nothing about the backend.
  bool is_ours = false;
};

// What a probe of this backend sends; empty for a mere TCP connection.
std::string make_probe_request(const HealthConfig& config, const BackendConfig& backend);

class HealthProbe {
 public:
  class Owner {
   public:
    virtual void on_probe_done(const ProbeResult& result) = 0;

   protected:
    ~Owner() = default;
  };

  // Starts at once. `config` and `owner` outlive the probe.
  HealthProbe(uv_loop_t* loop, const HealthConfig& config, const SocketAddress& address,
              const std::string& request, Owner& owner);
  HealthProbe(const HealthProbe&) = delete;
  HealthProbe& operator=(const HealthProbe&) = delete;

  bool is_done() const noexcept { return done_; }

 private:
  // Lives until libuv has closed the connection, as its requests must.
  struct Connection : uv_tcp_t {
    uv_connect_t connect;
    uv_write_t write;
    std::string request;
  };

  void connect(const SocketAddress& address);
  void read();
  void on_connected(int status);
  void send_request();
  void on_read(ssize_t size, const char* bytes);
  void parse(const char* bytes, std::size_t size);
  void judge_status();
  void on_deadline();
  void conclude(HealthCause cause, std::string detail);
  void conclude_error(int uv_error);
  void close() noexcept;

  // Borrowed: both outlive the probe.
  const HealthConfig& config_;
  Owner& owner_;
  // Owned.
  OwnedHandle<uv_timer_t> deadline_;
  OwnedHandle<Connection> connection_;
  llhttp_t parser_;
  const std::uint16_t port_;  // of the backend
  std::uint64_t due_ms_ = 0;  // when the deadline is, on the loop's clock
  std::size_t received_bytes_ = 0;
  int early_error_ = 0;    // of a connect that failed at once: reported from the timer
  int status_ = 0;         // of the response, once its head is complete
  bool extended_ = false;  // the deadline was moved once, see on_deadline()
  bool done_ = false;
};

}  // namespace ringmaster
