// What the bench's origin, relay and load client share: sockets on the loopback and one epoll set,
// with as little between them and the kernel as can be, so that they cost less than any proxy.
// Anything unexpected ends the program: a bench that goes on after an error measures nothing.
#pragma once

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <span>
#include <string_view>
#include <vector>

namespace ringmaster::bench {

[[noreturn]] inline void die(const char* what) {
  std::perror(what);
  std::exit(1);
}

inline int check(int result, const char* what) {
  if (result < 0) die(what);
  return result;
}

inline sockaddr_in loopback(std::uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(port);
  return address;
}

inline std::uint16_t port_of(const char* text) {
  const long port = std::strtol(text, nullptr, 10);
  if (port < 0 || port > 65535) die("port");
  return static_cast<std::uint16_t>(port);
}

inline void send_at_once(int fd) {
  const int on = 1;
  check(::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on), "TCP_NODELAY");
}

// Of a command line all that follows the first `skipped` words.
inline std::vector<std::uint16_t> ports_of(int argc, char** argv, int skipped) {
  std::vector<std::uint16_t> ports;
  for (int i = skipped; i < argc; ++i) ports.push_back(port_of(argv[i]));
  return ports;
}

// Port 0: any; bound_port() tells which.
inline int listen_on(std::uint16_t port) {
  const int fd = check(::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), "socket");
  const int on = 1;
  check(::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on), "SO_REUSEADDR");
  send_at_once(fd);  // what it accepts inherits it
  const sockaddr_in address = loopback(port);
  check(::bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address), "bind");
  check(::listen(fd, 8192), "listen");
  return fd;
}

inline std::uint16_t bound_port(int fd) {
  sockaddr_in address{};
  socklen_t size = sizeof address;
  check(::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size), "getsockname");
  return ntohs(address.sin_port);
}

// Connecting: writable once it stands.
inline int connect_to(std::uint16_t port) {
  const int fd = check(::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), "socket");
  send_at_once(fd);
  const sockaddr_in address = loopback(port);
  const int result = ::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address);
  if (result != 0 && errno != EINPROGRESS) die("connect");
  return fd;
}

// -1: nobody waits.
inline int accept_from(int listener) {
  const int fd = ::accept4(listener, nullptr, nullptr, SOCK_NONBLOCK);
  if (fd < 0 && errno != EAGAIN && errno != ECONNABORTED) die("accept4");
  return fd;
}

// Of a head that must have one.
inline std::uint64_t content_length(std::string_view head) {
  for (const std::string_view name : {"\nContent-Length: ", "\ncontent-length: "}) {
    const std::size_t at = head.find(name);
    if (at != head.npos) return std::strtoull(head.data() + at + name.size(), nullptr, 10);
  }
  die("no Content-Length");
}

inline void allow_many_files() {
  rlimit files{};
  ::getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &files);
}

class Epoll {
 public:
  Epoll() : fd_(check(::epoll_create1(0), "epoll_create1")) {}
  ~Epoll() { ::close(fd_); }
  Epoll(const Epoll&) = delete;
  Epoll& operator=(const Epoll&) = delete;

  void add(int fd, void* owner, std::uint32_t events = EPOLLIN) {
    control(EPOLL_CTL_ADD, fd, owner, events);
  }
  void modify(int fd, void* owner, std::uint32_t events) {
    control(EPOLL_CTL_MOD, fd, owner, events);
  }
  // Waits for at most `ns`; negative: for ever.
  std::span<epoll_event> wait(std::int64_t ns = -1) {
    const timespec timeout{ns / 1'000'000'000, ns % 1'000'000'000};
    const int most = static_cast<int>(events_.size());
    // valgrind, under which the relay is counted, knows only the older call.
    const int n = ns < 0 ? ::epoll_wait(fd_, events_.data(), most, -1)
                         : ::epoll_pwait2(fd_, events_.data(), most, &timeout, nullptr);
    if (n < 0 && errno != EINTR) die("epoll_wait");
    return {events_.data(), n < 0 ? 0u : static_cast<std::size_t>(n)};
  }

 private:
  void control(int operation, int fd, void* owner, std::uint32_t events) {
    epoll_event event{};
    event.events = events;
    event.data.ptr = owner;
    check(::epoll_ctl(fd_, operation, fd, &event), "epoll_ctl");
  }

  const int fd_;
  std::array<epoll_event, 512> events_;
};

}  // namespace ringmaster::bench
