// The bench's clients, all in one process. Prints "measuring" when the warm-up, if there is one, is
// over and one line of JSON at the end; what the balancer's processes used in between is the
// runner's to read.
//
// clang-format off
//   bench_load PORT closed  CONNECTIONS SIZE SECONDS            the next request as soon as one is answered
//   bench_load PORT turns   CONNECTIONS SIZE SECONDS IN-FLIGHT  so many at once, the connections by turns
//   bench_load PORT open    CONNECTIONS SIZE SECONDS RATE       RATE requests a second, whatever comes back
//   bench_load PORT connect CONNECTIONS SIZE SECONDS            a new connection for every request
//   bench_load PORT count   CONNECTIONS SIZE REQUESTS           as closed, so many requests, no warm-up
//   bench_load PORT upload  CONNECTIONS SIZE REQUESTS           as count, with bodies of SIZE; short answers
//   bench_load PORT idle    CONNECTIONS                         one request each, then silence until stdin ends
//   bench_load PORT burst   CONNECTIONS SIZE                    one request each, all at once, then silence
//   bench_load PORT stalled CONNECTIONS SIZE                    one request each, whose answers nobody reads
// clang-format on
//
// Latency in open mode is taken from when a request was due, not from when it could be sent: a
// balancer that stalls is not spared the requests that it kept from being sent.
#include <sys/prctl.h>

#include <algorithm>
#include <chrono>
#include <cinttypes>
#include <deque>
#include <string>
#include <utility>
#include <vector>

#include "tests/bench/net.h"

namespace ringmaster::bench {
namespace {

constexpr std::uint64_t kSecond = 1'000'000'000;
constexpr std::uint64_t kWarmUp = kSecond / 5;
constexpr std::size_t kTargets = 1024;  // different ones, so that the hash spreads them

std::uint64_t now_ns() {
  const auto now = std::chrono::steady_clock::now().time_since_epoch();
  return static_cast<std::uint64_t>(std::chrono::nanoseconds(now).count());
}

enum class Mode { kClosed, kTurns, kOpen, kConnect, kCount, kUpload, kIdle, kBurst, kStalled };

struct Job {
  std::uint16_t port;
  Mode mode;
  std::size_t connections;
  std::size_t size = 0;
  double seconds = 0;          // of measuring, in the modes that last for a time
  std::uint64_t requests = 0;  // kCount and kUpload: how many in all
  double rate = 0;             // kOpen: requests a second
  std::size_t in_flight = 0;   // kTurns: requests at once
};

struct Connection {
  int fd = -1;
  bool busy = false;
  bool connecting = false;
  bool waits_for_room = false;
  std::string_view unsent{};  // of a request that the balancer does not take as fast
  std::uint64_t due_ns = 0;
  std::uint64_t body_left = 0;
};

class Load {
 public:
  explicit Load(const Job& job) : job_(job), connections_(job.connections), bulk_(256 * 1024) {
    for (std::size_t i = 0; i < kTargets; ++i) requests_.push_back(request(job, i));
  }

  void run() {
    for (Connection& c : connections_) open(c);
    while (opening_ != 0) turn(-1);
    start_ns_ = now_ns();
    measure_ns_ = start_ns_ + kWarmUp;
    switch (job_.mode) {
      case Mode::kClosed:
      case Mode::kConnect:
        return run_closed();
      case Mode::kTurns:
        return run_turns();
      case Mode::kOpen:
        return run_open();
      case Mode::kCount:
      case Mode::kUpload:
        return run_counted();
      case Mode::kIdle:
        return stay_idle();
      case Mode::kBurst:
        return burst();
      case Mode::kStalled:
        return stall();
    }
  }

 private:
  static std::string request(const Job& job, std::size_t i) {
    const bool uploads = job.mode == Mode::kUpload;
    std::string text = (uploads ? "POST /100" : "GET /" + std::to_string(job.size)) + "/item/" +
                       std::to_string(i) +
                       "?user=42 HTTP/1.1\r\nHost: bench.example\r\nUser-Agent: bench/1.0\r\n" +
                       "Accept: */*\r\n";
    if (job.mode == Mode::kConnect) text += "Connection: close\r\n";
    if (uploads) text += "Content-Length: " + std::to_string(job.size) + "\r\n";
    text += "\r\n";
    if (uploads) text.append(job.size, 'x');
    return text;
  }

  // ---- One connection ----
  void open(Connection& c) {
    c.fd = connect_to(job_.port);
    c.connecting = true;
    ++opening_;
    epoll_.add(c.fd, &c, EPOLLOUT);
    // Bounded by what a listener's queue takes at once.
    while (job_.mode != Mode::kConnect && opening_ > 256) turn(-1);
  }

