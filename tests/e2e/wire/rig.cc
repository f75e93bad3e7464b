#include "tests/e2e/wire/rig.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <system_error>

#include "shared/base/socket_address.h"
#include "tests/support/backend.h"

namespace ringmaster::test {
namespace {

constexpr std::size_t kBatch = 128;
constexpr milliseconds kNoProgress = seconds(15);
// Turns of the balancer's loop that a first part gets before the second follows.
constexpr int kRoundsToAccept = 3;
constexpr int kEndFollowsMs = 1000;

void send_all(int fd, std::string_view bytes) {
  // Rows are short, sockets' buffers are not; a peer that is gone shows when we read.
  if (!bytes.empty()) ::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
}

enum class ReadEnd { kNot, kOrderly, kReset };

// Whatever is there.
ReadEnd receive(int fd, std::string& into) {
  char buffer[65536];
  for (;;) {
    const ssize_t n = ::recv(fd, buffer, sizeof buffer, MSG_DONTWAIT);
    if (n > 0) {
      into.append(buffer, static_cast<std::size_t>(n));
    } else if (n == 0) {
      return ReadEnd::kOrderly;
    } else if (errno == EAGAIN) {
      return ReadEnd::kNot;
    } else if (errno != EINTR) {
      return ReadEnd::kReset;
    }
  }
}

UniqueFd connect_from(const std::string& ip, const Endpoint& server) {
  UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const int on = 1;
  ::setsockopt(fd.get(), IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
  ::setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  const auto from = SocketAddress::parse(ip + ":0");
  const auto to = SocketAddress::parse(server.to_string());
  if (::bind(fd.get(), from->get(), from->size()) != 0 ||
      ::connect(fd.get(), to->get(), to->size()) != 0) {
    throw std::system_error(errno, std::generic_category(), "connect");
  }
  return fd;
}

// Where to cut: everywhere; of long messages, everywhere in the beginning and around what
// structures the rest.
std::vector<std::size_t> cuts_of(std::string_view bytes) {
  constexpr std::size_t kEverywhere = 260;
  constexpr std::size_t kAround = 2;
  std::set<std::size_t> cuts;
  for (std::size_t i = 1; i < std::min(bytes.size(), kEverywhere); ++i) cuts.insert(i);
  for (std::size_t i = kEverywhere; i < bytes.size(); ++i) {
    const bool structure = bytes[i] == '\n' || bytes[i] == ':' || i + 1 == bytes.size();
    if (!structure && i % 1021 != 0) continue;
    for (std::size_t at = i - kAround; at <= i + kAround && at < bytes.size(); ++at)
      cuts.insert(at);
  }
  return {cuts.begin(), cuts.end()};
}

// Does the first final answer begin a tunnel? Rows write line ends as one byte.
bool switches(std::string_view said) {
  constexpr std::string_view kInterim = "HTTP/1.1 1";
  while (said.starts_with(kInterim) && !said.starts_with("HTTP/1.1 101 ")) {
    const std::size_t end = said.find("\n\n");
    if (end == std::string_view::npos) return false;
    said.remove_prefix(end + 2);
  }
  return said.starts_with(kInterim);
}

}  // namespace

struct Rig::Run {
  const Row* row;
  std::size_t cut_request = 0;   // 0: whole
  std::size_t cut_response = 0;  // likewise
  std::string ip;
  std::string in;
  std::vector<std::string> upstream;  // as expected
  std::string out;                    // likewise
  UniqueFd fd;
  std::size_t later = 0;  // of row->later: sent
  bool sent_first = false;
  std::string received;
  ReadEnd end = ReadEnd::kNot;
  std::vector<std::string> seen;  // by the backend
  bool upstream_ended = false;    // the connection of the last of them, by the balancer
};

struct Rig::Upstream {
  UniqueFd fd;
  std::string unread;
  Run* run = nullptr;   // whose request is before us,
  Run* last = nullptr;  // or was the last
  std::size_t request = 0;
  std::size_t step = 0;
  bool waits = false;  // for a deferred step
  bool ended = false;
};

Rig::Rig(const std::string& server, const std::string& more, const std::string& ping_prefix)
    : listener_(listen_at({own_loopback(), 0})),
      backend_(local_endpoint(listener_.get()).to_string()),
      epoll_(::epoll_create1(EPOLL_CLOEXEC)) {
  ringmaster_ = std::make_unique<Ringmaster>(
      "[server]\nworkers = 1\n" + server + "\n[health]\npath = \"\"\n" + more +
      // A batch leaves more connections idle than are kept by default, and each is looked at.
      "[upstream]\nmax_idle = 10000\n" + backend_table("b", local_endpoint(listener_.get())));
  ::fcntl(listener_.get(), F_SETFL, O_NONBLOCK);
  handlers_[next_key_] = [this] { accept_upstreams(); };
  watch(listener_.get(), next_key_++);
  ping_ = connect_from("127.99.0.1", ringmaster_->endpoint());
  handlers_[next_key_] = [this] {
    if (receive(ping_.get(), pongs_) != ReadEnd::kNot) throw std::runtime_error("no pong");
  };
  watch(ping_.get(), next_key_++);
  send_all(ping_.get(), ping_prefix);
}

Rig::~Rig() = default;

void Rig::watch(int fd, std::uint64_t key) {
  epoll_event event{};
  event.events = EPOLLIN | EPOLLRDHUP;
  event.data.u64 = key;
  ::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event);
}

void Rig::run(const Rows& rows) {
  failed_.clear();
  auto all = plan(rows);
  // A request that breaks off may end a connection that another has left idle, which would be
  // blamed.
  const auto breaks_off = [](const auto& run) { return run->row->breaks_off; };
  std::stable_partition(all.begin(), all.end(), breaks_off);
  for (std::size_t i = 0; i < all.size();) {
    std::vector<std::unique_ptr<Run>> batch;
    const bool those = breaks_off(all[i]);
    while (i < all.size() && batch.size() < kBatch && breaks_off(all[i]) == those) {
      batch.push_back(std::move(all[i++]));
    }
    run_batch(batch);
    if (failed_.size() >= 25) return;  // something is wrong with all of them
  }
}

std::vector<std::unique_ptr<Rig::Run>> Rig::plan(const Rows& rows) {
  std::vector<std::unique_ptr<Run>> all;
  for (const Row& row : rows) {
    const auto add = [&](std::size_t cut_request, std::size_t cut_response) {
      auto run = std::make_unique<Run>();
      run->row = &row;
      run->cut_request = cut_request;
      run->cut_response = cut_response;
      const std::uint32_t n = ++next_ip_;
      run->ip = "127." + std::to_string(100 + (n >> 16)) + "." + std::to_string(n >> 8 & 255) +
                "." + std::to_string(n & 255);
      run->in = expand(row.in, "", run->ip, backend_);
      run->out = expand(row.out, added_to_answer(), "", backend_);
      for (const auto& text : row.upstream) {
        run->upstream.push_back(expand(text, added_for("h"), "", backend_));
      }
      all.push_back(std::move(run));
    };
    add(0, 0);
    const std::string in = expand(row.in, "", "127.100.0.0", backend_);
    if (row.cut_request) {
      for (const std::size_t cut : cuts_of(in)) add(cut, 0);
    }
    if (row.cut_response) {
      const std::string said = expand(row.said.at(0).at(0).bytes, "", "127.100.0.0", backend_);
      for (const std::size_t cut : cuts_of(said)) add(0, cut);
    }
  }
  return all;
}

void Rig::run_batch(std::vector<std::unique_ptr<Run>>& batch) {
  runs_.clear();
  for (auto& run : batch) start(*run);
  Stopwatch quiet;
  // Round by round: what was cut goes on once the balancer has had its turn.
  for (int round = 0; !settle(batch); ++round) {
    progress_ = false;
    ping();
    if (round >= kRoundsToAccept) flush_deferred();
    if (progress_) {
      quiet = Stopwatch();
    } else {
      pump(/*timeout_ms=*/2);
    }
    if (quiet.elapsed() > kNoProgress) break;
  }
  // Nothing may follow.
  ping();
  ping();
  for (auto& run : batch) {
    const std::string fault = fault_of(*run);
    if (!fault.empty()) report(*run, fault);
  }
  expect_no_strays();
  deferred_.clear();
  for (auto& upstream : upstreams_) {
    if (upstream.run != nullptr) {  // a tunnel, or a request that broke off
      leave(upstream, Say::Then::kEnd);
      upstream.unread.clear();  // its end may come when this batch is long forgotten
    }
    upstream.run = upstream.last = nullptr;
  }
  for (auto& run : batch) run->fd.reset();
  std::erase_if(upstreams_, [](const Upstream& upstream) { return upstream.ended; });
  ping();
}

void Rig::start(Run& run) {
  runs_[claimed_ip_.empty() ? run.ip : claimed_ip_] = &run;
  run.fd = connect_from(run.ip, ringmaster_->endpoint());
  const std::uint64_t key = next_key_++;
  handlers_[key] = [this, &run] { on_client(run); };
  watch(run.fd.get(), key);
  const std::string_view bytes = run.in;
  send_all(run.fd.get(), bytes.substr(0, run.cut_request == 0 ? bytes.npos : run.cut_request));
  const auto rest = [this, &run] {
    if (run.cut_request != 0)
      send_all(run.fd.get(), std::string_view(run.in).substr(run.cut_request));
    run.sent_first = true;
    if (run.row->half_close && run.row->later.empty()) ::shutdown(run.fd.get(), SHUT_WR);
    continue_client(run);
  };
  run.cut_request == 0 ? rest() : deferred_.push_back(rest);
}

void Rig::on_client(Run& run) {
  if (!run.fd.is_open() || run.end != ReadEnd::kNot) return;
  run.end = receive(run.fd.get(), run.received);
  // Its end follows upon an answer that says so: what is sent in between would meet a reset.
  const bool ends = run.row->client == Left::kClosed &&
                    run.received.find("Connection: close\r\n") != std::string::npos &&
                    extent_of_response(run.received, false).complete;
  pollfd more{run.fd.get(), POLLIN, 0};
  while (ends && run.end == ReadEnd::kNot && ::poll(&more, 1, kEndFollowsMs) > 0) {
    run.end = receive(run.fd.get(), run.received);
  }
  progress_ = true;
  if (run.end != ReadEnd::kNot) ::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, run.fd.get(), nullptr);
  continue_client(run);
}

