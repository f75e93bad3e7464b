#include "shared/base/log.h"

#include <fcntl.h>
#include <poll.h>
#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/base_sink.h>
#include <spdlog/spdlog.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstdlib>
#include <memory>
#include <string>
#include <utility>

#include "shared/base/text.h"
#include "shared/base/unique_fd.h"

namespace ringmaster::log {
namespace {

spdlog::level::level_enum to_spdlog(Level level) noexcept {
  switch (level) {
    case Level::kDebug:
      return spdlog::level::debug;
    case Level::kInfo:
      return spdlog::level::info;
    case Level::kWarning:
      return spdlog::level::warn;
    case Level::kError:
      break;
  }
  return spdlog::level::err;
}

// "<4>": what the journal reads off the beginning of a line as its priority (sd-daemon(3)).
class Priority final : public spdlog::custom_flag_formatter {
 public:
  void format(const spdlog::details::log_msg& message, const std::tm&,
              spdlog::memory_buf_t& out) override {
    const auto priority = [&]() -> std::string_view {
      switch (message.level) {
        case spdlog::level::trace:
        case spdlog::level::debug:
          return "<7>";
        case spdlog::level::info:
          return "<6>";
        case spdlog::level::warn:
          return "<4>";
        default:
          return "<3>";
      }
    }();
    out.append(priority.data(), priority.data() + priority.size());
  }
  std::unique_ptr<custom_flag_formatter> clone() const override {
    return std::make_unique<Priority>();
  }
};

// systemd.exec(5), JOURNAL_STREAM: device and inode of the stream, so that a process whose
// stderr was redirected elsewhere is not taken in by a variable that it inherited.
bool is_journal(int fd) {
  const char* stream = std::getenv("JOURNAL_STREAM");
  struct stat status;
  if (stream == nullptr || ::fstat(fd, &status) != 0) return false;
  return fmt::format("{}:{}", status.st_dev, status.st_ino) == stream;
}

// A pipe or terminal opened anew: whether a write waits is a property of the open file, and that of
// our stderr is others' as well. Files never wait; sockets and what is another user's cannot be
// had.
UniqueFd open_stderr_anew() {
  struct stat status;
  if (::fstat(STDERR_FILENO, &status) != 0 || S_ISREG(status.st_mode)) return {};
  return UniqueFd(::open("/proc/self/fd/2", O_WRONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY));
}

// stderr, but never waited for: a pipe that nobody reads costs lines, which are counted, and not
// the service. Without threads, so that no mutex can be held across a fork.
class StderrSink final : public spdlog::sinks::base_sink<spdlog::details::null_mutex> {
 public:
  int descriptor() const noexcept { return own_.get(); }

 private:
  void sink_it_(const spdlog::details::log_msg& message) override {
    spdlog::memory_buf_t line;
    formatter_->format(message, line);
    if (lost_ != 0) {
      const std::string note = fmt::format("({} lines were lost here: nobody read them)\n", lost_);
      if (!put({note.data(), note.size()})) return void(++lost_);
      lost_ = 0;
    }
    if (!put({line.data(), line.size()})) ++lost_;
  }
  void flush_() override {}

  // False: not all of it went out.
  bool put(std::string_view bytes) noexcept {
    while (!bytes.empty()) {
      const ssize_t n = put_some(bytes.substr(0, PIPE_BUF));
      if (n < 0 && errno == EINTR) continue;
      if (n <= 0) return false;
      bytes.remove_prefix(static_cast<std::size_t>(n));
    }
    return true;
  }
  ssize_t put_some(std::string_view bytes) noexcept {
    if (own_.is_open()) return ::write(own_.get(), bytes.data(), bytes.size());
    const ssize_t sent =
        ::send(STDERR_FILENO, bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent >= 0 || errno != ENOTSOCK) return sent;
    pollfd look{STDERR_FILENO, POLLOUT, 0};
    return ::poll(&look, 1, 0) > 0 ? ::write(STDERR_FILENO, bytes.data(), bytes.size()) : -1;
  }

  const UniqueFd own_ = open_stderr_anew();
  std::uint64_t lost_ = 0;
};

// One a process, and the same for its children.
const std::shared_ptr<StderrSink>& sink() {
  static const auto the_sink = std::make_shared<StderrSink>();
  return the_sink;
}

}  // namespace

void start(std::string_view who, Level threshold) {
  auto logger = std::make_shared<spdlog::logger>(std::string(who), sink());
  auto formatter = std::make_unique<spdlog::pattern_formatter>();
  if (is_journal(STDERR_FILENO)) {
    // Time and process are in the journal's own fields.
    formatter->add_flag<Priority>('*').set_pattern("%*%n: %v");
  } else {
    formatter->set_pattern("%Y-%m-%dT%H:%M:%S.%e%z %l %n[%P]: %v");
  }
  logger->set_formatter(std::move(formatter));
  logger->set_level(to_spdlog(threshold));
  spdlog::set_default_logger(std::move(logger));
}

int descriptor() noexcept {
  return sink()->descriptor();
}

bool is_enabled(Level level) noexcept {
  return spdlog::default_logger_raw()->should_log(to_spdlog(level));
}

void write(Level level, std::string_view line) noexcept {
  const bool is_clean = std::none_of(line.begin(), line.end(), is_control);
  if (is_clean) return spdlog::default_logger_raw()->log(to_spdlog(level), line);
  spdlog::default_logger_raw()->log(to_spdlog(level), printable(line));
}

}  // namespace ringmaster::log
