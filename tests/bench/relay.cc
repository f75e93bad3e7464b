// A blind TCP relay: each client gets a connection to one of the backends, and bytes go to and fro
// unread. The floor of the bench: no balancer that looks at requests can cost less.
//
//   bench_relay PORT BACKEND-PORT...
#include <algorithm>
#include <vector>

#include "tests/bench/net.h"

namespace ringmaster::bench {
namespace {

struct Side {
  int fd = -1;
  Side* other = nullptr;
  bool listens = false;
  bool broken = false;
  bool waits_for_room = false;  // so that `other` may be read again
  // Received from `other` and not sent yet.
  std::vector<char> backlog{};
};

class Relay {
 public:
  Relay(std::uint16_t port, std::vector<std::uint16_t> backends)
      : backends_(std::move(backends)), chunk_(128 * 1024) {
    listener_.fd = listen_on(port);
    listener_.listens = true;
    epoll_.add(listener_.fd, &listener_);
  }

  [[noreturn]] void run() {
    for (;;) {
      for (const epoll_event& event : epoll_.wait()) {
        auto* side = static_cast<Side*>(event.data.ptr);
        if (side->listens) {
          accept_all();
        } else if (side->broken) {
          continue;
        } else if (side->waits_for_room && (event.events & EPOLLOUT) != 0) {
          drain(*side);
        } else if ((event.events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0) {
          move(*side);
        }
      }
      for (Side* side : buried_) delete side;
      buried_.clear();
    }
  }

 private:
  void accept_all() {
    for (int fd = accept_from(listener_.fd); fd >= 0; fd = accept_from(listener_.fd)) {
      auto* client = new Side{.fd = fd};
      auto* upstream = new Side{.fd = connect_to(backends_[next_++ % backends_.size()])};
      client->other = upstream;
      upstream->other = client;
      epoll_.add(client->fd, client);
      epoll_.add(upstream->fd, upstream);
    }
  }

  void move(Side& from) {
    Side& to = *from.other;
    if (to.waits_for_room) return;
    const ssize_t n = ::recv(from.fd, chunk_.data(), chunk_.size(), 0);
    if (n < 0 && errno == EAGAIN) return;
    if (n <= 0) return bury(from);
    ssize_t sent = ::send(to.fd, chunk_.data(), static_cast<std::size_t>(n), MSG_NOSIGNAL);
    if (sent < 0 && errno != EAGAIN && errno != ENOTCONN) return bury(from);
    sent = std::max<ssize_t>(sent, 0);
    if (sent == n) return;
    to.backlog.assign(chunk_.begin() + sent, chunk_.begin() + n);
    to.waits_for_room = true;
    watch(to);
    watch(from);
  }

  void drain(Side& side) {
    const ssize_t n = ::send(side.fd, side.backlog.data(), side.backlog.size(), MSG_NOSIGNAL);
    if (n < 0 && errno == EAGAIN) return;
    if (n < 0) return bury(side);
    side.backlog.erase(side.backlog.begin(), side.backlog.begin() + n);
    if (!side.backlog.empty()) return;
    side.waits_for_room = false;
    watch(side);
    watch(*side.other);
  }

  void watch(Side& side) {
    const std::uint32_t in = side.other->waits_for_room ? 0u : EPOLLIN;
    const std::uint32_t out = side.waits_for_room ? EPOLLOUT : 0u;
    epoll_.modify(side.fd, &side, in | out);
  }

  void bury(Side& side) {
    for (Side* s : {&side, side.other}) {
      s->broken = true;  // events of this round may still name it
      ::close(s->fd);
      buried_.push_back(s);
    }
  }

  Epoll epoll_;
  Side listener_;
  const std::vector<std::uint16_t> backends_;
  std::size_t next_ = 0;
  std::vector<char> chunk_;
  std::vector<Side*> buried_;
};

}  // namespace
}  // namespace ringmaster::bench

int main(int argc, char** argv) {
  using namespace ringmaster::bench;
  if (argc < 3) return 2;
  allow_many_files();
  Relay(port_of(argv[1]), ports_of(argc, argv, 2)).run();
}
