#include "shared/handover_channel.h"

#include <sys/socket.h>

#include <cerrno>
#include <cstring>

namespace ringmaster {
namespace {

// Room for many connections at once; the kernel grants what net.core.wmem_max allows.
constexpr int kRoom = 4 << 20;

}  // namespace

Result<HandoverChannel> HandoverChannel::open() {
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) != 0) {
    return Error{std::string("hand-over channel: socketpair: ") + std::strerror(errno)};
  }
  ::setsockopt(ends[1], SOL_SOCKET, SO_SNDBUF, &kRoom, sizeof kRoom);
  return HandoverChannel{UniqueFd(ends[0]), UniqueFd(ends[1])};
}

}  // namespace ringmaster
