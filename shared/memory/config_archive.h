// The text of the last config that came into force: what the service goes back to when it is
// restarted after a crash, or re-executed, and finds a config that it cannot use. Writer: the
// master. Reader: the master, or its successor; so a half-written text must never be the one named.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <string_view>
#include <type_traits>

#include "shared/memory/limits.h"

namespace ringmaster {

class ConfigArchive {
 public:
  // False if it is too long to be kept; then none is, for an older one would not be what serves.
  bool keep(std::string_view text) noexcept {
    if (text.size() > kMaxArchivedConfig) {
      forget();
      return false;
    }
    const std::uint32_t next = current_.load(std::memory_order_relaxed) == 1 ? 2 : 1;
    Copy& copy = copies_[next - 1];
    text.copy(copy.text, text.size());
    copy.size = text.size();
    // release: pairs with the acquire in text(); killed before it, the other copy stays in force.
    current_.store(next, std::memory_order_release);
    return true;
  }
  // None is to be gone back to. release as in keep(), though no text goes with it.
  void forget() noexcept { current_.store(0, std::memory_order_release); }
  // Empty if none was kept yet, or if this is no archive. Valid until the next keep().
  std::string_view text() const noexcept {
    const std::uint32_t current = current_.load(std::memory_order_acquire);
    if (current == 0 || current > copies_.size()) return {};
    const Copy& copy = copies_[current - 1];
    return copy.size <= kMaxArchivedConfig ? std::string_view(copy.text, copy.size)
                                           : std::string_view();
  }

 private:
  struct Copy {
    std::uint64_t size;
    char text[kMaxArchivedConfig];
  };
  std::atomic<std::uint32_t> current_;  // 0: none, else the copy's number
  std::array<Copy, 2> copies_;
};
static_assert(std::is_standard_layout_v<ConfigArchive>);
static_assert(std::is_trivially_destructible_v<ConfigArchive>);

}  // namespace ringmaster