  void on_connected(Connection& c) {
    c.connecting = false;
    --opening_;
    epoll_.modify(c.fd, &c, EPOLLIN);
    if (job_.mode == Mode::kConnect && start_ns_ != 0) return send(c, now_ns());
    if (job_.mode == Mode::kOpen) free_.push_back(&c);
  }

  void send(Connection& c, std::uint64_t due_ns) {
    const std::string& request = requests_[next_target_++ % kTargets];
    c.busy = true;
    c.due_ns = due_ns;
    c.unsent = request;
    send_on(c);
  }

  void send_on(Connection& c) {
    const ssize_t n = ::send(c.fd, c.unsent.data(), c.unsent.size(), MSG_NOSIGNAL);
    if (n < 0 && errno != EAGAIN) die("send");
    const bool had_to_wait =
        std::exchange(c.waits_for_room, n < static_cast<ssize_t>(c.unsent.size()));
    c.unsent.remove_prefix(static_cast<std::size_t>(std::max<ssize_t>(n, 0)));
    if (c.waits_for_room != had_to_wait) {
      epoll_.modify(c.fd, &c, c.waits_for_room ? EPOLLIN | EPOLLOUT : EPOLLIN);
    }
  }

  // False: the connection has ended.
  bool read(Connection& c) {
    const ssize_t n = ::recv(c.fd, bulk_.data(), bulk_.size(), 0);
    if (n < 0 && errno == EAGAIN) return true;
    if (n <= 0) return false;
    if (c.body_left != 0) {
      take_body(c, static_cast<std::size_t>(n));
      return true;
    }
    const std::string_view bytes(bulk_.data(), static_cast<std::size_t>(n));
    const std::size_t end = bytes.find("\r\n\r\n");
    if (end == bytes.npos) die("a head came in pieces");
    if (!bytes.starts_with("HTTP/1.1 200")) {
      std::fwrite(bytes.data(), 1, end, stderr);
      die("not a 200");
    }
    c.body_left = content_length(bytes.substr(0, end + 2));
    take_body(c, bytes.size() - end - 4);
    return true;
  }

  void take_body(Connection& c, std::size_t n) {
    if (n > c.body_left) die("more than the body");
    c.body_left -= n;
    if (c.body_left == 0) on_answered(c);
  }

  void on_answered(Connection& c) {
    c.busy = false;
    ++answered_;
    switch (job_.mode) {
      case Mode::kClosed:
        return send(c, 0);
      case Mode::kTurns:
        waiting_.push_back(&c);
        return send_next();
      case Mode::kOpen:
        if (c.due_ns >= measure_ns_) latencies_.push_back(now_ns() - c.due_ns);
        return free_.push_back(&c);
      case Mode::kCount:
      case Mode::kUpload:
        if (next_target_ < job_.requests) send(c, 0);
        return;
      case Mode::kConnect:  // it is for the balancer to close
      case Mode::kIdle:
      case Mode::kBurst:
      case Mode::kStalled:
        return;
    }
  }

  void turn(std::int64_t wait_ns) {
    for (const epoll_event& event : epoll_.wait(wait_ns)) {
      Connection& c = *static_cast<Connection*>(event.data.ptr);
      if (c.connecting) {
        if ((event.events & (EPOLLERR | EPOLLHUP)) != 0) die("connection refused");
        on_connected(c);
        continue;
      }
      if ((event.events & EPOLLOUT) != 0) send_on(c);
      if ((event.events & ~EPOLLOUT) == 0 || read(c)) continue;
      if (job_.mode != Mode::kConnect || c.busy) die("the balancer closed a connection");
      ::close(c.fd);
      open(c);
    }
  }

  // ---- The modes ----
  void run_closed() {
    send_on_all();
    measure();
  }

  void run_turns() {
    for (Connection& c : connections_) waiting_.push_back(&c);
    for (std::size_t i = 0; i < job_.in_flight && !waiting_.empty(); ++i) send_next();
    measure();
  }

  void run_counted() {
    announce();
    send_on_all();
    while (answered_ < job_.requests) turn(-1);
    report(start_ns_, 0);
  }

  void run_open() {
    ::prctl(PR_SET_TIMERSLACK, 1);
    const double gap = static_cast<double>(kSecond) / job_.rate;
    const std::uint64_t end = measure_ns_ + duration_ns();
    std::deque<std::uint64_t> waiting;  // due, but no connection is free
    std::uint64_t scheduled = 0;
    std::uint64_t before = 0;
    std::uint64_t begin = 0;
    latencies_.reserve(static_cast<std::size_t>(job_.seconds * job_.rate * 2));
    for (std::uint64_t now = now_ns(); now < end; now = now_ns()) {
      if (begin == 0 && now >= measure_ns_) {
        before = announce();
        begin = now;
      }
      const auto due = [&] {
        return start_ns_ + static_cast<std::uint64_t>(static_cast<double>(scheduled) * gap);
      };
      for (; due() <= now; ++scheduled) waiting.push_back(due());
      while (!waiting.empty() && !free_.empty()) {
        send(*free_.back(), waiting.front());
        free_.pop_back();
        waiting.pop_front();
      }
      turn(std::max<std::int64_t>(0, static_cast<std::int64_t>(due() - now)));
    }
    report(begin, before);
  }

