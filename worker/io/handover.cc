#include "worker/io/handover.h"

#include <sys/socket.h>
#include <sys/uio.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <type_traits>
#include <utility>

#include "shared/memory/upstream_state.h"

namespace ringmaster {
namespace {

constexpr std::uint32_t kMagic = 0x4f48'4d52;  // "RMHO"
constexpr std::uint32_t kVersion = 1;
constexpr std::uint32_t kTlsVersion = 2;  // the same, of a client that came over TLS

// The head of a message; the bytes of both directions follow, the client's first, then the id.
struct Head {
  std::uint32_t magic;
  std::uint32_t version;
  IpAddress peer;
  char upstream_name[UpstreamState::kNameBytes];
  std::uint32_t awaits_proxy_header;
  std::uint32_t request_id_bytes;
  std::uint32_t from_client_bytes;
  std::uint32_t from_upstream_bytes;
};
static_assert(std::is_trivially_copyable_v<Head> && sizeof(Head) == 104);
constexpr std::size_t kMostIdBytes = 128;
constexpr std::size_t kMostBytes = sizeof(Head) + 2 * kMostHandedBytes + kMostIdBytes;

iovec as_iovec(std::string_view bytes) noexcept {
  return {const_cast<char*>(bytes.data()), bytes.size()};
}

union Rights {
  cmsghdr align;
  char bytes[CMSG_SPACE(2 * sizeof(int))];
};

// The descriptors of a message, owned at once: none is lost, whatever the rest looks like.
std::array<UniqueFd, 2> take_descriptors(msghdr& message) noexcept {
  std::array<UniqueFd, 2> taken;
  for (cmsghdr* c = CMSG_FIRSTHDR(&message); c != nullptr; c = CMSG_NXTHDR(&message, c)) {
    if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS) continue;
    const std::size_t count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (std::size_t i = 0; i < count && i < taken.size(); ++i) {
      int fd;
      std::memcpy(&fd, CMSG_DATA(c) + i * sizeof fd, sizeof fd);
      taken[i].reset(fd);
    }
  }
  return taken;
}

}  // namespace

HandStatus hand_over(int channel, const ConnectionToHand& connection) noexcept {
  Head head{};
  head.magic = kMagic;
  head.version = connection.is_tls ? kTlsVersion : kVersion;
  head.peer = connection.peer;
  head.awaits_proxy_header = connection.awaits_proxy_header ? 1 : 0;
  // What the other could not take in would be lost: it stays where it is.
  const bool fits = connection.upstream_name.size() < sizeof head.upstream_name &&
                    connection.request_id.size() <= kMostIdBytes &&
                    connection.from_client.size() <= kMostHandedBytes &&
                    connection.from_upstream.size() <= kMostHandedBytes;
  if (!fits) return HandStatus::kImpossible;
  connection.upstream_name.copy(head.upstream_name, connection.upstream_name.size());
  head.request_id_bytes = static_cast<std::uint32_t>(connection.request_id.size());
  head.from_client_bytes = static_cast<std::uint32_t>(connection.from_client.size());
  head.from_upstream_bytes = static_cast<std::uint32_t>(connection.from_upstream.size());

  std::array<iovec, 4> pieces{iovec{&head, sizeof head}, as_iovec(connection.from_client),
                              as_iovec(connection.from_upstream), as_iovec(connection.request_id)};
  const int fds[2] = {connection.client, connection.upstream};
  const std::size_t fd_bytes = connection.upstream >= 0 ? sizeof fds : sizeof fds[0];
  Rights rights{};
  msghdr message{};
  message.msg_iov = pieces.data();
  message.msg_iovlen = pieces.size();
  message.msg_control = rights.bytes;
  message.msg_controllen = CMSG_SPACE(fd_bytes);
  cmsghdr* control = CMSG_FIRSTHDR(&message);
  control->cmsg_level = SOL_SOCKET;
  control->cmsg_type = SCM_RIGHTS;
  control->cmsg_len = CMSG_LEN(fd_bytes);
  std::memcpy(CMSG_DATA(control), fds, fd_bytes);

  for (;;) {
    if (::sendmsg(channel, &message, MSG_NOSIGNAL | MSG_DONTWAIT) >= 0) return HandStatus::kSent;
    if (errno == EINTR) continue;
    // ETOOMANYREFS: as many descriptors are on their way as the kernel allows.
    const bool busy = errno == EAGAIN || errno == ENOBUFS || errno == ETOOMANYREFS;
    return busy ? HandStatus::kTryAgain : HandStatus::kImpossible;
  }
}

Received receive_handed(int channel, std::string& room) {
  room.resize(kMostBytes);
  iovec piece{room.data(), room.size()};
  Rights rights{};
  msghdr message{};
  message.msg_iov = &piece;
  message.msg_iovlen = 1;
  message.msg_control = rights.bytes;
  message.msg_controllen = sizeof rights.bytes;
  // Without room for its descriptors a tunnel would pass for an idle connection.
  constexpr int kIncomplete = MSG_TRUNC | MSG_CTRUNC;
  const ssize_t size = ::recvmsg(channel, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
  if (size < 0) return {.is_empty = true, .connection = {}};

  std::array<UniqueFd, 2> descriptors = take_descriptors(message);
  Head head;
  if (static_cast<std::size_t>(size) < sizeof head || (message.msg_flags & kIncomplete) != 0)
    return {};
  std::memcpy(&head, room.data(), sizeof head);
  const std::size_t bytes = static_cast<std::size_t>(size) - sizeof head;
  const std::size_t announced =
      std::size_t{head.from_client_bytes} + head.from_upstream_bytes + head.request_id_bytes;
  const bool is_tls = head.version == kTlsVersion;
  const bool is_known =
      head.magic == kMagic && (is_tls || head.version == kVersion) && announced == bytes;
  if (!is_known || !descriptors[0].is_open()) return {};

  const std::string_view all(room.data() + sizeof head, bytes);
  // The name lies in the room, whose head is not written to again.
  const char* name = room.data() + offsetof(Head, upstream_name);
  return {.is_empty = false,
          .connection = HandedConnection{
              .client = std::move(descriptors[0]),
              .upstream = std::move(descriptors[1]),
              .peer = head.peer,
              .awaits_proxy_header = head.awaits_proxy_header != 0,
              .is_tls = is_tls,
              .upstream_name = {name, ::strnlen(name, sizeof head.upstream_name)},
              .request_id = all.substr(bytes - head.request_id_bytes),
              .from_client = all.substr(0, head.from_client_bytes),
              .from_upstream = all.substr(head.from_client_bytes, head.from_upstream_bytes)}};
}

}  // namespace ringmaster
