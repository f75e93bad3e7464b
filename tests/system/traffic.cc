#include "tests/system/traffic.h"

#include <algorithm>
#include <array>
#include <ostream>

namespace ringmaster::test {
namespace {

constexpr std::uint64_t kThinkMs = 100;
constexpr std::uint64_t kTunnelBeatMs = 1000;
constexpr std::uint64_t kPaceMs = 10;
// An answer that takes longer is none.
constexpr std::uint64_t kPatienceMs = 20'000;
constexpr std::size_t kMostFreshAtOnce = 250;
// Before a client whose request failed tries again.
constexpr std::uint64_t kAfterFailureMs = 50;

std::string lower(std::string_view text) {
  std::string result(text);
  std::transform(result.begin(), result.end(), result.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
  return result;
}

}  // namespace

// One client and its one connection. A fresh one ends with its answer, the others live as long as
// the traffic.
class TrafficClient {
 public:
  TrafficClient(Traffic& traffic, ClientKind kind, std::size_t number)
      : traffic_(traffic), kind_(kind), number_(number) {
    timer_ = new uv_timer_t;
    uv_timer_init(&traffic_.loop_, timer_);
    timer_->data = this;
  }
  ~TrafficClient() {
    drop();
    timer_->data = nullptr;
    uv_close(reinterpret_cast<uv_handle_t*>(timer_),
             [](uv_handle_t* handle) { delete reinterpret_cast<uv_timer_t*>(handle); });
  }

  // Clients do not all begin in the same moment.
  void begin_in(std::uint64_t ms) {
    wait(ms, [](uv_timer_t* timer) { of(timer)->next(); });
  }

  // Connects where there is no connection, and asks.
  void next() {
    if (traffic_.ending_ && kind_ != ClientKind::kFresh) return;
    begun_ns_ = uv_hrtime();
    if (!is_busy_) ++traffic_.open_;
    is_busy_ = true;
    wait(kPatienceMs, [](uv_timer_t* timer) { of(timer)->fail("no answer in time"); });
    if (socket_ != nullptr) return ask();
    connect();
  }

 private:
  static TrafficClient* of(void* handle) {
    return static_cast<TrafficClient*>(static_cast<uv_handle_t*>(handle)->data);
  }

  void wait(std::uint64_t ms, uv_timer_cb then) { uv_timer_start(timer_, then, ms, 0); }

  void connect() {
    socket_ = new uv_tcp_t;
    uv_tcp_init(&traffic_.loop_, socket_);
    socket_->data = this;
    is_upgraded_ = false;
    input_.clear();
    // Many clients have many addresses; and one address has not enough ports for all of them.
    const std::string from = "127.0." + std::to_string(1 + number_ / 200 % 200) + "." +
                             std::to_string(1 + number_ % 200);
    sockaddr_in address;
    uv_ip4_addr(from.c_str(), 0, &address);
    uv_tcp_bind(socket_, reinterpret_cast<sockaddr*>(&address), 0);
    uv_ip4_addr(traffic_.plan_.server.ip.c_str(), traffic_.plan_.server.port, &address);
    auto* request = new uv_connect_t;
    const int error = uv_tcp_connect(request, socket_, reinterpret_cast<sockaddr*>(&address),
                                     [](uv_connect_t* done, int status) {
                                       TrafficClient* self = of(done->handle);
                                       delete done;
                                       if (self != nullptr) self->on_connected(status);
                                     });
    if (error != 0) {
      delete request;
      fail(uv_strerror(error));
    }
  }

  void on_connected(int status) {
    if (status != 0) return fail(status == UV_ECONNREFUSED ? "refused" : uv_strerror(status));
    uv_tcp_nodelay(socket_, 1);
    {
      const std::lock_guard lock(traffic_.mutex_);
      ++fate().connections;
    }
    uv_read_start(
        reinterpret_cast<uv_stream_t*>(socket_),
        [](uv_handle_t*, std::size_t, uv_buf_t* buffer) {
          static thread_local std::array<char, 65'536> room;
          *buffer = uv_buf_init(room.data(), room.size());
        },
        [](uv_stream_t* stream, ssize_t n, const uv_buf_t* buffer) {
          if (TrafficClient* self = of(stream)) self->on_read(n, buffer->base);
        });
    ask();
  }

