// The id of a request: by what an operator finds it again, here, in the backend's log and in the
// client's. X-Request-Id from a proxy that is trusted, else one that we make. Pure.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "worker/http/message_head.h"

namespace ringmaster {

class RequestId {
 public:
  static constexpr std::size_t kMostBytes = 128;

  std::string_view text() const noexcept { return {text_.data(), size_}; }
  bool is_empty() const noexcept { return size_ == 0; }
  // Precondition: at most kMostBytes.
  void assign(std::string_view text) noexcept {
    std::copy(text.begin(), text.end(), text_.begin());
    size_ = static_cast<std::uint8_t>(text.size());
  }

 private:
  friend class RequestIdSource;
  std::array<char, kMostBytes> text_;  // nothing beyond size_ is ever read
  std::uint8_t size_ = 0;
};

// 1 to RequestId::kMostBytes token characters, '/', ':', '=' or '@': what UUIDs, ULIDs, Base64 and
// the ids of the usual clouds consist of, and no log, shell or URL takes for anything else.
bool is_request_id(std::string_view text) noexcept;

// The id that a request brought along: of its one X-Request-Id, if that is valid; else empty.
std::string_view given_request_id(const RequestHead& head) noexcept;

// Makes ids that no other worker ever makes: 16 hexadecimal digits of its own random number, 16
// that count on, scrambled so that no client can read from two of them how many lie between.
class RequestIdSource {
 public:
  static constexpr std::size_t kIdBytes = 32;

  // Both random, anew for each worker.
  RequestIdSource(std::uint64_t prefix, std::uint64_t start) noexcept;

  void make(RequestId& id) noexcept;  // a few nanoseconds: no system call, no division

 private:
  std::array<char, 16> prefix_;
  std::uint64_t next_;
};

}  // namespace ringmaster
