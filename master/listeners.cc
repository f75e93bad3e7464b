#include "master/listeners.h"

#include <fcntl.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

namespace ringmaster {
namespace {

constexpr int kBacklog = 4096;

SocketAddress bound_address(int socket) {
  sockaddr_storage bound{};
  socklen_t size = sizeof bound;
  if (::getsockname(socket, reinterpret_cast<sockaddr*>(&bound), &size) != 0) return {};
  return SocketAddress::from(reinterpret_cast<sockaddr*>(&bound));
}

int socket_option(int socket, int level, int name) {
  int value = -1;
  socklen_t size = sizeof value;
  ::getsockopt(socket, level, name, &value, &size);
  return value;
}

// `ListenStream=80` of a .socket unit is one socket for both families, which an operator writes
// "0.0.0.0:80" or "[::]:80" in the config, or both.
bool is_dual(const Listener& listener) {
  return listener.address.family() == AF_INET6 && listener.address.ip() == IpAddress{} &&
         socket_option(listener.socket.get(), IPPROTO_IPV6, IPV6_V6ONLY) == 0;
}

// Whether connections to `wanted` arrive at this listener.
bool serves(const Listener& listener, const SocketAddress& wanted) {
  const bool is_ours = !listener.is_systemds && !listener.configured.is_empty();
  if (is_ours) return listener.configured == wanted;
  if (listener.address == wanted) return true;
  return is_dual(listener) && wanted.port() == listener.address.port() &&
         wanted.family() == AF_INET && wanted.ip() == *IpAddress::parse("0.0.0.0");
}

// Whether the kernel lets nobody listen on `wanted` while this listener is open.
bool is_in_the_way(const Listener& listener, const SocketAddress& wanted) {
  if (!listener.socket.is_open() || wanted.port() == 0) return false;
  return listener.address.covers(wanted) || wanted.covers(listener.address) ||
         (is_dual(listener) && listener.address.port() == wanted.port());
}

Error cannot_listen(const SocketAddress& address) {
  const int error = errno;
  std::string message = "cannot listen on " + address.to_string() + ": " + std::strerror(error);
  if (error == EADDRINUSE) message += " (another process has this port: see ss -ltnp)";
  if (error == EACCES) message += " (ports below 1024 need CAP_NET_BIND_SERVICE)";
  if (error == EADDRNOTAVAIL) message += " (no interface of this machine has this address)";
  return {message};
}

// The kernel gives the port to one of them only, and it may not be closed before all has gone well.
Error is_served_otherwise(const SocketAddress& wanted, const Listener& own) {
  const std::string what =
      "cannot listen on " + wanted.to_string() + " beside " + own.address.to_string();
  if (own.is_systemds) {
    return {what + ", which systemd listens on (ringmaster.socket): name one address in both"};
  }
  return {what +
          ", which has this port until the new configuration serves: restart for this change"};
}

}  // namespace

Result<Listener> open_listener(const SocketAddress& address) {
  UniqueFd socket(::socket(address.family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!socket.is_open()) return cannot_listen(address);
  const int on = 1;
  ::setsockopt(socket.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  // Accepted sockets inherit it: one call here instead of one a connection.
  ::setsockopt(socket.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  if (address.family() == AF_INET6) {
    // "[::]:80" beside "0.0.0.0:80" must not collide.
    ::setsockopt(socket.get(), IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
  }
  if (::bind(socket.get(), address.get(), address.size()) != 0 ||
      ::listen(socket.get(), kBacklog) != 0) {
    return cannot_listen(address);
  }
  const SocketAddress bound = bound_address(socket.get());
  if (bound.is_empty()) return cannot_listen(address);
  return Listener{
      .socket = std::move(socket), .address = bound, .configured = address, .is_new = true};
}

Result<Listener> adopt_listener(UniqueFd socket) {
  const int fd = socket.get();
  if (socket_option(fd, SOL_SOCKET, SO_TYPE) != SOCK_STREAM ||
      socket_option(fd, SOL_SOCKET, SO_ACCEPTCONN) != 1) {
    return Error{"it is not a listening stream socket"};
  }
  const SocketAddress bound = bound_address(fd);
  if (bound.is_empty()) return Error{"it is not a TCP socket"};
  const int on = 1;
  ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  ::fcntl(fd, F_SETFL, ::fcntl(fd, F_GETFL) | O_NONBLOCK);
  ::fcntl(fd, F_SETFD, FD_CLOEXEC);
  return Listener{.socket = std::move(socket), .address = bound, .configured = {}};
}

Result<std::vector<Listener>> match_listeners(const std::vector<SocketAddress>& wanted,
                                              std::vector<Listener>& handed,
                                              std::span<const Listener> others) {
  std::vector<Listener> opened;
  std::vector<std::size_t> found(wanted.size(), handed.size());
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    const auto fitting = std::find_if(handed.begin(), handed.end(), [&](const Listener& listener) {
      return serves(listener, wanted[i]);
    });
    found[i] = static_cast<std::size_t>(fitting - handed.begin());
    if (fitting != handed.end()) continue;
    for (const std::span<const Listener> own : {std::span<const Listener>(handed), others}) {
      for (const Listener& listener : own) {
        if (is_in_the_way(listener, wanted[i])) return is_served_otherwise(wanted[i], listener);
      }
    }
    auto listener = open_listener(wanted[i]);
    if (!listener) return Error{listener.error()};
    opened.push_back(*std::move(listener));
  }
  std::vector<Listener> matched;
  auto next_opened = opened.begin();
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    if (found[i] == handed.size()) {
      matched.push_back(std::move(*next_opened++));
    } else if (handed[found[i]].socket.is_open()) {  // "0.0.0.0:80" and "[::]:80" may be one socket
      matched.push_back(std::move(handed[found[i]]));
      matched.back().configured = wanted[i];
    }
  }
  std::erase_if(handed, [](const Listener& listener) { return !listener.socket.is_open(); });
  return matched;
}

}  // namespace ringmaster
