// One client of the admin endpoint, from accept to close: read a request, answer it, and again.
// Owner: the AdminServer. A connection never lasts for want of a deadline: each state has its own.
//
//   reading ──head complete, or refused──▶ writing ──written, keep-alive──▶ reading
//                                                 └──written, close──▶ lingering ──their end, or
//                                                 time──▶ gone
//
// Invariant: while it writes it does not read, so that a client who sends without reading fills its
// own buffers and not ours; and it answers at most one request a turn of the loop.
#pragma once

#include <uv.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>

#include "master/admin/admin_message.h"
#include "master/admin/admin_parser.h"
#include "shared/base/uv_handle.h"

namespace ringmaster {

struct AdminLimits {
  std::size_t max_connections = 256;
  std::size_t max_head_bytes = 8'192;
  std::size_t max_unsent_bytes = 64 << 20;            // in all responses that wait for slow readers
  bool accepts_post = false;                          // what only the control socket does
  std::chrono::milliseconds idle_timeout{30'000};     // between two requests
  std::chrono::milliseconds request_timeout{10'000};  // for a whole request head
  std::chrono::milliseconds write_timeout{10'000};    // for a whole response
  // For the client to take the last answer and close.
  std::chrono::milliseconds linger_timeout{1'000};
};

class AdminConnection {
 public:
  class Owner {
   public:
    // Destroys the connection.
    virtual void on_admin_connection_end(AdminConnection& connection) = 0;
    // What the responses of all connections hold in memory.
    virtual std::size_t unsent_bytes() const noexcept = 0;
    // How large the last answer of a route was: what is to be refused for its size need not be
    // made.
    virtual std::size_t& last_size(const std::string& route) = 0;

   protected:
    ~Owner() = default;
  };

  // `routes`, `limits` and `owner` outlive the connection.
  AdminConnection(uv_loop_t* loop, const AdminRoutes& routes, const AdminLimits& limits,
                  Owner& owner);
  AdminConnection(const AdminConnection&) = delete;
  AdminConnection& operator=(const AdminConnection&) = delete;

  // Takes the connection that waits on `listener`. False if it is gone already.
  bool accept(uv_stream_t* listener);

  // It has been answered, has not asked again, and nothing of a request waits to be read.
  bool is_quiet() const noexcept;
  // Waits for a request of which no byte has come. Then it may be closed without harm.
  bool is_idle() const noexcept;
  // Waits for a request, or for the rest of its head.
  bool is_reading() const noexcept { return state_ == State::kReading; }
  // Since when it waits for a request, or for the rest of one that has begun; on the loop's clock.
  std::uint64_t waits_since_ms() const noexcept { return waits_since_ms_; }
  std::size_t unsent_bytes() const noexcept { return socket_->body.size(); }

 private:
  enum class State : std::uint8_t { kReading, kWriting, kLingering };
  // Lives until libuv has closed the connection, as its requests and their bytes must.
  struct Socket : uv_tcp_t {
    uv_write_t write;
    uv_shutdown_t shutdown;
    std::string head;
    std::string body;
  };

  bool start_reading();
  void on_read(ssize_t size, const char* bytes);
  void parse();
  void answer();
  bool is_too_much(std::size_t size) const noexcept;
  AdminResponse respond();
  void send(AdminResponse response, bool keep_alive, bool with_body);
  void on_written(int status);
  void linger();
  void on_timer();
  void set_timer(std::chrono::milliseconds delay);
  void end() { owner_.on_admin_connection_end(*this); }

  // Borrowed.
  const AdminRoutes& routes_;
  const AdminLimits& limits_;
  Owner& owner_;
  // Owned.
  OwnedHandle<Socket> socket_;
  OwnedHandle<uv_timer_t> timer_;
  AdminParser parser_;
  State state_ = State::kReading;
  // Received, not parsed yet: what a pipelining client sent ahead, one read at most.
  std::string input_;
  std::uint64_t waits_since_ms_ = 0;
  bool was_answered_ = false;
  bool keep_alive_ = false;  // after the response that is being written
};

}  // namespace ringmaster
