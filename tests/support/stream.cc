#include "tests/support/stream.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <system_error>

namespace ringmaster::test {
namespace {

using Kind = StreamError::Kind;

[[noreturn]] void throw_errno(const std::string& doing) {
  throw std::system_error(errno, std::generic_category(), doing);
}

sockaddr_in to_sockaddr(const Endpoint& where) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(where.port);
  if (::inet_pton(AF_INET, where.ip.c_str(), &address.sin_addr) != 1) {
    throw std::invalid_argument("not an IPv4 address: " + where.ip);
  }
  return address;
}

// A bind or connect call, whose arguments have the same shape.
int with_address(int (*call)(int, const sockaddr*, socklen_t), int fd, const Endpoint& where) {
  const sockaddr_in address = to_sockaddr(where);
  return call(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address);
}

UniqueFd new_socket(int flags) {
  UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | flags, 0));
  if (!fd.is_open()) throw_errno("socket");
  return fd;
}

void set_option(int fd, int option, int value) {
  if (::setsockopt(fd, SOL_SOCKET, option, &value, sizeof value) != 0) throw_errno("setsockopt");
}

[[noreturn]] void fail(const char* doing, int error) {
  const std::string message = std::string(doing) + ": " + std::strerror(error);
  if (error == ECONNREFUSED) throw StreamError(Kind::kRefused, message);
  if (error == ECONNRESET || error == EPIPE) throw StreamError(Kind::kReset, message);
  throw StreamError(Kind::kClosed, message);
}

std::string loopback(unsigned block) {
  const auto pid = static_cast<unsigned>(::getpid());  // 22 bits on every Linux
  return "127." + std::to_string(block + (pid >> 16) % 64) + "." +
         std::to_string((pid >> 8) % 256) + "." + std::to_string(pid % 256);
}

}  // namespace

Endpoint Endpoint::parse(const std::string& text) {
  const std::size_t colon = text.rfind(':');
  if (colon == std::string::npos) throw std::runtime_error("no port in " + text);
  return {text.substr(0, colon), static_cast<std::uint16_t>(std::stoi(text.substr(colon + 1)))};
}

std::string own_loopback() {
  return loopback(64);
}

std::string other_loopback() {
  return loopback(128);
}

UniqueFd listen_at(const Endpoint& where, int backlog) {
  UniqueFd fd = new_socket(0);
  set_option(fd.get(), SO_REUSEADDR, 1);
  if (with_address(::bind, fd.get(), where) != 0) throw_errno("bind " + where.to_string());
  if (::listen(fd.get(), backlog) != 0) throw_errno("listen " + where.to_string());
  return fd;
}

Endpoint local_endpoint(int fd) {
  sockaddr_in address{};
  socklen_t size = sizeof address;
  if (::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) != 0) {
    throw_errno("getsockname");
  }
  std::array<char, INET_ADDRSTRLEN> text{};
  ::inet_ntop(AF_INET, &address.sin_addr, text.data(), text.size());
  return {text.data(), ntohs(address.sin_port)};
}

Endpoint free_endpoint(const std::string& ip) {
  return local_endpoint(listen_at({ip, 0}).get());
}

UniqueFd begin_connect(const Endpoint& server) {
  UniqueFd fd = new_socket(SOCK_NONBLOCK);
  with_address(::connect, fd.get(), server);
  return fd;
}

