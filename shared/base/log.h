// The log of master and workers: one line an event on stderr (the journal), through spdlog. Nothing
// on the request path logs, and what others can cause at will goes through a LineLimit.
#pragma once

#include <spdlog/fmt/fmt.h>

#include <string_view>
#include <utility>

namespace ringmaster::log {

enum class Level { kDebug, kInfo, kWarning, kError };

// Sets up this process's logger. `who` is "master" or "worker 3".
void start(std::string_view who, Level threshold);
// What a child that closes all others must leave open; -1: none but stderr itself.
int descriptor() noexcept;
bool is_enabled(Level level) noexcept;
void write(Level level, std::string_view line) noexcept;  // control characters are escaped

template <class... Args>
void debug(fmt::format_string<Args...> format, Args&&... args) {
  if (is_enabled(Level::kDebug)) {
    write(Level::kDebug, fmt::format(format, std::forward<Args>(args)...));
  }
}
template <class... Args>
void info(fmt::format_string<Args...> format, Args&&... args) {
  if (is_enabled(Level::kInfo))
    write(Level::kInfo, fmt::format(format, std::forward<Args>(args)...));
}
template <class... Args>
void warning(fmt::format_string<Args...> format, Args&&... args) {
  write(Level::kWarning, fmt::format(format, std::forward<Args>(args)...));
}
template <class... Args>
void error(fmt::format_string<Args...> format, Args&&... args) {
  write(Level::kError, fmt::format(format, std::forward<Args>(args)...));
}

}  // namespace ringmaster::log
