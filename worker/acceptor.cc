#include "worker/acceptor.h"

#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "shared/base/log.h"
#include "shared/client_limit.h"

namespace ringmaster {
namespace {

constexpr int kLargestBatch = 4;
constexpr std::chrono::milliseconds kLookAway{2};
constexpr std::chrono::milliseconds kFull{10};
// Then it accepts all the same, for so long: the others may be stopped, and nobody else would.
constexpr std::uint32_t kMostLookAways = 25;
constexpr std::uint64_t kAloneMs = 1'000;
constexpr std::chrono::milliseconds kNoDescriptors{100};

}  // namespace

Acceptor::Acceptor(WorkerContext& context, ClientConnections& clients,
                   std::vector<UniqueFd> listeners, int hand_over_in)
    : context_(context),
      clients_(clients),
      listeners_(std::move(listeners)),
      hand_over_in_(hand_over_in),
      hand_over_poll_(open_handle<uv_poll_t>(this, uv_poll_init, context.loop, hand_over_in)),
      pause_(open_handle<uv_timer_t>(this, uv_timer_init, context.loop)),
      limit_(client_limit(context.config.server)) {
  for (const UniqueFd& listener : listeners_) {
    polls_.push_back(open_handle<uv_poll_t>(this, uv_poll_init, context.loop, listener.get()));
  }
}

void Acceptor::start() {
  watch();
}

void Acceptor::watch() {
  const auto on_readable = [](uv_poll_t* poll, int, int) noexcept {
    if (auto* self = owner_of<Acceptor>(poll)) {
      uv_os_fd_t fd = -1;
      uv_fileno(reinterpret_cast<uv_handle_t*>(poll), &fd);
      self->on_readable(fd);
    }
  };
  for (auto& poll : polls_) uv_poll_start(poll.get(), UV_READABLE, on_readable);
  uv_poll_start(hand_over_poll_.get(), UV_READABLE, [](uv_poll_t* poll, int, int) noexcept {
    if (auto* self = owner_of<Acceptor>(poll)) self->receive_batch();
  });
}

// Newcomers wait in the kernel's queue; true: this worker looks away from it.
bool Acceptor::keeps_newcomers_waiting() {
  if (clients_.size() < limit_) return false;
  if (!pause_) return true;  // closing: there is no other look
  if (full_lines_.admits(uv_now(context_.loop))) {
    log::warning(
        "at the limit of {} per worker (server.max_connections, or half of LimitNOFILE): new "
        "connections wait in the kernel's queue, unanswered{}",
        limit_, full_lines_.note());
  }
  look_away_from_newcomers(kFull);
  return true;
}

// The others are asked to take it; true: this worker looks away. Where none of them takes anything
// for that long, they are busy, stopped or dead.
bool Acceptor::leaves_it_to_others() {
  const std::uint64_t now = uv_now(context_.loop);
  if (!pause_ || now < alone_until_ms_) return false;
  const Shares shares = look_at_shares();
  const std::uint64_t mine = clients_.size();
  // More than the mean of all serving workers by an eighth and a couple.
  const bool is_more = shares.workers > 1 &&
                       mine * shares.workers * 8 > (mine + shares.others) * 9 + shares.workers * 16;
  if (!is_more) return false;
  if (std::exchange(others_had_, shares.others) != shares.others) looked_away_ = 0;
  if (++looked_away_ > kMostLookAways) {
    looked_away_ = 0;
    alone_until_ms_ = now + kAloneMs;
    return false;
  }
  look_away(kLookAway);
  return true;
}

// The limit is for newcomers: these were admitted, by a worker who lets go of them, and until
// somebody takes them nobody serves them.
void Acceptor::receive_batch() {
  for (int i = 0; i < kLargestBatch; ++i) {
    if (leaves_it_to_others()) return;
    if (!has_room_for_descriptors()) return look_away(kNoDescriptors);
    if (!receive_one()) break;
  }
  handed_.clear();
  handed_.shrink_to_fit();  // hand-overs are rare
}

// A tunnel has two; what finds no number is gone, and its sender has closed it already.
bool Acceptor::has_room_for_descriptors() const noexcept {
  const UniqueFd one = duplicate_of(hand_over_in_);
  const UniqueFd other = duplicate_of(hand_over_in_);
  return one.is_open() && other.is_open();
}

// False: there is none.
bool Acceptor::receive_one() {
  Received received = receive_handed(hand_over_in_, handed_);
  if (received.connection) clients_.take_over(*std::move(received.connection));
  return !received.is_empty;
}

bool Acceptor::take_what_is_left() {
  bool took = false;
  while (receive_one()) took = true;
  return took;
}

void Acceptor::on_readable(int listener) {
  const bool all = accept_batch(listener, batch_) == batch_;
  batch_ = all ? std::min(batch_ * 2, kLargestBatch) : 1;
}

int Acceptor::accept_batch(int listener, int most) {
  for (int i = 0; i < most; ++i) {
    if (keeps_newcomers_waiting() || leaves_it_to_others()) return i;
    sockaddr_storage peer;
    socklen_t size = sizeof peer;
    const int fd = ::accept4(listener, reinterpret_cast<sockaddr*>(&peer), &size,
                             SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) {
      if (errno == EINTR || errno == ECONNABORTED) continue;
      const bool exhausted =
          errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM;
      if (exhausted) {
        const char* why = std::strerror(errno);
        if (short_lines_.admits(uv_now(context_.loop))) {
          log::error(
              "cannot accept connections: {}; raise the limit on open files (LimitNOFILE), or "
              "lower server.max_connections{}",
              why, short_lines_.note());
        }
        look_away(kNoDescriptors);
      }
      return i;
    }
    // TCP_NODELAY came with the listener.
    clients_.add(fd, SocketAddress::from(reinterpret_cast<sockaddr*>(&peer)).ip());
  }
  return most;
}

Acceptor::Shares Acceptor::look_at_shares() const noexcept {
  Shares shares{};
  const std::uint32_t slots = context_.segment.slots_used();
  for (std::uint32_t i = 0; i < slots; ++i) {
    const WorkerSlot& slot = context_.segment.slot(i);
    if (slot.state() != WorkerState::kServing) continue;
    if (&slot != &context_.slot) shares.others += slot.connections();
    ++shares.workers;
  }
  return shares;
}

void Acceptor::look_away(std::chrono::milliseconds time) {
  if (!pause_) return;  // closing
  uv_poll_stop(hand_over_poll_.get());
  look_away_from_newcomers(time);
}

void Acceptor::look_away_from_newcomers(std::chrono::milliseconds time) {
  for (auto& poll : polls_) uv_poll_stop(poll.get());
  start_timer<&Acceptor::watch>(pause_, time);
}

void Acceptor::close() {
  polls_.clear();
  hand_over_poll_.reset();
  pause_.reset();
  for (const UniqueFd& listener : listeners_) {
    constexpr int kAll = 1 << 16;
    accept_batch(listener.get(), kAll);
  }
  listeners_.clear();
}

}  // namespace ringmaster