void Rig::continue_client(Run& run) {
  const auto& later = run.row->later;
  while (run.sent_first && run.later < later.size()) {
    const Send& next = later[run.later];
    if (run.received.find(expand(next.after, "", "", backend_)) == std::string::npos) return;
    send_all(run.fd.get(), expand(next.bytes, "", run.ip, backend_));
    if (++run.later == later.size() && run.row->half_close) ::shutdown(run.fd.get(), SHUT_WR);
  }
}

bool Rig::settle(std::vector<std::unique_ptr<Run>>& batch) {
  return std::all_of(batch.begin(), batch.end(), [this](auto& run) { return is_settled(*run); });
}

bool Rig::is_settled(Run& run) {
  if (run.row->client == Left::kBroken && run.end == ReadEnd::kNot) {
    return !run.out.empty() && normalised(run.received, run.ip) == run.out;
  }
  if (run.end != ReadEnd::kNot) return run.row->backend != Left::kClosed || run.upstream_ended;
  const bool may_stay = run.row->client == Left::kOpen || run.row->client == Left::kAny;
  return may_stay && fault_of(run).empty();
}

// Empty if all is as the row says.
std::string Rig::fault_of(Run& run) {
  const Row& row = *run.row;
  const std::string got = normalised(run.received, run.ip);
  const bool broken_off = row.client == Left::kBroken && run.end != ReadEnd::kNot &&
                          !extent_of_response(run.received, run.end == ReadEnd::kOrderly).complete;
  if (!broken_off && got != run.out) {
    return "the client got\n" + ::testing::PrintToString(got) + "\nnot\n" +
           ::testing::PrintToString(run.out);
  }
  if (row.client == Left::kBroken && run.out.empty() && run.end == ReadEnd::kNot) {
    return "the connection stayed open";
  }
  if (row.client == Left::kOpen && run.end != ReadEnd::kNot) return "the connection was closed";
  if (row.client == Left::kClosed && run.end != ReadEnd::kOrderly) {
    return run.end == ReadEnd::kReset ? "the connection was reset" : "the connection stayed open";
  }
  for (std::size_t i = 0; row.breaks_off && i < run.seen.size(); ++i) {
    if (extent_of_request(run.seen[i]).complete) return "the backend got a whole request";
  }
  for (std::size_t i = 0; !row.breaks_off && i < std::max(run.seen.size(), run.upstream.size());
       ++i) {
    const std::string seen = i < run.seen.size() ? normalised(run.seen[i], run.ip) : "nothing";
    const std::string wanted = i < run.upstream.size() ? run.upstream[i] : "nothing";
    if (seen != wanted) {
      return "the backend got\n" + ::testing::PrintToString(seen) + "\nnot\n" +
             ::testing::PrintToString(wanted);
    }
  }
  if (row.backend == Left::kClosed && !run.upstream_ended) return "the backend's stayed open";
  if (row.backend == Left::kOpen && run.upstream_ended) return "the backend's was closed";
  return "";
}

