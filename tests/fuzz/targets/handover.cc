// Messages between workers, which may be of different versions: what is not understood is dropped,
// and no descriptor is ever lost. The first byte says how many come along.
#include <fcntl.h>
#include <sys/socket.h>

#include <cstring>
#include <string>

#include "tests/fuzz/finding.h"
#include "tests/fuzz/targets.h"
#include "worker/io/handover.h"

namespace ringmaster::fuzz {
namespace {

struct Channel {
  UniqueFd in;
  UniqueFd out;
};

Channel open_channel() {
  int ends[2];
  demand(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) == 0,
         "no channel");
  return {UniqueFd(ends[0]), UniqueFd(ends[1])};
}

// The lowest number that is free: it rises when a descriptor is lost.
int lowest_free(int some_fd) {
  return UniqueFd(::fcntl(some_fd, F_DUPFD_CLOEXEC, 0)).get();
}

void send(int to, std::string_view bytes, std::size_t count, int fd) {
  const int fds[3] = {fd, fd, fd};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof fds)] = {};
  iovec piece{const_cast<char*>(bytes.data()), bytes.size()};
  msghdr message{};
  message.msg_iov = &piece;
  message.msg_iovlen = 1;
  if (count != 0) {
    message.msg_control = control;
    message.msg_controllen = CMSG_SPACE(count * sizeof fd);
    cmsghdr* rights = CMSG_FIRSTHDR(&message);
    rights->cmsg_level = SOL_SOCKET;
    rights->cmsg_type = SCM_RIGHTS;
    rights->cmsg_len = CMSG_LEN(count * sizeof fd);
    std::memcpy(CMSG_DATA(rights), fds, count * sizeof fd);
  }
  demand(::sendmsg(to, &message, MSG_NOSIGNAL) >= 0, "not sent");
}

// What one worker sends, the other gets.
void round_trip(const Channel& channel, std::string_view bytes, int fd, std::string& room) {
  const std::size_t half = bytes.size() / 2;
  ConnectionToHand connection;
  connection.client = fd;
  connection.upstream = half % 2 == 0 ? fd : -1;
  connection.awaits_proxy_header = half % 3 == 0;
  connection.is_tls = half % 5 == 0;
  connection.upstream_name = "s1";
  connection.request_id = bytes.substr(0, half % 100);
  connection.from_client = bytes.substr(0, half);
  connection.from_upstream = bytes.substr(half);
  demand(hand_over(channel.out.get(), connection) == HandStatus::kSent, "not handed over");
  const Received received = receive_handed(channel.in.get(), room);
  demand(received.connection.has_value(), "our own message was not understood");
  const HandedConnection& handed = *received.connection;
  demand(handed.from_client == connection.from_client &&
             handed.from_upstream == connection.from_upstream &&
             handed.upstream_name == connection.upstream_name &&
             handed.request_id == connection.request_id &&
             handed.awaits_proxy_header == connection.awaits_proxy_header &&
             handed.is_tls == connection.is_tls &&
             handed.upstream.is_open() == (connection.upstream >= 0) && handed.client.is_open(),
         "something else arrived");
}

}  // namespace

void fuzz_handover(std::string_view input) {
  if (input.empty()) return;
  static const Channel channel = open_channel();
  static const UniqueFd null(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  static std::string room;  // as in a worker, the same for all messages
  const int before = lowest_free(null.get());
  const auto count = static_cast<unsigned char>(input[0]) % 4u;
  const std::string_view bytes = input.substr(1);
  send(channel.out.get(), bytes, count, null.get());
  {
    const Received received = receive_handed(channel.in.get(), room);
    if (received.connection) {
      const HandedConnection& handed = *received.connection;
      demand(count != 0 && handed.client.is_open(), "a connection out of nothing");
      const std::string all = std::string(handed.from_client) + std::string(handed.from_upstream) +
                              std::string(handed.request_id);
      demand(bytes.ends_with(all), "bytes that were not sent");
      demand(handed.upstream_name.size() <= 64, "a name without end");
    }
  }
  demand(lowest_free(null.get()) == before, "a descriptor was lost");
  round_trip(channel, bytes, null.get(), room);
  demand(lowest_free(null.get()) == before, "a descriptor was lost on the way");
}

}  // namespace ringmaster::fuzz
