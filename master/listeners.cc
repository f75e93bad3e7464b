#include "master/listeners.h"

#include <netinet/tcp.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>

namespace ringmaster {
namespace {

constexpr int kBacklog = 4096;

Error cannot_listen(const SocketAddress& address) {
  const int error = errno;
  std::string message = "cannot listen on " + address.to_string() + ": " + std::strerror(error);
  if (error == EADDRINUSE) message += " (another process has this port: see ss -ltnp)";
  if (error == EACCES) message += " (ports below 1024 need CAP_NET_BIND_SERVICE)";
  if (error == EADDRNOTAVAIL) message += " (no interface of this machine has this address)";
  return {message};
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
  sockaddr_storage bound;
  socklen_t size = sizeof bound;
  if (::getsockname(socket.get(), reinterpret_cast<sockaddr*>(&bound), &size) != 0) {
    return cannot_listen(address);
  }
  return Listener{std::move(socket), SocketAddress::from(reinterpret_cast<sockaddr*>(&bound))};
}

}  // namespace ringmaster
