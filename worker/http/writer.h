// Appends text and numbers to a buffer of fixed size that somebody else owns: how heads are
// written. What does not fit spoils the whole. Pure.
#pragma once

#include <charconv>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace ringmaster {

class Writer {
 public:
  Writer(char* out, std::size_t capacity) noexcept : begin_(out), at_(out), end_(out + capacity) {}

  Writer& operator<<(std::string_view text) noexcept {
    if (static_cast<std::size_t>(end_ - at_) < text.size()) {
      end_ = at_;
      overflowed_ = true;
    } else if (!text.empty()) {  // an empty view may have no address, which memcpy forbids
      std::memcpy(at_, text.data(), text.size());
      at_ += text.size();
    }
    return *this;
  }

  Writer& operator<<(std::uint64_t number) noexcept {
    char digits[20];
    const auto end = std::to_chars(digits, digits + sizeof digits, number).ptr;
    return *this << std::string_view(digits, static_cast<std::size_t>(end - digits));
  }

  // Of all that was written; 0 if it did not fit.
  std::size_t size() const noexcept {
    return overflowed_ ? 0 : static_cast<std::size_t>(at_ - begin_);
  }

 private:
  char* const begin_;
  char* at_;
  char* end_;
  bool overflowed_ = false;
};

}  // namespace ringmaster