void Rig::report(const Run& run, const std::string& fault) {
  if (!failed_.insert(run.row).second) return;  // once is enough
  std::string how = "whole";
  if (run.cut_request != 0) how = "cut at " + std::to_string(run.cut_request);
  if (run.cut_response != 0) how = "its answer cut at " + std::to_string(run.cut_response);
  ADD_FAILURE() << run.row->name << " (RFC " << run.row->rfc << "), " << how << ": " << fault;
}

// One turn of the worker's loop at least: what had been sent before was read by then.
void Rig::ping() {
  constexpr std::string_view kPing = "OPTIONS * HTTP/1.1\r\nHost: ping\r\nMax-Forwards: 0\r\n\r\n";
  pongs_.clear();
  send_all(ping_.get(), kPing);
  const Stopwatch waiting;
  while (pongs_.find("\r\n\r\n") == std::string::npos) {
    if (waiting.elapsed() > kPatience) throw std::runtime_error("the balancer does not answer");
    pump(/*timeout_ms=*/100);
  }
}

void Rig::pump(int timeout_ms) {
  epoll_event events[256];
  const int count = ::epoll_wait(epoll_.get(), events, 256, timeout_ms);
  for (int i = 0; i < count; ++i) {
    const auto handler = handlers_.find(events[i].data.u64);
    if (handler != handlers_.end()) handler->second();
  }
}

