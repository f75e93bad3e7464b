// The bench's backends: one process that listens on several ports and answers every request, once
// it has all of its body, with a body of zeroes, as long as the path says: /SIZE/anything. One read
// and one write a request; heads are not parsed beyond that.
//
//   bench_origin COUNT      prints the ports it listens on in one line, then serves
#include <sys/uio.h>

#include <algorithm>
#include <csignal>
#include <string>
#include <utility>
#include <vector>

#include "tests/bench/net.h"

namespace ringmaster::bench {
namespace {

constexpr std::size_t kLongestBody = 8 << 20;

struct Connection {
  int fd;
  bool listens = false;
  bool waits_for_room = false;
  std::size_t received = 0;
  std::size_t upload_left = 0;  // of a request that has a body
  std::array<char, 65536> input{};
  std::string head{};  // of the answer under way, and of the next one if that is as long
  std::size_t head_left = 0;
  std::size_t body_size = 0;
  std::size_t body_left = 0;
};

class Origin {
 public:
  explicit Origin(int count) : body_(kLongestBody) {
    for (int i = 0; i < count; ++i) {
      auto* listener = new Connection{.fd = listen_on(0), .listens = true};
      epoll_.add(listener->fd, listener);
      std::printf("%u%c", bound_port(listener->fd), i + 1 < count ? ' ' : '\n');
    }
    std::fflush(stdout);
  }

  [[noreturn]] void run() {
    for (;;) {
      for (const epoll_event& event : epoll_.wait()) {
        auto* connection = static_cast<Connection*>(event.data.ptr);
        if (connection->listens) {
          accept_all(connection->fd);
        } else if ((event.events & EPOLLOUT) != 0) {
          write_answer(*connection);
        } else {
          read_request(*connection);
        }
      }
    }
  }

 private:
  void accept_all(int listener) {
    for (int fd = accept_from(listener); fd >= 0; fd = accept_from(listener)) {
      epoll_.add(fd, new Connection{.fd = fd});
    }
  }

  void read_request(Connection& c) {
    const ssize_t n = ::recv(c.fd, c.input.data() + c.received, c.input.size() - c.received, 0);
    if (n < 0 && errno == EAGAIN) return;
    if (n <= 0) return bury(c);
    c.received += static_cast<std::size_t>(n);
    if (c.upload_left != 0) return take_upload(c);
    const std::string_view request(c.input.data(), c.received);
    const std::size_t head_end = request.find("\r\n\r\n");
    if (head_end == request.npos) return;
    prepare_answer(c, request);
    if (request.front() != 'P') return answer(c);
    c.upload_left = head_end + 4 + content_length(request);
    take_upload(c);
  }

  // What is left of a request, its body, is let go as it comes.
  void take_upload(Connection& c) {
    c.upload_left -= std::min(c.upload_left, std::exchange(c.received, 0));
    if (c.upload_left == 0) answer(c);
  }

  void prepare_answer(Connection& c, std::string_view request) {
    const std::size_t target = request.find('/');
    const std::size_t size = std::strtoul(request.data() + target + 1, nullptr, 10);
    if (c.head.empty() || size != c.body_size) {
      c.body_size = std::min(size, body_.size());
      c.head =
          "HTTP/1.1 200 OK\r\nServer: origin\r\nContent-Type: application/octet-stream\r\n"
          "Content-Length: " +
          std::to_string(c.body_size) + "\r\n\r\n";
    }
  }

  void answer(Connection& c) {
    c.received = 0;
    c.head_left = c.head.size();
    c.body_left = c.body_size;
    write_answer(c);
  }

  void write_answer(Connection& c) {
    while (c.head_left + c.body_left != 0) {
      std::array<iovec, 2> pieces{{{c.head.data() + c.head.size() - c.head_left, c.head_left},
                                   {body_.data(), c.body_left}}};
      const ssize_t n = ::writev(c.fd, pieces.data(), 2);
      if (n < 0 && errno == EAGAIN) return wait_for_room(c, true);
      if (n < 0) return bury(c);
      const std::size_t of_head = std::min(c.head_left, static_cast<std::size_t>(n));
      c.head_left -= of_head;
      c.body_left -= static_cast<std::size_t>(n) - of_head;
    }
    wait_for_room(c, false);
  }

  void wait_for_room(Connection& c, bool wait) {
    if (c.waits_for_room == wait) return;
    c.waits_for_room = wait;
    epoll_.modify(c.fd, &c, wait ? EPOLLOUT : EPOLLIN);
  }

  void bury(Connection& c) {
    ::close(c.fd);
    delete &c;
  }

  Epoll epoll_;
  std::vector<char> body_;
};

}  // namespace
}  // namespace ringmaster::bench

int main(int argc, char** argv) {
  using namespace ringmaster::bench;
  allow_many_files();
  std::signal(SIGPIPE, SIG_IGN);  // a balancer may give up in the middle of a body
  Origin(argc > 1 ? std::atoi(argv[1]) : 3).run();
}
