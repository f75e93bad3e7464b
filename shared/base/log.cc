#include "shared/base/log.h"

#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <iterator>
#include <memory>

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

// systemd.exec(5), JOURNAL_STREAM: device and inode of the stream, so that one who redirected
// stderr elsewhere is not taken in by a variable that he inherited.
bool is_journal(int fd) {
  const char* stream = std::getenv("JOURNAL_STREAM");
  struct stat status;
  if (stream == nullptr || ::fstat(fd, &status) != 0) return false;
  return fmt::format("{}:{}", status.st_dev, status.st_ino) == stream;
}

bool is_control(char c) noexcept {
  return static_cast<unsigned char>(c) < 0x20 || c == 0x7f;
}

// What others say is quoted in some lines; it must not begin a line of its own.
std::string escaped(std::string_view line) {
  std::string text;
  for (const char c : line) {
    if (is_control(c)) {
      fmt::format_to(std::back_inserter(text), "\\x{:02x}", static_cast<unsigned char>(c));
    } else {
      text += c;
    }
  }
  return text;
}

}  // namespace

void start(std::string_view who, Level threshold) {
  // Single-threaded sink: one thread a process logs, and no mutex can be held across a fork.
  auto sink = std::make_shared<spdlog::sinks::stderr_sink_st>();
  auto logger = std::make_shared<spdlog::logger>(std::string(who), std::move(sink));
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

bool is_enabled(Level level) noexcept {
  return spdlog::default_logger_raw()->should_log(to_spdlog(level));
}

void write(Level level, std::string_view line) noexcept {
  const bool is_clean = std::none_of(line.begin(), line.end(), is_control);
  if (is_clean) return spdlog::default_logger_raw()->log(to_spdlog(level), line);
  spdlog::default_logger_raw()->log(to_spdlog(level), escaped(line));
}

}  // namespace ringmaster::log