Stream::Stream(UniqueFd fd) : fd_(std::move(fd)) {
  // What a test sends is on its way at once, in the pieces in which it sends it.
  const int on = 1;
  ::setsockopt(fd_.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

Stream Stream::connect(const Endpoint& server, const std::string& from_ip,
                       int receive_buffer_bytes) {
  Stream stream(new_socket(SOCK_NONBLOCK));
  const int fd = stream.fd();
  if (receive_buffer_bytes > 0) set_option(fd, SO_RCVBUF, receive_buffer_bytes);
  if (!from_ip.empty() && with_address(::bind, fd, {from_ip, 0}) != 0) {
    throw_errno("bind " + from_ip);
  }
  if (with_address(::connect, fd, server) == 0) return stream;
  if (errno != EINPROGRESS) fail("connect", errno);
  stream.wait_for(POLLOUT, Clock::now() + stream.patience_, "connect");
  int error = 0;
  socklen_t size = sizeof error;
  ::getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size);
  if (error != 0) fail("connect", error);
  return stream;
}

void Stream::send(std::string_view bytes) {
  const auto deadline = Clock::now() + patience_;
  while (!bytes.empty()) {
    const ssize_t sent = ::send(fd(), bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent >= 0) {
      bytes.remove_prefix(static_cast<std::size_t>(sent));
    } else if (errno == EAGAIN) {
      wait_for(POLLOUT, deadline, "send");
    } else if (errno != EINTR) {
      fail("send", errno);
    }
  }
}

std::size_t Stream::send_until_stalled(std::string_view bytes, milliseconds stall) {
  std::size_t total = 0;
  while (total < bytes.size()) {
    const std::string_view rest = bytes.substr(total);
    const ssize_t sent = ::send(fd(), rest.data(), rest.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent >= 0) {
      total += static_cast<std::size_t>(sent);
    } else if (errno == EAGAIN) {
      pollfd waiting{fd(), POLLOUT, 0};
      if (::poll(&waiting, 1, static_cast<int>(stall.count())) == 0) break;
    } else if (errno != EINTR) {
      fail("send", errno);
    }
  }
  return total;
}

std::string Stream::read_until(std::string_view mark, std::size_t limit) {
  const auto deadline = Clock::now() + patience_;
  std::size_t searched = 0;  // of the bytes not yet taken
  for (;;) {
    const std::size_t at = buffer_.find(mark, taken_ + searched);
    if (at != std::string::npos) return take(at + mark.size() - taken_);
    const std::size_t had = buffer_.size() - taken_;
    if (had > limit) throw StreamError(Kind::kMalformed, "no end of line or head");
    searched = had < mark.size() ? 0 : had - mark.size() + 1;
    if (!fill(deadline)) {
      throw StreamError(Kind::kClosed, "the stream ended inside: \"" + take(had) + "\"");
    }
  }
}

std::string Stream::read_exactly(std::size_t size) {
  const auto deadline = Clock::now() + patience_;
  while (buffer_.size() - taken_ < size) {
    if (!fill(deadline)) {
      throw StreamError(
          Kind::kClosed,
          "the stream ended " + std::to_string(size - (buffer_.size() - taken_)) + " bytes early");
    }
  }
  return take(size);
}

std::string Stream::read_some(std::size_t limit) {
  if (taken_ == buffer_.size() && !fill(Clock::now() + patience_)) return {};
  return take(std::min(limit, buffer_.size() - taken_));
}

std::string Stream::read_all() {
  const auto deadline = Clock::now() + patience_;
  while (fill(deadline)) continue;
  return take(buffer_.size() - taken_);
}

bool Stream::is_readable(milliseconds patience) {
  if (taken_ < buffer_.size()) return true;
  pollfd waiting{fd(), POLLIN, 0};
  return ::poll(&waiting, 1, static_cast<int>(patience.count())) > 0;
}

void Stream::shutdown_write() {
  ::shutdown(fd(), SHUT_WR);
}

void Stream::reset() {
  const linger now{1, 0};
  ::setsockopt(fd(), SOL_SOCKET, SO_LINGER, &now, sizeof now);
  fd_.reset();
}

void Stream::wait_for(short events, Clock::time_point deadline, const char* doing) {
  pollfd waiting{fd(), events, 0};
  const auto left = std::chrono::ceil<milliseconds>(deadline - Clock::now());
  const int wait_ms = static_cast<int>(std::max<milliseconds::rep>(0, left.count()));
  if (::poll(&waiting, 1, wait_ms) == 0) {
    throw StreamError(Kind::kTimeout, std::string(doing) +
                                          ": nothing happened in time; so far: \"" +
                                          buffer_.substr(taken_, 200) + "\"");
  }
}

bool Stream::fill(Clock::time_point deadline) {
  if (taken_ > 0) {
    buffer_.erase(0, taken_);
    taken_ = 0;
  }
  std::array<char, 65536> chunk;
  for (;;) {
    wait_for(POLLIN, deadline, "read");
    const ssize_t size = ::recv(fd(), chunk.data(), chunk.size(), MSG_DONTWAIT);
    if (size == 0) return false;
    if (size > 0) {
      buffer_.append(chunk.data(), static_cast<std::size_t>(size));
      return true;
    }
    if (errno != EAGAIN && errno != EINTR) fail("read", errno);
  }
}

std::string Stream::take(std::size_t size) {
  std::string bytes = buffer_.substr(taken_, size);
  taken_ += size;
  return bytes;
}

}  // namespace ringmaster::test
