// Bytes as a socket brings them: piece by piece, at an address that stays. What has not arrived yet
// must not be looked at; AddressSanitizer watches over that.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <random>
#include <span>
#include <string_view>

namespace ringmaster::fuzz {

enum class Pieces : std::uint8_t { kOne, kBytes, kRandom };
// Longer inputs are not taken byte by byte: it would cost more than it finds.
inline constexpr std::size_t kMostBytewise = 256;

// The same for the same bytes in every run, so that a finding can be repeated.
std::uint32_t seed_of(std::string_view bytes) noexcept;

class Arrival {
 public:
  Arrival(std::string_view bytes, Pieces pieces);
  ~Arrival();
  Arrival(const Arrival&) = delete;
  Arrival& operator=(const Arrival&) = delete;

  // The next piece arrives. False once all has.
  bool next();
  std::string_view arrived() const noexcept { return {data_.get(), arrived_}; }
  std::string_view arrived(std::size_t from) const noexcept { return arrived().substr(from); }
  // The same, to change what was looked at already.
  std::span<char> pending(std::size_t from) noexcept {
    return {data_.get() + from, arrived_ - from};
  }
  bool is_whole() const noexcept { return arrived_ == size_; }
  // A coin that falls the same way in every run; never true unless the pieces are random.
  bool toss() noexcept { return pieces_ == Pieces::kRandom && (random_() & 1) != 0; }

 private:
  void guard() noexcept;

  const std::unique_ptr<char[]> data_;
  const std::size_t size_;
  const Pieces pieces_;
  std::size_t arrived_ = 0;
  std::minstd_rand random_;
};

}  // namespace ringmaster::fuzz
