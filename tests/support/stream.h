// Sockets of the tests: a loopback address of each test's own, and a byte stream on which
// everything has a deadline. What goes wrong is a StreamError that says how, so that a test can
// tell a reset from an end.
#pragma once

#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>

#include "shared/base/unique_fd.h"
#include "tests/support/wait.h"

namespace ringmaster::test {

struct Endpoint {
  std::string ip;
  std::uint16_t port = 0;

  // What to_string() makes. Throws std::runtime_error where there is no port.
  static Endpoint parse(const std::string& text);
  std::string to_string() const { return ip + ":" + std::to_string(port); }
};

// An address of 127.0.0.0/8 that no other test process uses: a port given up there stays free, so
// that "refused" means refused and a port can be bound again.
std::string own_loopback();
// Another one, no more anybody else's.
std::string other_loopback();

// A listening socket; port 0 lets the kernel choose. Throws std::system_error.
UniqueFd listen_at(const Endpoint& where, int backlog = 1024);
Endpoint local_endpoint(int fd);
// At a port that the kernel has chosen and nobody has yet: for what must know it before it listens.
Endpoint free_endpoint(const std::string& ip = own_loopback());
// A connection on its way: what a peer's full queue may never take.
UniqueFd begin_connect(const Endpoint& server);

struct StreamError : std::runtime_error {
  enum class Kind { kTimeout, kClosed, kReset, kRefused, kMalformed };

  StreamError(Kind what, const std::string& message) : std::runtime_error(message), kind(what) {}
  Kind kind;
};

class Stream {
 public:
  // Takes a connected socket.
  explicit Stream(UniqueFd fd);
  // `from_ip`: the source address; empty lets the kernel choose.
  static Stream connect(const Endpoint& server, const std::string& from_ip = "",
                        int receive_buffer_bytes = 0);

  // How long each of the calls below may take.
  void set_patience(milliseconds patience) { patience_ = patience; }

  void send(std::string_view bytes);
  // Sends until the peer has taken no byte for `stall`; returns how many it took.
  std::size_t send_until_stalled(std::string_view bytes, milliseconds stall);
  // Up to and including `mark`.
  std::string read_until(std::string_view mark, std::size_t limit = 1 << 20);
  std::string read_exactly(std::size_t size);
  // At least one byte, at most `limit`; empty at the end.
  std::string read_some(std::size_t limit = 1 << 16);
  // Everything up to the end.
  std::string read_all();
  // True if bytes or the end can be read within `patience`.
  bool is_readable(milliseconds patience = milliseconds(0));

  void shutdown_write();
  void close() { fd_.reset(); }
  // Closes so that the peer gets a RST.
  void reset();
  int fd() const { return fd_.get(); }

 private:
  void wait_for(short events, Clock::time_point deadline, const char* doing);
  // Appends to the buffer; false at the end.
  bool fill(Clock::time_point deadline);
  std::string take(std::size_t size);

  UniqueFd fd_;
  std::string buffer_;     // read from the socket and not yet taken
  std::size_t taken_ = 0;  // bytes at the front of buffer_ that have been
  milliseconds patience_ = kPatience;
};

}  // namespace ringmaster::test
