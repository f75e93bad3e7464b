#include "master/control_socket.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>

namespace ringmaster {
namespace {

constexpr int kBacklog = 64;

Error failed(const std::string& what, const std::string& path) {
  return {what + " " + path + ": " + std::strerror(errno)};
}

Result<sockaddr_un> address_of(const std::string& path) {
  sockaddr_un address{};
  if (path.size() >= sizeof address.sun_path) {
    return Error{"control socket " + path + ": the path is longer than 107 bytes"};
  }
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path.data(), path.size());
  return address;
}

}  // namespace

std::string control_socket_path(const std::string& configured) {
  if (!configured.empty()) return configured;
  const char* directories = std::getenv("RUNTIME_DIRECTORY");
  if (directories == nullptr || *directories == '\0') return {};
  const std::string first(directories, std::strcspn(directories, ":"));
  return first + "/control.sock";
}

Result<UniqueFd> connect_to_control_socket(const std::string& path) {
  auto address = address_of(path);
  if (!address) return Error{address.error()};
  UniqueFd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const auto* any = reinterpret_cast<const sockaddr*>(&*address);
  if (!socket.is_open() || ::connect(socket.get(), any, sizeof(sockaddr_un)) != 0) {
    return failed("cannot connect to the control socket", path);
  }
  return socket;
}

Result<ControlSocket> open_control_socket(const std::string& path) {
  if (path.empty()) return ControlSocket{};
  auto address = address_of(path);
  if (!address) return Error{address.error()};
  if (connect_to_control_socket(path).ok()) {
    return Error{"control socket " + path +
                 ": another ringmaster answers there; give each its own "
                 "admin.socket"};
  }
  struct stat status;
  if (::lstat(path.c_str(), &status) == 0 && S_ISSOCK(status.st_mode)) ::unlink(path.c_str());

  UniqueFd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  const mode_t before = ::umask(0177);  // never open to others, not even for a moment
  const auto* any = reinterpret_cast<const sockaddr*>(&*address);
  const bool bound = socket.is_open() && ::bind(socket.get(), any, sizeof(sockaddr_un)) == 0 &&
                     ::listen(socket.get(), kBacklog) == 0;
  const int error = errno;
  ::umask(before);
  errno = error;
  if (!bound) return failed("cannot open the control socket", path);
  return ControlSocket{std::move(socket), path};
}

}  // namespace ringmaster
