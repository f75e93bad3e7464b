#include "worker/io/access_log.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <csignal>
#include <cstring>
#include <utility>

#include "shared/base/clock.h"
#include "shared/base/log.h"

namespace ringmaster {
namespace {

constexpr std::uint64_t kTellAgainMs = 60'000;
constexpr int kNapMs = 10;       // gathers lines: one write and no wake-up for all of them
constexpr int kTroubleMs = 200;  // before a file that failed is tried again
constexpr std::uint64_t kFinishMs = 1'000;

void pause(int ms) noexcept {
  ::poll(nullptr, 0, ms);
}

}  // namespace

AccessLog::AccessLog(std::string destination, Counter& dropped)
    : destination_(std::move(destination)),
      bytes_(std::make_unique_for_overwrite<char[]>(kRoom)),
      dropped_(dropped) {
  // Signals are the loop's: the thread is born with all of them blocked.
  sigset_t all, before;
  sigfillset(&all);
  ::pthread_sigmask(SIG_BLOCK, &all, &before);
  thread_ = std::thread([this] { run(); });
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

void AccessLog::write(std::string_view lines) noexcept {
  const std::uint64_t head = head_.load(std::memory_order_relaxed);  // our own
  // acquire: pairs with the release in run(); what is overwritten below was read.
  const std::uint64_t used = head - tail_.load(std::memory_order_acquire);
  if (lines.size() > kRoom - used) {
    return dropped_.add(static_cast<std::uint64_t>(std::count(lines.begin(), lines.end(), '\n')));
  }
  const std::size_t at = head % kRoom;
  const std::size_t first = std::min(lines.size(), kRoom - at);
  std::memcpy(&bytes_[at], lines.data(), first);
  std::memcpy(&bytes_[0], lines.data() + first, lines.size() - first);
  // seq_cst, both here and in sleep_until_woken(): either the thread sees the new head, or we see
  // that it sleeps. The store releases the bytes too, for the acquire in run().
  head_.store(head + lines.size(), std::memory_order_seq_cst);
  if (sleeps_.load(std::memory_order_seq_cst) != 0) wake();
}

// seq_cst, as all of sleeps_ where the order counts: a thread that goes to sleep after this has
// seen what it was woken for.
void AccessLog::wake() noexcept {
  sleeps_.store(0, std::memory_order_seq_cst);
  sleeps_.notify_one();
}

void AccessLog::on_beat() {
  const std::uint64_t lost = lost_lines_.exchange(0, std::memory_order_relaxed);
  if (lost != 0) dropped_.add(lost);
  untold_lines_ += lost;
  const int error = error_.load(std::memory_order_relaxed);
  const std::uint64_t now = monotonic_ms();
  const bool has_grown_old = untold_lines_ != 0 && now - told_at_ms_ >= kTellAgainMs;
  if (error == told_error_ && (error == 0 || !has_grown_old)) return;
  told_error_ = error;
  told_at_ms_ = now;
  untold_lines_ = 0;
  if (error == 0) return log::info("access log {}: written again", destination_);
  log::warning(
      "access log {}: {}; requests are still served, log lines are dropped and counted "
      "(ringmaster_access_log_dropped_total); retrying",
      destination_, std::strerror(error));
}

void AccessLog::finish() {
  if (!thread_.joinable()) return;
  finishing_.store(true, std::memory_order_seq_cst);
  wake();
  const std::uint64_t deadline = monotonic_ms() + kFinishMs;
  while (!finished_.load(std::memory_order_acquire) && monotonic_ms() < deadline) pause(1);
  if (!finished_.load(std::memory_order_acquire)) {
    const std::uint64_t tail = tail_.load(std::memory_order_acquire);
    for (std::uint64_t at = tail; at != head_.load(std::memory_order_relaxed); ++at) {
      if (bytes_[at % kRoom] == '\n') dropped_.add();
    }
    thread_.detach();  // it ends with the process
    return;
  }
  thread_.join();
  dropped_.add(lost_lines_.exchange(0, std::memory_order_relaxed));
}

// Before there is anything to write: whoever set it up wrongly learns of it now. But a pipe would
// keep us, and a stop wait for us, until somebody reads.
void AccessLog::open_early() noexcept {
  struct stat status;
  const bool is_pipe = ::stat(destination_.c_str(), &status) == 0 && S_ISFIFO(status.st_mode);
  if (!is_pipe && !open()) error_.store(errno, std::memory_order_relaxed);
}

void AccessLog::run() noexcept {
  open_early();
  for (;;) {
    const std::uint64_t tail = tail_.load(std::memory_order_relaxed);  // our own
    // acquire: pairs with the store in write(); all bytes below it are there.
    const std::uint64_t head = head_.load(std::memory_order_acquire);
    if (head == tail) {
      if (finishing_.load(std::memory_order_acquire)) break;
      sleep_until_woken();
      continue;
    }
    const std::uint64_t end = end_of_batch(tail, head);
    write_out(tail, end);
    // release: pairs with the acquire in write(); the bytes are ours no more.
    tail_.store(end, std::memory_order_release);
    if (end == head && !finishing_.load(std::memory_order_relaxed)) pause(kNapMs);
  }
  finished_.store(true, std::memory_order_release);
}

void AccessLog::sleep_until_woken() noexcept {
  sleeps_.store(1, std::memory_order_seq_cst);
  const bool has_work =
      head_.load(std::memory_order_seq_cst) != tail_.load(std::memory_order_relaxed) ||
      finishing_.load(std::memory_order_seq_cst);
  if (!has_work) sleeps_.wait(1, std::memory_order_relaxed);
  sleeps_.store(0, std::memory_order_relaxed);
}

// Where a write may end: behind a line, so that those of other workers do not come between.
std::uint64_t AccessLog::end_of_batch(std::uint64_t from, std::uint64_t to) const noexcept {
  const std::uint64_t most = is_regular_ ? kMostAtOnce : PIPE_BUF;
  if (to - from <= most) return to;
  std::uint64_t end = from + most;
  while (end > from && bytes_[(end - 1) % kRoom] != '\n') --end;
  if (end > from) return end;
  for (end = from + most; bytes_[(end - 1) % kRoom] != '\n'; ++end) {
  }
  return end;
}

// False: error_ says why. A pipe without a reader keeps us here until one comes.
bool AccessLog::open() noexcept {
  if (file_.is_open()) return true;
  const bool is_stderr = destination_ == "stderr";
  file_ = UniqueFd(is_stderr ? ::fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3)
                             : ::open(destination_.c_str(),
                                      O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY, 0640));
  if (!file_.is_open()) return false;
  struct stat status;
  is_regular_ = ::fstat(file_.get(), &status) == 0 && S_ISREG(status.st_mode);
  if (is_regular_) end_torn_line(status.st_size);
  return true;
}

// Where a disk was full, or a worker died, the last line may have no end: the next one would go on
// in it, and both be lost to whoever reads.
void AccessLog::end_torn_line(off_t size) const noexcept {
  const UniqueFd reader(::open(destination_.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY));
  char last = '\n';
  if (size == 0 || ::pread(reader.get(), &last, 1, size - 1) != 1 || last == '\n') return;
  [[maybe_unused]] const ssize_t written = ::write(file_.get(), "\n", 1);
}

void AccessLog::write_out(std::uint64_t from, std::uint64_t to) noexcept {
  while (from != to) {
    if (!open()) return lose(from, to, errno);
    const std::size_t at = from % kRoom;
    const std::size_t size = to - from;
    const std::size_t first = std::min(size, kRoom - at);
    const iovec pieces[] = {{&bytes_[at], first}, {&bytes_[0], size - first}};
    const ssize_t n = ::writev(file_.get(), pieces, first == size ? 1 : 2);
    if (n > 0) {
      from += static_cast<std::uint64_t>(n);
      error_.store(0, std::memory_order_relaxed);
      continue;
    }
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && errno == EAGAIN && await_writable()) continue;
    const int error = n < 0 ? errno : EIO;
    file_.reset();  // the next batch opens it anew: the other end of a pipe may have come back
    return lose(from, to, error);
  }
}

// Somebody has made our end, or stderr, non-blocking.
bool AccessLog::await_writable() noexcept {
  pollfd look{file_.get(), POLLOUT, 0};
  return ::poll(&look, 1, -1) > 0 && (look.revents & POLLOUT) != 0;
}

void AccessLog::lose(std::uint64_t from, std::uint64_t to, int error) noexcept {
  std::uint64_t lines = 0;
  for (; from != to; ++from) lines += bytes_[from % kRoom] == '\n' ? 1 : 0;
  lost_lines_.fetch_add(lines, std::memory_order_relaxed);
  error_.store(error, std::memory_order_relaxed);
  if (!finishing_.load(std::memory_order_relaxed)) pause(kTroubleMs);
}

}  // namespace ringmaster