  void ask() {
    std::string words = "GET /" + std::to_string(number_ * 31 + asked_++ % 100);
    switch (kind_) {
      case ClientKind::kKept:
        words += " HTTP/1.1\r\nHost: a\r\n\r\n";
        break;
      case ClientKind::kFresh:
        words += " HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
        break;
      case ClientKind::kSlow:
        words = "GET /slow HTTP/1.1\r\nHost: a\r\n\r\n";
        break;
      case ClientKind::kTunnel:
        expected_ = "message " + std::to_string(asked_) + "\n";
        words = is_upgraded_ ? expected_
                             : words +
                                   " HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\n"
                                   "Upgrade: echo\r\n\r\n";
        break;
    }
    struct Write {
      uv_write_t request;
      std::string bytes;
    };
    auto* write = new Write{{}, std::move(words)};
    write->request.data = write;
    const uv_buf_t buffer =
        uv_buf_init(write->bytes.data(), static_cast<unsigned>(write->bytes.size()));
    // A write that fails is told by the read that follows.
    const int error =
        uv_write(&write->request, reinterpret_cast<uv_stream_t*>(socket_), &buffer, 1,
                 [](uv_write_t* done, int) { delete static_cast<Write*>(done->data); });
    if (error != 0) {
      delete write;
      fail(uv_strerror(error));
    }
  }

  void on_read(ssize_t n, const char* bytes) {
    if (n < 0) {
      if (!is_busy_ && kind_ != ClientKind::kTunnel) return drop();  // anew with the next request
      return fail(n == UV_ECONNRESET ? "reset" : n == UV_EOF ? "closed" : uv_strerror(int(n)));
    }
    input_.append(bytes, static_cast<std::size_t>(n));
    if (is_upgraded_) {
      if (input_.size() < expected_.size()) return;
      if (input_ != expected_) return fail("other bytes than were sent");
      return succeed();
    }
    read_response();
  }

  void read_response() {
    const std::size_t end = input_.find("\r\n\r\n");
    if (end == std::string::npos) return;
    const std::string head = lower(input_.substr(0, end + 2));
    const std::string status = head.substr(head.find(' ') + 1, 3);
    if (kind_ == ClientKind::kTunnel && status == "101") {
      is_upgraded_ = true;
      return succeed();
    }
    const std::size_t length = head.find("\r\ncontent-length:");
    const std::size_t body =
        length == std::string::npos ? 0 : std::strtoul(head.c_str() + length + 17, nullptr, 10);
    if (input_.size() < end + 4 + body) return;
    if (status != "200") return fail("status " + status);
    says_close_ = head.find("\r\nconnection: close") != std::string::npos;
    succeed();
  }

  void succeed() {
    {
      const std::lock_guard lock(traffic_.mutex_);
      ++fate().answered;
      const auto took = milliseconds((uv_hrtime() - begun_ns_) / 1'000'000);
      fate().slowest = std::max(fate().slowest, took);
    }
    input_.clear();
    settle();
    if (kind_ == ClientKind::kFresh) return end();
    if (std::exchange(says_close_, false)) drop();
    begin_in(kind_ == ClientKind::kTunnel ? kTunnelBeatMs : kThinkMs);
  }

  void fail(const std::string& why) {
    {
      const std::lock_guard lock(traffic_.mutex_);
      ++fate().failed[why];
    }
    drop();
    settle();
    if (kind_ == ClientKind::kFresh) return end();
    begin_in(kAfterFailureMs);
  }

  void settle() {
    if (std::exchange(is_busy_, false)) --traffic_.open_;
  }

  // The connection goes, the client stays.
  void drop() {
    if (socket_ == nullptr) return;
    uv_tcp_t* socket = std::exchange(socket_, nullptr);
    socket->data = nullptr;
    uv_close(reinterpret_cast<uv_handle_t*>(socket),
             [](uv_handle_t* handle) { delete reinterpret_cast<uv_tcp_t*>(handle); });
    is_upgraded_ = false;
  }

  void end() { delete this; }
  Fate& fate() { return traffic_.tally_.by_kind[static_cast<std::size_t>(kind_)]; }

