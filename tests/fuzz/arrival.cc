#include "tests/fuzz/arrival.h"

#include <algorithm>
#include <cstring>

#if defined(__SANITIZE_ADDRESS__)
#define RINGMASTER_HAS_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define RINGMASTER_HAS_ASAN 1
#endif
#endif

#ifdef RINGMASTER_HAS_ASAN
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(at, size) (static_cast<void>(at), static_cast<void>(size))
#define ASAN_UNPOISON_MEMORY_REGION(at, size) (static_cast<void>(at), static_cast<void>(size))
#endif

namespace ringmaster::fuzz {

std::uint32_t seed_of(std::string_view bytes) noexcept {
  std::uint32_t hash = 2166136261u;  // FNV-1a
  for (const char c : bytes) hash = (hash ^ static_cast<unsigned char>(c)) * 16777619u;
  return hash;
}

Arrival::Arrival(std::string_view bytes, Pieces pieces)
    : data_(std::make_unique<char[]>(bytes.size())),
      size_(bytes.size()),
      pieces_(pieces),
      random_(seed_of(bytes)) {
  if (!bytes.empty()) std::memcpy(data_.get(), bytes.data(), bytes.size());
  guard();
}

Arrival::~Arrival() {
  ASAN_UNPOISON_MEMORY_REGION(data_.get(), size_);
}

bool Arrival::next() {
  if (is_whole()) return false;
  const std::size_t left = size_ - arrived_;
  std::size_t piece = 1;
  if (pieces_ == Pieces::kOne) piece = left;
  if (pieces_ == Pieces::kRandom) {
    // Short pieces and long ones are equally likely: mistakes sit at both kinds of seams.
    const std::size_t longest = toss() ? 8 : left;
    piece = std::min(left, 1 + random_() % longest);
  }
  arrived_ += piece;
  guard();
  return true;
}

void Arrival::guard() noexcept {
  ASAN_UNPOISON_MEMORY_REGION(data_.get(), arrived_);
  ASAN_POISON_MEMORY_REGION(data_.get() + arrived_, size_ - arrived_);
}

}  // namespace ringmaster::fuzz
