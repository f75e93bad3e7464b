#include "master/admin/control_socket.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <utility>

#include "shared/base/log.h"

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

int connect(int socket, const sockaddr_un& address) {
  return ::connect(socket, reinterpret_cast<const sockaddr*>(&address), sizeof address);
}

// Also by somebody who does not get round to it: then its queue may be full.
bool is_listened_to(const UniqueFd& socket, const sockaddr_un& address) {
  return connect(socket.get(), address) == 0 || errno == EAGAIN;
}

UniqueFd new_socket() {
  return UniqueFd(::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
}

// Whether the names lead to one file; where `place` is a link it is itself meant.
bool is_that_very_file(const std::string& place, const std::string& path) {
  struct stat a;
  struct stat b;
  return ::lstat(place.c_str(), &a) == 0 && ::stat(path.c_str(), &b) == 0 && a.st_dev == b.st_dev &&
         a.st_ino == b.st_ino;
}

// Itself, and no link to one.
bool is_socket(const std::string& path) {
  struct stat status;
  return ::lstat(path.c_str(), &status) == 0 && S_ISSOCK(status.st_mode);
}

// By whatever name.
bool is_our_link(const std::string& path) {
  struct stat it;
  struct stat ours;
  const std::string place = service_control_path();
  return !place.empty() && ::lstat(path.c_str(), &it) == 0 && S_ISLNK(it.st_mode) &&
         ::lstat(place.c_str(), &ours) == 0 && it.st_dev == ours.st_dev && it.st_ino == ours.st_ino;
}

// PrivateTmp= gives a service a /tmp and a /var/tmp that nobody else sees.
bool is_hidden_by_systemd(const std::string& path) {
  if (!path.starts_with("/tmp/") && !path.starts_with("/var/tmp/")) return false;
  std::ifstream mounts("/proc/self/mountinfo");
  const std::string all(std::istreambuf_iterator<char>(mounts), {});
  return all.find("/systemd-private-") != std::string::npos;
}

}  // namespace

std::string service_control_path() {
  const char* directories = std::getenv("RUNTIME_DIRECTORY");
  if (directories == nullptr || *directories == '\0') return {};
  const std::string first(directories, std::strcspn(directories, ":"));
  return first + "/control.sock";
}

std::string control_socket_path(const std::string& configured) {
  return configured.empty() ? service_control_path() : configured;
}

void remove_socket_at(const std::string& path) {
  if (is_socket(path)) ::unlink(path.c_str());
}

// Somebody may have removed it, or what lay around it (a cleaner of temporary files).
bool lies_at(const ControlSocket& socket, const std::string& path) {
  if (!socket.socket.is_open() || !is_socket(socket.path)) return false;
  return path == socket.path || is_that_very_file(path, socket.path);
}

void lead_to_control_socket(const std::string& path) {
  const std::string place = service_control_path();
  if (place.empty() || is_that_very_file(place, path)) return;
  if (is_hidden_by_systemd(path)) {
    log::warning(
        "admin.socket {}: this service has a /tmp of its own, where ringmaster ctl cannot reach "
        "it; without admin.socket it is {}",
        path, place);
  }
  const std::string link = place + ".new";
  ::unlink(link.c_str());
  // Renamed into its place: there is always something there.
  if (::symlink(path.c_str(), link.c_str()) != 0 || ::rename(link.c_str(), place.c_str()) != 0) {
    log::warning("cannot link {} to the control socket: {}", place, std::strerror(errno));
  }
}

void remove_control_socket(const std::string& path) {
  if (path.empty()) return;
  remove_socket_at(path);
  const std::string place = service_control_path();
  if (!place.empty() && is_our_link(place)) ::unlink(place.c_str());
}

Result<UniqueFd> connect_to_control_socket(const std::string& path, std::chrono::seconds patience) {
  auto address = address_of(path);
  if (!address) return Error{address.error()};
  UniqueFd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!socket.is_open()) return failed("cannot connect to the control socket", path);
  const timeval wait{.tv_sec = patience.count(), .tv_usec = 0};
  ::setsockopt(socket.get(), SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof wait);  // of connect() too
  if (connect(socket.get(), *address) == 0) return socket;
  if (errno == EACCES) {
    return Error{"cannot connect to the control socket " + path +
                 ": only root and the user that the service runs as may"};
  }
  if (errno != EAGAIN) return failed("cannot connect to the control socket", path);
  return Error{"cannot connect to the control socket " + path + ": " + std::to_string(wait.tv_sec) +
               " s long the master has taken up nobody: it hangs, or is stopped"};
}

Result<ControlSocket> open_control_socket(const std::string& path) {
  if (path.empty()) return ControlSocket{};
  auto address = address_of(path);
  if (!address) return Error{address.error()};
  if (is_our_link(path)) ::unlink(path.c_str());  // it leads to a socket of ours
  // Both first: short of descriptors we could not tell a living master's socket from a dead one's.
  const UniqueFd probe = new_socket();
  UniqueFd socket = new_socket();
  if (!probe.is_open() || !socket.is_open()) return failed("cannot open the control socket", path);
  if (is_listened_to(probe, *address)) {
    return Error{"control socket " + path +
                 ": another ringmaster answers there; give each its own admin.socket"};
  }
  remove_socket_at(path);  // a dead master's

  const mode_t before = ::umask(0177);  // never open to others, not even for a moment
  const auto* any = reinterpret_cast<const sockaddr*>(&*address);
  const bool bound =
      ::bind(socket.get(), any, sizeof(sockaddr_un)) == 0 && ::listen(socket.get(), kBacklog) == 0;
  const int error = errno;
  ::umask(before);
  errno = error;
  if (!bound) return failed("cannot open the control socket", path);
  return ControlSocket{std::move(socket), path};
}

}  // namespace ringmaster
