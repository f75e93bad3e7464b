#include "shared/memory/flight_recorder.h"

#include <xxhash.h>

#include <limits>

namespace ringmaster {

void RequestRecord::set_id(std::string_view text) noexcept {
  id_bytes = static_cast<std::uint8_t>(text.size());
  if (text.size() <= kIdBytes) {
    std::copy(text.begin(), text.end(), id);
    return;
  }
  const std::uint64_t hash_of_all = XXH3_64bits(text.data(), text.size());
  std::memcpy(id, text.data(), kIdHead);
  std::memcpy(id + kIdHead, &hash_of_all, sizeof hash_of_all);
}

bool RequestRecord::is_called(std::string_view text) const noexcept {
  if (text.size() != id_bytes || !text.starts_with(id_text())) return false;
  if (text.size() <= kIdBytes) return true;
  const std::uint64_t hash_of_all = XXH3_64bits(text.data(), text.size());
  return std::memcmp(id + kIdHead, &hash_of_all, sizeof hash_of_all) == 0;
}

std::string_view RequestRecord::id_text() const noexcept {
  return {id, id_bytes <= kIdBytes ? std::size_t{id_bytes} : kIdHead};
}

void RequestRecord::set_line(std::string_view method, std::string_view target) noexcept {
  const std::size_t whole = method.size() + (target.empty() ? 0 : 1 + target.size());
  line_bytes = static_cast<std::uint16_t>(
      std::min<std::size_t>(whole, std::numeric_limits<std::uint16_t>::max()));
  method = method.substr(0, kLineBytes);
  char* at = std::copy(method.begin(), method.end(), tail);
  if (target.empty() || at == tail + kLineBytes) return;
  *at++ = ' ';
  target = target.substr(0, static_cast<std::size_t>(tail + kLineBytes - at));
  std::copy(target.begin(), target.end(), at);
}

std::optional<RequestRecord> FlightRecorder::read(std::uint64_t number) const noexcept {
  const Entry& entry = entries_[number % kRecordedRequests];
  // acquire: pairs with the last store in publish().
  const std::uint64_t before = entry.version.load(std::memory_order_acquire);
  if (before >> 8 != number + 1 || (before & 1) != 0) return std::nullopt;
  std::array<std::uint64_t, kWords> words;
  for (std::size_t i = 0; i < kWords; ++i) {
    words[i] = entry.words[i].load(std::memory_order_relaxed);
  }
  // acquire: if a word above came from a later publish(), its odd version is seen below.
  std::atomic_thread_fence(std::memory_order_acquire);
  if (entry.version.load(std::memory_order_relaxed) != before) return std::nullopt;
  return std::bit_cast<RequestRecord>(words);
}

}  // namespace ringmaster