  Traffic& traffic_;
  const ClientKind kind_;
  const std::size_t number_;
  uv_timer_t* timer_;  // frees itself when closed, as the socket does
  uv_tcp_t* socket_ = nullptr;
  std::string input_;
  std::string expected_;  // the echo that is due
  std::uint64_t begun_ns_ = 0;
  std::size_t asked_ = 0;
  bool is_busy_ = false;
  bool is_upgraded_ = false;
  bool says_close_ = false;
};

std::uint64_t Fate::failures() const {
  std::uint64_t sum = 0;
  for (const auto& [reason, count] : failed) sum += count;
  return sum;
}

std::uint64_t Fate::failures(const std::string& reason) const {
  const auto found = failed.find(reason);
  return found == failed.end() ? 0 : found->second;
}

std::uint64_t Tally::answered() const {
  std::uint64_t sum = 0;
  for (const Fate& fate : by_kind) sum += fate.answered;
  return sum;
}

std::uint64_t Tally::failures() const {
  return of(ClientKind::kKept).failures() + of(ClientKind::kFresh).failures() +
         of(ClientKind::kSlow).failures();
}

std::uint64_t Tally::failures(const std::string& reason) const {
  std::uint64_t sum = 0;
  for (const Fate& fate : by_kind) sum += fate.failures(reason);
  return sum;
}

void PrintTo(const Tally& tally, std::ostream* out) {
  constexpr std::array kNames{"kept-alive", "fresh", "slow", "tunnels"};
  for (std::size_t i = 0; i < kClientKinds; ++i) {
    const Fate& fate = tally.by_kind[i];
    *out << "\n  " << kNames[i] << ": " << fate.answered << " answered over " << fate.connections
         << " connections, the slowest in " << fate.slowest.count() << " ms; " << fate.failures()
         << " failed";
    for (const auto& [reason, count] : fate.failed) *out << ", " << reason << ": " << count;
  }
}

Traffic::Traffic(const TrafficPlan& plan) : plan_(plan) {
  uv_loop_init(&loop_);
  uv_timer_init(&loop_, &pace_);
  uv_async_init(&loop_, &end_,
                [](uv_async_t* end) { static_cast<Traffic*>(end->data)->ending_ = true; });
  pace_.data = end_.data = this;
  const auto add = [this](ClientKind kind, std::size_t count, std::uint64_t over_ms) {
    for (std::size_t i = 0; i < count; ++i) {
      clients_.push_back(std::make_unique<TrafficClient>(*this, kind, clients_.size()));
      clients_.back()->begin_in(i * over_ms / count);
    }
  };
  add(ClientKind::kKept, plan.kept, kThinkMs);
  add(ClientKind::kSlow, plan.slow, kTunnelBeatMs);
  add(ClientKind::kTunnel, plan.tunnels, kTunnelBeatMs);
  started_ns_ = uv_hrtime();
  uv_timer_start(
      &pace_,
      [](uv_timer_t* timer) {
        auto* self = static_cast<Traffic*>(timer->data);
        self->ending_ ? self->wind_down() : self->start_fresh();
      },
      kPaceMs, kPaceMs);
  thread_ = std::thread([this] { uv_run(&loop_, UV_RUN_DEFAULT); });
}

Traffic::~Traffic() {
  stop();
}

// As many as are due by now, but no flood after a machine stood still.
void Traffic::start_fresh() {
  const std::uint64_t due = (uv_hrtime() - started_ns_) * plan_.fresh_per_second / 1'000'000'000;
  for (; fresh_started_ < due; ++fresh_started_) {
    if (open_ >= clients_.size() + kMostFreshAtOnce) continue;
    (new TrafficClient(*this, ClientKind::kFresh, fresh_started_))->next();
  }
}

void Traffic::wind_down() {
  if (open_ != 0) return;
  clients_.clear();
  for (auto* handle :
       {reinterpret_cast<uv_handle_t*>(&pace_), reinterpret_cast<uv_handle_t*>(&end_)}) {
    uv_close(handle, nullptr);
  }
}

bool Traffic::is_flowing(milliseconds patience) {
  return wait_until(
      [this] {
        const Tally tally = so_far();
        return tally.of(ClientKind::kKept).connections >= plan_.kept &&
               tally.of(ClientKind::kSlow).connections >= plan_.slow &&
               tally.of(ClientKind::kTunnel).answered >= 2 * plan_.tunnels &&
               (plan_.fresh_per_second == 0 || tally.of(ClientKind::kFresh).answered > 0);
      },
      patience);
}

bool Traffic::wait_for_more(std::uint64_t answers, milliseconds patience) {
  const std::uint64_t wanted = so_far().answered() + answers;
  return wait_until([&] { return so_far().answered() >= wanted; }, patience);
}

Tally Traffic::so_far() const {
  const std::lock_guard lock(mutex_);
  return tally_;
}

Tally Traffic::stop() {
  if (thread_.joinable()) {
    uv_async_send(&end_);
    thread_.join();
    uv_loop_close(&loop_);
  }
  return so_far();
}

}  // namespace ringmaster::test
