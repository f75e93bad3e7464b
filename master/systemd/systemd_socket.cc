#include "master/systemd/systemd_socket.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <systemd/sd-daemon.h>

#include <cerrno>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <string_view>

#include "shared/base/unique_fd.h"

namespace ringmaster {
namespace {

// Whether a message would find room, now or within that time. A socket that is connected can be
// asked, which libsystemd's is not. Where it cannot be found out, sending will tell.
bool has_room(int patience_ms) {
  const char* place = std::getenv("NOTIFY_SOCKET");
  sockaddr_un address{};
  const std::string_view name = place == nullptr ? "" : place;
  const bool is_unix = name.starts_with('/') || name.starts_with('@');
  if (!is_unix || name.size() >= sizeof address.sun_path) return true;
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, name.data(), name.size());
  const bool is_abstract = name.front() == '@';
  if (is_abstract) address.sun_path[0] = '\0';
  const std::size_t size =
      offsetof(sockaddr_un, sun_path) + name.size() + (is_abstract ? 0 : sizeof '\0');
  const UniqueFd socket(::socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (::connect(socket.get(), reinterpret_cast<sockaddr*>(&address),
                static_cast<socklen_t>(size)) != 0) {
    return true;
  }
  pollfd room{socket.get(), POLLOUT, 0};
  int found = 0;
  do found = ::poll(&room, 1, patience_ms);
  while (found < 0 && errno == EINTR);
  return found != 0;
}

}  // namespace

int tell_systemd(const std::string& message, int patience_ms, int fd) {
  if (!has_room(patience_ms)) return -EAGAIN;
  const unsigned count = fd < 0 ? 0 : 1;
  return sd_pid_notify_with_fds(0, /*unset_environment=*/0, message.c_str(), &fd, count);
}

}  // namespace ringmaster
