// What one worker gives another when it drains: a client's connection that waits for a request, or
// a tunnel with both its ends, each with the bytes that were received and not passed on. One
// message a connection, over the HandoverChannel, the sockets along with it (SCM_RIGHTS). The two
// workers may be of different versions: one that meets a message it does not know closes what came
// with it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "shared/base/socket_address.h"
#include "shared/base/unique_fd.h"

namespace ringmaster {

// What one direction may hold at most: a full buffer of the largest kind.
inline constexpr std::size_t kMostHandedBytes = 256 * 1024;

// A connection on its way. Sender: descriptors and bytes are borrowed.
struct ConnectionToHand {
  int client = -1;
  int upstream = -1;  // of a tunnel, else -1
  IpAddress peer;
  bool awaits_proxy_header = false;  // it begins with one, which has not come yet
  bool is_tls = false;               // the one that came says so
  std::string_view upstream_name;    // of a tunnel
  std::string_view request_id;       // of a tunnel: what it is called in the logs
  std::string_view from_client;      // what the client sent and nobody has acted on
  std::string_view from_upstream;    // what the client has not got yet
};

enum class HandStatus : std::uint8_t { kSent, kTryAgain, kImpossible };
// kSent: the connection is the other's; the caller closes its descriptors, and says nothing on
// them.
HandStatus hand_over(int channel, const ConnectionToHand& connection) noexcept;

// A connection that arrived. Owns its descriptors; the bytes are valid until the next call of
// receive_handed().
struct HandedConnection {
  UniqueFd client;
  UniqueFd upstream;  // not open: an idle connection
  IpAddress peer;
  bool awaits_proxy_header = false;
  bool is_tls = false;
  std::string_view upstream_name;
  std::string_view request_id;
  std::string_view from_client;
  std::string_view from_upstream;
};

// Nothing when nobody has sent anything (`is_empty`), or when what came cannot be used.
struct Received {
  bool is_empty = false;
  std::optional<HandedConnection> connection;
};
Received receive_handed(int channel, std::string& room);

}  // namespace ringmaster