void Rig::flush_deferred() {
  std::deque<std::function<void()>> now;
  now.swap(deferred_);
  for (auto& action : now) action();
  progress_ |= !now.empty();
}

// ---- The backend ----

void Rig::accept_upstreams() {
  for (;;) {
    UniqueFd fd(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (!fd.is_open()) return;
    const int on = 1;
    ::setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    Upstream& upstream = upstreams_.emplace_back();
    upstream.fd = std::move(fd);
    const std::uint64_t key = next_key_++;
    const auto at = std::prev(upstreams_.end());
    handlers_[key] = [this, at] { on_upstream(*at); };
    watch(upstream.fd.get(), key);
  }
}

void Rig::on_upstream(Upstream& upstream) {
  if (upstream.ended) return;
  const bool ended = receive(upstream.fd.get(), upstream.unread) != ReadEnd::kNot;
  serve(upstream);
  if (!ended || upstream.ended) return;
  upstream.ended = true;
  Run* run = upstream.run != nullptr ? upstream.run : upstream.last;
  progress_ |= run != nullptr;
  if (run != nullptr) run->upstream_ended = true;
  serve(upstream);
  upstream.fd.reset();
}

void Rig::serve(Upstream& upstream) {
  while (!upstream.waits) {
    if (upstream.run == nullptr && !find_run(upstream)) return;
    Run& run = *upstream.run;
    const Extent extent = extent_of_request(upstream.unread);
    if (extent.broken) strays_ += "broken: " + upstream.unread;
    const bool tunnel = upstream.step > 0 && run.row->said.size() > upstream.request &&
                        switches(run.row->said[upstream.request][0].bytes);
    const std::size_t size = extent.complete && !tunnel ? extent.size : upstream.unread.size();
    run.seen[upstream.request] = upstream.unread.substr(0, size);
    const std::size_t before = upstream.step;
    take_steps(upstream, extent);
    if (upstream.run == nullptr) {
      upstream.unread.erase(0, size);
    } else if (upstream.step == before) {
      return;
    }
  }
}

// Whose request begins there: known once its head is complete.
bool Rig::find_run(Upstream& upstream) {
  if (!extent_of_request(upstream.unread).head_complete) return false;
  const std::string head = upstream.unread.substr(0, upstream.unread.find("\r\n\r\n") + 2);
  constexpr std::string_view kMark = "\r\nX-Forwarded-For: ";
  const std::size_t at = head.find(kMark);
  std::string ip = at == std::string::npos ? "" : head.substr(at + kMark.size());
  ip = ip.substr(0, ip.find("\r\n"));
  if (const std::size_t comma = ip.rfind(", "); comma != std::string::npos) {
    ip = ip.substr(comma + 2);
  }
  const auto run = runs_.find(ip);
  if (run == runs_.end()) {
    strays_ += "from nobody: " + upstream.unread;
    leave(upstream, Say::Then::kReset);
    return false;
  }
  upstream.run = upstream.last = run->second;
  progress_ = true;
  upstream.request = upstream.run->seen.size();
  upstream.step = 0;
  upstream.run->seen.emplace_back();
  upstream.run->upstream_ended = false;
  return true;
}

// Says what can be said by now. The last step done and the request read: the next may come.
void Rig::take_steps(Upstream& upstream, const Extent& extent) {
  static const std::vector<Say> kDefault = {{.bytes = kOk}};
  const auto& said = upstream.run->row->said;
  const auto& steps = upstream.request < said.size() ? said[upstream.request] : kDefault;
  if (upstream.step < steps.size()) {
    const Say& step = steps[upstream.step];
    const std::size_t head = upstream.unread.find("\r\n\r\n");
    const bool its_turn = step.when == Say::When::kHead || step.when == Say::When::kNow ||
                          (step.when == Say::When::kWhole && extent.complete) ||
                          (step.when == Say::When::kEnd && upstream.ended) ||
                          (step.when == Say::When::kTunnel && head != std::string::npos &&
                           upstream.unread.find(step.awaited, head + 4) != std::string::npos);
    if (!its_turn) return;
    ++upstream.step;
    if (step.when == Say::When::kNow) {
      upstream.waits = true;
      deferred_.push_back([this, &upstream, &step] {
        upstream.waits = false;
        if (upstream.run == nullptr || upstream.ended) return;
        say(upstream, step);
        serve(upstream);
      });
      return;
    }
    say(upstream, step);
  }
  if (upstream.step == steps.size() && extent.complete && !upstream.waits &&
      !switches(steps.front().bytes)) {
    upstream.run = nullptr;
  }
}

void Rig::say(Upstream& upstream, const Say& step) {
  const Run& run = *upstream.run;
  const std::string bytes = expand(step.bytes, "", run.ip, backend_);
  const std::size_t cut = upstream.request == 0 && upstream.step == 1 ? run.cut_response : 0;
  send_all(upstream.fd.get(), std::string_view(bytes).substr(0, cut == 0 ? bytes.npos : cut));
  if (cut == 0) return leave(upstream, step.then);
  upstream.waits = true;
  deferred_.push_back([this, &upstream, rest = bytes.substr(cut), then = step.then] {
    upstream.waits = false;
    if (upstream.ended) return;
    send_all(upstream.fd.get(), rest);
    leave(upstream, then);
    serve(upstream);
  });
}

void Rig::leave(Upstream& upstream, Say::Then how) {
  if (how == Say::Then::kNothing || upstream.ended) return;
  if (how == Say::Then::kReset) {
    const linger at_once{.l_onoff = 1, .l_linger = 0};
    ::setsockopt(upstream.fd.get(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    upstream.fd.reset();
    upstream.ended = true;
    if (upstream.run != nullptr) upstream.run->upstream_ended = true;
  } else {
    ::shutdown(upstream.fd.get(), SHUT_WR);
  }
}

void Rig::expect_no_strays() {
  if (!strays_.empty()) ADD_FAILURE() << "at the backend, " << ::testing::PrintToString(strays_);
  strays_.clear();
}

}  // namespace ringmaster::test
