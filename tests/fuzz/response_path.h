// The way of responses through the product, without its sockets: what a backend sends on one
// connection is parsed, and each response is rewritten and relayed to the client that asked for it,
// by the same calls in the same order as Exchange makes them. When the bytes end, so does the
// connection.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "tests/fuzz/arrival.h"

namespace ringmaster::fuzz {

inline constexpr std::string_view kOffer = "websocket, foo/2";

// What a client asked for, one after the other on the connection to the backend.
struct Asked {
  bool is_head = false;
  bool is_11 = true;
  bool keep_alive = true;
  bool upgrade = false;

  // One letter each: G GET, H HEAD, C with Connection: close, U with Upgrade: kOffer; by clients of
  // HTTP/1.0: g GET, h HEAD, k with keep-alive. Others count as G.
  static Asked from(char letter) noexcept;
};

struct RelayedResponse {
  Asked asked = {};
  std::size_t begin = 0;          // where in the backend's bytes it begins
  std::string bytes = {};         // what went to the client
  bool is_interim = false;        // 1xx, a 101 not
  bool is_tunnel = false;         // 101: the bytes behind the head are the new protocol's
  bool is_done = false;           // all of it
  bool client_may_go_on = false;  // with is_done: the client's connection lives on
  std::size_t end = 0;            // with is_done: where the backend's next response begins
};

struct ResponseRun {
  std::vector<RelayedResponse> responses;
  bool is_refused = false;  // the client gets a 502 instead of what follows them
  bool is_cut = false;      // the last one broke off, and its client is cut off
  bool is_closed = false;   // in good order: the backend's connection is not used again
};

ResponseRun run_responses(std::string_view asked, std::string_view from_backend, Pieces pieces);

}  // namespace ringmaster::fuzz