  void stay_idle() {
    for (Connection& c : connections_) {
      const std::uint64_t before = answered_;
      send(c, 0);
      while (answered_ == before) turn(-1);
    }
    stay_until_told();
  }

  void burst() {
    send_on_all();
    while (answered_ < connections_.size()) turn(-1);
    stay_until_told();
  }

  void stall() {
    send_on_all();
    stay_until_told();
  }

  // ---- What they are made of ----
  void send_on_all() {
    for (Connection& c : connections_) send(c, 0);
  }

  void send_next() {
    Connection& c = *waiting_.front();
    waiting_.pop_front();
    send(c, 0);
  }

  // What answers bring about goes on by itself: until it has warmed up, then for the time asked.
  void measure() {
    while (now_ns() < measure_ns_) turn(kSecond / 10);
    const std::uint64_t before = announce();
    const std::uint64_t begin = now_ns();
    const std::uint64_t end = begin + duration_ns();
    while (now_ns() < end) turn(kSecond / 10);
    report(begin, before);
  }

  std::uint64_t duration_ns() const {
    return static_cast<std::uint64_t>(job_.seconds * static_cast<double>(kSecond));
  }

  void stay_until_told() {
    announce();
    while (std::getchar() != EOF) continue;
  }

  std::uint64_t announce() {
    std::puts("measuring");
    std::fflush(stdout);
    return answered_;
  }

  void report(std::uint64_t begin_ns, std::uint64_t answered_before) {
    const double seconds = static_cast<double>(now_ns() - begin_ns) / static_cast<double>(kSecond);
    std::printf("{\"requests\": %" PRIu64 ", \"total\": %" PRIu64 ", \"seconds\": %.6f",
                answered_ - answered_before, answered_, seconds);
    std::sort(latencies_.begin(), latencies_.end());
    const auto quantile = [this](double q) {
      const double at = q * static_cast<double>(latencies_.size() - 1);
      return static_cast<double>(latencies_[static_cast<std::size_t>(at)]) / 1000;
    };
    if (!latencies_.empty()) {
      std::printf(", \"p50_us\": %.1f, \"p99_us\": %.1f, \"p99.9_us\": %.1f", quantile(0.5),
                  quantile(0.99), quantile(0.999));
    }
    std::puts("}");
  }

  const Job job_;
  Epoll epoll_;
  std::vector<Connection> connections_;
  std::vector<Connection*> free_;
  std::vector<std::string> requests_;
  std::vector<char> bulk_;
  std::vector<std::uint64_t> latencies_;
  std::deque<Connection*> waiting_;  // in turns mode: who is next
  std::size_t next_target_ = 0;
  std::size_t opening_ = 0;
  std::uint64_t answered_ = 0;
  std::uint64_t start_ns_ = 0;
  std::uint64_t measure_ns_ = 0;
};

Mode mode_of(std::string_view name) {
  if (name == "closed") return Mode::kClosed;
  if (name == "turns") return Mode::kTurns;
  if (name == "burst") return Mode::kBurst;
  if (name == "stalled") return Mode::kStalled;
  if (name == "open") return Mode::kOpen;
  if (name == "connect") return Mode::kConnect;
  if (name == "count") return Mode::kCount;
  if (name == "upload") return Mode::kUpload;
  if (name == "idle") return Mode::kIdle;
  die("mode");
}

// As the usage above has it.
Job job_of(int argc, char** argv) {
  Job job{.port = port_of(argv[1]),
          .mode = mode_of(argv[2]),
          .connections = std::strtoul(argv[3], nullptr, 10)};
  const auto number = [&](int i) { return i < argc ? std::strtod(argv[i], nullptr) : 0; };
  job.size = static_cast<std::size_t>(number(4));
  const bool counts_requests = job.mode == Mode::kCount || job.mode == Mode::kUpload;
  if (counts_requests) job.requests = static_cast<std::uint64_t>(number(5));
  if (!counts_requests) job.seconds = number(5);
  if (job.mode == Mode::kOpen) job.rate = number(6);
  if (job.mode == Mode::kTurns) job.in_flight = static_cast<std::size_t>(number(6));
  return job;
}

}  // namespace
}  // namespace ringmaster::bench

int main(int argc, char** argv) {
  using namespace ringmaster::bench;
  if (argc < 4) return 2;
  allow_many_files();
  Load(job_of(argc, argv)).run();
}
