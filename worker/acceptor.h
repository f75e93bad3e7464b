// Takes connections off the listening sockets that all workers share, and those that workers who
// drain give away. Every worker is woken for every connection, so one that has clearly more than
// its share looks away for a moment and leaves the rest to the others; a small batch a turn keeps a
// busy one from taking all, and follows how many there were last time, so that hardly any accept()
// is in vain.
#pragma once

#include <uv.h>

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "shared/base/line_limit.h"
#include "shared/base/unique_fd.h"
#include "shared/base/uv_handle.h"
#include "worker/client/client_connections.h"

namespace ringmaster {

class Acceptor {
 public:
  // `listeners`: descriptors of this process, closed by close(). `hand_over_in`: borrowed.
  Acceptor(WorkerContext& context, ClientConnections& clients, std::vector<UniqueFd> listeners,
           int hand_over_in);

  void start();
  // Takes what already waits in the queues, then closes the listeners.
  void close();
  // Of what others gave away, all that nobody has taken: when the service stops, and nobody else
  // will. True if there was something.
  bool take_what_is_left();

 private:
  void on_readable(int listener);
  // How many it took before there were no more, or may not be.
  int accept_batch(int listener, int most);
  void receive_batch();
  bool has_room_for_descriptors() const noexcept;
  bool receive_one();
  bool keeps_newcomers_waiting();
  bool leaves_it_to_others();
  // Of all serving workers.
  struct Shares {
    std::uint64_t workers;
    std::uint64_t others;  // connections that are not ours
  };
  Shares look_at_shares() const noexcept;
  void look_away(std::chrono::milliseconds time);
  void look_away_from_newcomers(std::chrono::milliseconds time);
  void watch();

  // Borrowed: the worker's.
  WorkerContext& context_;
  ClientConnections& clients_;
  // Owned.
  std::vector<UniqueFd> listeners_;
  const int hand_over_in_;
  OwnedHandle<uv_poll_t> hand_over_poll_;
  std::string handed_;  // room for a message
  std::vector<OwnedHandle<uv_poll_t>> polls_;
  OwnedHandle<uv_timer_t> pause_;
  std::uint32_t limit_;
  int batch_ = 1;
  std::uint32_t looked_away_ = 0;     // times in a row
  std::uint64_t others_had_ = 0;      // connections, at the last look
  std::uint64_t alone_until_ms_ = 0;  // of the loop's clock: until then it does not look away
  // Clients can bring it to either as often as they like.
  log::LineLimit full_lines_{1, 60'000};
  log::LineLimit short_lines_{1, 60'000};
};

}  // namespace ringmaster
