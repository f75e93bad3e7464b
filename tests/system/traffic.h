// Clients as a service has them, all at once and without a break: some keep their connections, some
// open a new one for each request, some ask for what takes long, some hold tunnels (WebSockets) and
// hear their own words back on them. Every request that got no complete answer is counted, with the
// reason. A thread of its own.
//
// What a client may do is not a failure: a connection that is closed between two requests is opened
// anew.
#pragma once

#include <uv.h>

#include <cstdint>
#include <iosfwd>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "tests/support/stream.h"

namespace ringmaster::test {

class TrafficClient;

enum class ClientKind : std::uint8_t { kKept, kFresh, kSlow, kTunnel };
inline constexpr std::size_t kClientKinds = 4;

struct TrafficPlan {
  Endpoint server;
  std::size_t kept = 50;  // each asks ten times a second
  std::size_t fresh_per_second = 500;
  std::size_t slow = 10;      // each asks for /slow again and again
  std::size_t tunnels = 200;  // each says something once a second
};

// What became of the requests of one kind of client; of tunnels: of what was said on them.
struct Fate {
  std::uint64_t answered = 0;
  std::map<std::string, std::uint64_t> failed;  // by reason: "refused", "reset", "status 503", …
  std::uint64_t connections = 0;                // that were made
  milliseconds slowest{0};

  std::uint64_t failures() const;
  std::uint64_t failures(const std::string& reason) const;
};

struct Tally {
  Fate by_kind[kClientKinds];

  const Fate& of(ClientKind kind) const { return by_kind[static_cast<std::size_t>(kind)]; }
  std::uint64_t answered() const;
  // Of all requests: tunnels are no requests.
  std::uint64_t failures() const;
  std::uint64_t failures(const std::string& reason) const;
  std::uint64_t tunnels_lost() const { return of(ClientKind::kTunnel).failures(); }
};
void PrintTo(const Tally& tally, std::ostream* out);

class Traffic {
 public:
  explicit Traffic(const TrafficPlan& plan);
  Traffic(const Traffic&) = delete;
  Traffic& operator=(const Traffic&) = delete;
  ~Traffic();

  // Waits until every tunnel stands and every client has been answered once.
  bool is_flowing(milliseconds patience = kPatience);
  // Waits until as many further requests were answered.
  bool wait_for_more(std::uint64_t answers, milliseconds patience = kPatience);
  Tally so_far() const;
  // Asks nothing new, waits for the answers that are due (at most kPatience), and ends.
  Tally stop();

 private:
  friend class TrafficClient;
  void start_fresh();
  void wind_down();

  const TrafficPlan plan_;
  uv_loop_t loop_;
  uv_timer_t pace_;
  uv_async_t end_;
  std::uint64_t started_ns_ = 0;
  std::uint64_t fresh_started_ = 0;
  std::vector<std::unique_ptr<TrafficClient>> clients_;  // those that stay
  std::size_t open_ = 0;                                 // clients with a request under way
  bool ending_ = false;
  mutable std::mutex mutex_;  // of the tally
  Tally tally_;
  std::thread thread_;
};

}  // namespace ringmaster::test
