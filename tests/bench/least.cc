// The least that a balancer can do: of each request it reads the first line, to choose a backend by
// a hash of it; every message goes on as it came, over one of the backend's pooled connections. No
// parsing, no limits, no counters: what it pays for more connections or more backends, every
// balancer pays, for it is the kernel's. Only for the bench's small messages, which come whole.
//
//   bench_least PORT BACKEND-PORT...
#include <poll.h>

#include <string_view>
#include <vector>

#include "tests/bench/net.h"

namespace ringmaster::bench {
namespace {

enum class Kind { kListener, kClient, kUpstream };

struct Peer {
  Kind kind;
  int fd;
  Peer* other = nullptr;    // while a request is on its way: the client, its upstream
  std::size_t backend = 0;  // of an upstream
};

class Least {
 public:
  Least(std::uint16_t port, std::vector<std::uint16_t> backends)
      : backends_(std::move(backends)), idle_(backends_.size()), chunk_(64 * 1024) {
    listener_.fd = listen_on(port);
    epoll_.add(listener_.fd, &listener_);
  }

  [[noreturn]] void run() {
    for (;;) {
      for (const epoll_event& event : epoll_.wait()) {
        Peer& peer = *static_cast<Peer*>(event.data.ptr);
        if (peer.kind == Kind::kListener) {
          accept_all();
        } else {
          move(peer);
        }
      }
      for (const Peer* peer : buried_) delete peer;
      buried_.clear();
    }
  }

 private:
  void accept_all() {
    for (int fd = accept_from(listener_.fd); fd >= 0; fd = accept_from(listener_.fd)) {
      epoll_.add(fd, new Peer{Kind::kClient, fd});
    }
  }

  void move(Peer& from) {
    const ssize_t n = ::recv(from.fd, chunk_.data(), chunk_.size(), 0);
    if (n < 0 && errno == EAGAIN) return;
    if (n <= 0) return bury(from);
    const std::string_view message(chunk_.data(), static_cast<std::size_t>(n));
    if (from.kind == Kind::kClient) {
      Peer& upstream = lend(hash(message.substr(0, message.find('\r'))) % backends_.size());
      upstream.other = &from;
      from.other = &upstream;
      send(upstream, message);
    } else {
      if (from.other != nullptr) send(*from.other, message);
      forget_other(from);
      idle_[from.backend].push_back(&from);
    }
  }

  static void send(const Peer& to, std::string_view message) {
    const ssize_t n = ::send(to.fd, message.data(), message.size(), MSG_NOSIGNAL);
    if (n < 0 && (errno == EPIPE || errno == ECONNRESET)) return;
    if (n != static_cast<ssize_t>(message.size())) die("send");
  }

  static void forget_other(Peer& peer) {
    if (peer.other != nullptr) peer.other->other = nullptr;
    peer.other = nullptr;
  }

  void bury(Peer& peer) {
    forget_other(peer);
    if (peer.kind == Kind::kUpstream) std::erase(idle_[peer.backend], &peer);
    ::close(peer.fd);
    buried_.push_back(&peer);
  }

  // FNV-1a.
  static std::uint64_t hash(std::string_view text) {
    std::uint64_t value = 0xcbf29ce484222325;
    for (const char c : text) value = (value ^ static_cast<unsigned char>(c)) * 0x100000001b3;
    return value;
  }

  // The one used last: it is the warmest.
  Peer& lend(std::size_t backend) {
    std::vector<Peer*>& idle = idle_[backend];
    if (idle.empty()) return open(backend);
    Peer* const peer = idle.back();
    idle.pop_back();
    return *peer;
  }

  // Waits for the connection: it is used from then on.
  Peer& open(std::size_t backend) {
    const int fd = connect_to(backends_[backend]);
    wait_until_writable(fd);
    auto* const peer = new Peer{.kind = Kind::kUpstream, .fd = fd, .backend = backend};
    epoll_.add(fd, peer);
    return *peer;
  }

  static void wait_until_writable(int fd) {
    pollfd stands{fd, POLLOUT, 0};
    check(::poll(&stands, 1, -1), "poll");
  }

  Epoll epoll_;
  Peer listener_{Kind::kListener, -1};
  const std::vector<std::uint16_t> backends_;
  std::vector<std::vector<Peer*>> idle_;  // by backend
  std::vector<char> chunk_;
  std::vector<Peer*> buried_;  // events of this round may still name them
};

}  // namespace
}  // namespace ringmaster::bench

int main(int argc, char** argv) {
  using namespace ringmaster::bench;
  if (argc < 3) return 2;
  allow_many_files();
  Least(port_of(argv[1]), ports_of(argc, argv, 2)).run();
}
