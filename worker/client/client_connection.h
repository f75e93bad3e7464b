// One client's connection: waits for requests, has each one served by an exchange, in order, and
// closes in a way that lets the client read its last answer. Idle it holds neither buffer nor
// exchange.
//
//   kIdle ──first byte──▶ kBusy ──response sent──▶ kIdle …
//                           └──▶ kLingering ──▶ closed
//
// With server.proxy_protocol the connection begins with a PROXY header, read while kIdle: what it
// says of the client takes the peer's place before the first exchange begins.
//
// Owned by ClientConnections, in a list, until its handle has closed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "worker/io/tcp_stream.h"
#include "worker/proxy/exchange.h"

namespace ringmaster {

class ClientConnections;

class ClientConnection final : private TcpStream::Owner,
                               private Timer::Owner,
                               private Exchange::Client {
 public:
  ClientConnection(ClientConnections& all, const IpAddress& peer) noexcept;

  // Takes the accepted socket over; `look`: begins with what has come on it already, if anything
  // has (true). Precondition: in the list of all, as for resume().
  bool start(int fd, bool look);
  // Goes on with a connection that another worker gave us.
  [[gnu::cold]] void resume(HandedConnection handed);
  // Gives the connection to another worker, if it waits for a request or is a tunnel. False: it
  // must be tried again later.
  [[gnu::cold]] bool hand_over();

  // From now on it is noticed when a client leaves whose first request is not answered yet.
  void heed() noexcept;
  // The listeners are closed: an idle connection gets a short grace for a request already on its
  // way.
  [[gnu::cold]] void begin_drain() noexcept;
  // Ends the connection at once. True if that cut a request short.
  [[gnu::cold]] bool cut(RejectReason reason);

 private:
  friend class ClientConnections;
  enum class State : std::uint8_t { kIdle, kBusy, kTunnel, kLingering, kClosed };

  std::span<char> read_room() override;
  void on_read(std::size_t n) override;
  void on_read_end(int error) override;
  void on_written(int status) override;
  void on_closed() override;
  [[gnu::cold]] void on_timeout() override;

  TcpStream& stream() override { return stream_; }
  Timer& timer() override { return timer_; }
  bool came_over_tls() const override { return is_tls_; }
  Buffer& input() override { return input_ ? *input_ : kNoInput; }
  bool read_on() override;
  void fit_input(std::uint32_t came, bool is_short) override;
  void give_back_input() override { input_.reset(); }
  void resume_reading() override;
  bool lives_on(bool more_came) override;
  [[gnu::cold]] void on_tunnel() override;
  void on_exchange_done(Exchange::Ending ending) override;

  void serve(bool pipelined);
  [[gnu::cold]] bool read_proxy_header();
  [[gnu::cold]] void refuse_proxy_header();
  void await_request();
  Duration patience() const noexcept;
  void compact_input() noexcept;
  [[gnu::cold]] void resume_tunnel(HandedConnection& handed);
  [[gnu::cold]] void linger();
  [[gnu::cold]] void linger_on();
  void close();
  void become(State state) noexcept;
  void drop_exchange() noexcept;

  static constinit Buffer kNoInput;  // stands for that of an idle tunnel: empty, and without room

  // Borrowed: the worker's; the list we are in.
  ClientConnections& all_;
  ClientConnection* next_ = nullptr;
  ClientConnection* previous_ = nullptr;
  // Owned.
  TcpStream stream_;
  Timer timer_;                   // keep-alive, grace or linger time; while kBusy the exchange's
  BufferLease input_;             // null while idle, as a tunnel too
  Exchange* exchange_ = nullptr;  // from the proxy's pool; null but while kBusy or kTunnel
  IpAddress peer_;                // or whom the PROXY header names in its place
  std::uint32_t linger_until_s_ = 0;  // of the loop's clock
  State state_ = State::kIdle;
  std::uint8_t answers_at_end_ = 0;  // since the worker ends its connections
  bool serving_ : 1 = false;         // serve() is on the stack
  bool peer_ended_ : 1 = false;
  bool is_heeded_ : 1 = false;
  bool awaits_proxy_header_ : 1;
  bool is_tls_ : 1 = false;      // as the PROXY header says
  bool wants_bulk_ : 1 = false;  // a tunnel's next input: a bigger one, as the last was full
};
// Ten thousand connections that wait are little else: one byte more, and malloc() takes sixteen.
static_assert(sizeof(ClientConnection) <= 408);

}  // namespace ringmaster
