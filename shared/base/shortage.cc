#include "shared/base/shortage.h"

#include <sys/socket.h>

#include <cerrno>

#include "shared/base/unique_fd.h"

namespace ringmaster {

int plain_connect_error(int error, const SocketAddress& to) noexcept {
  if (error != UV_EADDRNOTAVAIL) return error;
  // For a datagram socket the kernel looks for the way there, and no TCP port is needed.
  const UniqueFd datagrams(::socket(to.family(), SOCK_DGRAM | SOCK_CLOEXEC, 0));
  const bool has_no_way = datagrams.is_open() &&
                          ::connect(datagrams.get(), to.get(), to.size()) != 0 &&
                          errno == EADDRNOTAVAIL;
  return has_no_way ? UV_ENETUNREACH : error;
}

}  // namespace ringmaster
