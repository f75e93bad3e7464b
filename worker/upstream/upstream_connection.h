// One connection to a backend: connecting, lent to an exchange, or idle in its pool. Moves bytes
// and knows nothing of what they mean. While idle it is watched: a byte nobody asked for, or its
// end, closes it, so no answer can ever reach a client that it was not meant for. Owned by its
// UpstreamPool; an exchange borrows it through a lease.
#pragma once

#include <uv.h>

#include <cstddef>
#include <cstdint>
#include <span>

#include "shared/base/unique_fd.h"
#include "worker/io/tcp_stream.h"
#include "worker/io/timer_wheel.h"
#include "worker/io/worker_context.h"

namespace ringmaster {

class UpstreamPool;

class UpstreamConnection final : private TcpStream::Owner, private Timer::Owner {
 public:
  // Who uses the connection. Any of these may give it back or discard it, and be gone when it
  // returns.
  class User {
   public:
    virtual void on_upstream_connected(int error) = 0;  // 0, or why not (also UV_ETIMEDOUT)
    virtual void on_upstream_data() = 0;                // input() has more
    virtual void on_upstream_end(int error) = 0;        // UV_EOF or what broke it
    virtual void on_upstream_written(int error) = 0;    // a pending write is done

   protected:
    ~User() = default;
  };

  UpstreamConnection(WorkerContext& context, UpstreamPool& pool, std::uint32_t upstream) noexcept;

  // For the pool.
  void connect(User& user, const UpstreamState& upstream);
  [[gnu::cold]] void adopt(User& user, UniqueFd socket);
  void lend(User& user) noexcept;
  void make_idle() noexcept;

  // What lend() and a write touch is brought near.
  void prefetch() const noexcept {
    __builtin_prefetch(&idle_next, 1);
    __builtin_prefetch(&timer_, 1);
    __builtin_prefetch(&input_, 1);
  }

  // For the user.
  std::uint32_t upstream() const noexcept { return upstream_; }
  // Of the backend's addresses the one it was opened to, as UpstreamState counts them.
  std::uint32_t address_number() const noexcept { return address_number_; }
  bool was_reused() const noexcept { return reused_; }
  // Of an idle one: for how long it has been.
  Duration idle_for() const noexcept {
    return Duration(static_cast<Duration::rep>(uv_now(context_.loop) - idle_since_ms_));
  }
  // How long the connection took to stand.
  std::uint64_t connect_ns() const noexcept { return connect_ns_; }
  TcpStream& stream() noexcept { return stream_; }
  // As TcpStream::read_ahead().
  bool read_ahead();
  // Bytes received and not consumed yet. May be taken away (moved from) to keep bytes of a pending
  // write.
  BufferLease& input() noexcept { return input_; }
  // What the next reads may bring: kUnknown, a head and perhaps more, of which a big buffer takes
  // the rest at once; kLong, a body worth big buffers; kShort, what small ones are to hold.
  enum class Reads : std::uint8_t { kUnknown, kShort, kLong };
  void expect(Reads reads) noexcept { reads_ = reads; }
  // Whether the peer has already closed or sent something: asked before a request that must not be
  // sent twice.
  bool looks_stale() const noexcept;

  // Its last answer had no body; a faulty backend sends one all the same, right behind it.
  void expect_surplus() noexcept { surplus_due_in_ = context_.outbox.turn().number(); }
  // Such a body may have come, and the loop cannot have told yet.
  bool may_hold_surplus() const noexcept {
    return surplus_due_in_ == context_.outbox.turn().number();
  }

  // Links of the pool's list of idle connections.
  UpstreamConnection* idle_next = nullptr;
  UpstreamConnection* idle_previous = nullptr;

 private:
  friend class UpstreamPool;
  std::span<char> read_room() override;
  void on_read(std::size_t n) override;
  void on_read_end(int error) override;
  void on_written(int status) override;
  void on_closed() override;
  [[gnu::cold]] void on_timeout() override;
  void finish_connect(int status);
  void close() noexcept;

  // Borrowed: the worker's and the pool's outlive every connection.
  WorkerContext& context_;
  UpstreamPool& pool_;
  User* user_ = nullptr;  // null while idle or closing
  // Owned.
  TcpStream stream_;
  Timer timer_;  // connecting, or idle
  BufferLease input_;
  const std::uint32_t upstream_;
  std::uint32_t address_number_ = 0;
  std::uint64_t surplus_due_in_ = 0;  // turn of the loop
  std::uint64_t idle_since_ms_ = 0;   // on the loop's clock
  int early_error_ = 0;               // why it could not even be tried
  bool connected_ = false;
  bool reused_ = false;
  bool idle_ = false;
  Reads reads_ = Reads::kUnknown;
  // Of no use once it stands.
  uv_connect_t connect_request_;
  std::uint64_t connect_started_ns_ = 0;
  std::uint64_t connect_ns_ = 0;
};

}  // namespace ringmaster
