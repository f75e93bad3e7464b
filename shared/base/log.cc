#include "shared/base/log.h"

#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

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

}  // namespace

void start(std::string_view who, Level threshold) {
  // Single-threaded sink: one thread a process logs, and no mutex can be held across a fork.
  auto sink = std::make_shared<spdlog::sinks::stderr_sink_st>();
  auto logger = std::make_shared<spdlog::logger>(std::string(who), std::move(sink));
  logger->set_pattern("%Y-%m-%dT%H:%M:%S.%e%z %l %n[%P]: %v");
  logger->set_level(to_spdlog(threshold));
  spdlog::set_default_logger(std::move(logger));
}

bool is_enabled(Level level) noexcept {
  return spdlog::default_logger_raw()->should_log(to_spdlog(level));
}

void write(Level level, std::string_view line) noexcept {
  spdlog::default_logger_raw()->log(to_spdlog(level), line);
}

}  // namespace ringmaster::log
