#include "worker/http/request_id.h"

#include <algorithm>
#include <cstring>

#include "worker/http/char_class.h"

namespace ringmaster {
namespace {

// Eight digits of 32 bits at once: each half byte in a byte of its own, the first digit in the
// lowest one, then '0' added to all and the distance to 'a' to those above nine.
std::uint64_t hex_digits(std::uint32_t value) noexcept {
  std::uint64_t x = __builtin_bswap32(value);
  x = (x | x << 16) & 0x0000ffff0000ffff;
  x = (x | x << 8) & 0x00ff00ff00ff00ff;
  x = (x >> 4 | x << 8) & 0x0f0f0f0f0f0f0f0f;
  const std::uint64_t above_nine = ((x + 0x0606060606060606) >> 4) & 0x0101010101010101;
  return x + 0x3030303030303030 + above_nine * ('a' - '0' - 10);
}

void write_hex(std::uint64_t value, char* out) noexcept {
  const std::uint64_t digits[] = {hex_digits(static_cast<std::uint32_t>(value >> 32)),
                                  hex_digits(static_cast<std::uint32_t>(value))};
  std::memcpy(out, digits, sizeof digits);
}

// Steele, Lea and Flood's SplitMix: one to one, so different numbers stay different.
std::uint64_t scramble(std::uint64_t x) noexcept {
  x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;
  x = (x ^ x >> 27) * 0x94d049bb133111eb;
  return x ^ x >> 31;
}

}  // namespace

bool is_request_id(std::string_view text) noexcept {
  return !text.empty() && text.size() <= RequestId::kMostBytes &&
         std::all_of(text.begin(), text.end(), [](char c) {
           return is_char(c, kTokenChar) || c == '/' || c == ':' || c == '=' || c == '@';
         });
}

std::string_view given_request_id(const RequestHead& head) noexcept {
  std::string_view given;
  for (std::uint32_t i = 0; i < head.field_count; ++i) {
    if (head.fields[i].id != FieldId::kXRequestId) continue;
    if (given.data() != nullptr) return {};  // which of the two?
    given = head.value(head.fields[i]);
  }
  return is_request_id(given) ? given : std::string_view();
}

RequestIdSource::RequestIdSource(std::uint64_t prefix, std::uint64_t start) noexcept
    : next_(start) {
  write_hex(prefix, prefix_.data());
}

void RequestIdSource::make(RequestId& id) noexcept {
  std::memcpy(id.text_.data(), prefix_.data(), prefix_.size());
  write_hex(scramble(next_++), id.text_.data() + prefix_.size());
  id.size_ = kIdBytes;
}

}  // namespace ringmaster
