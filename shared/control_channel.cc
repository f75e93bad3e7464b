#include "shared/control_channel.h"

#include <sys/socket.h>

#include <cerrno>
#include <cstring>

namespace ringmaster {

Result<ControlChannel> ControlChannel::open() {
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) != 0) {
    return Error{std::string("control channel: socketpair: ") + std::strerror(errno)};
  }
  return ControlChannel{UniqueFd(ends[0]), UniqueFd(ends[1])};
}

void ring(int end) noexcept {
  const char note = '!';
  // A failure is either a full queue (it rings already) or a dead peer (who is reaped elsewhere).
  [[maybe_unused]] const ssize_t sent = ::send(end, &note, 1, MSG_NOSIGNAL | MSG_DONTWAIT);
}

bool hear(int end) noexcept {
  char note[64];
  for (;;) {
    const ssize_t n = ::recv(end, note, sizeof note, MSG_DONTWAIT);
    if (n > 0) continue;
    if (n < 0 && errno == EINTR) continue;
    return n < 0 && errno == EAGAIN;
  }
}

}  // namespace ringmaster
