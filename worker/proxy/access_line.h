// One request as a line of the access log: a JSON object, whatever bytes the client sent. Pure.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <ctime>
#include <string_view>

#include "shared/base/rfc3339.h"
#include "shared/memory/flight_recorder.h"

namespace ringmaster {

struct AccessLine {
  const RequestRecord& record;
  std::string_view id;
  // Of a head that was never complete, what came of the first line; and no host.
  std::string_view method;
  std::string_view target;  // as sent
  std::string_view host;
  std::string_view backend;  // empty: none was asked
  std::uint32_t worker;      // slot
};

class AccessLineWriter {
 public:
  // Longer targets are cut, and the line says so.
  static constexpr std::size_t kMostTargetBytes = 8192;
  static constexpr std::size_t kMostOtherBytes = 256;  // of method and host

  // Valid until the next call.
  std::string_view write(const AccessLine& line) noexcept;

 private:
  void put(std::string_view text) noexcept;
  void put_number(std::uint64_t number) noexcept;
  void put_milliseconds(std::string_view key, std::uint64_t us, bool is_known) noexcept;
  void put_escaped(std::string_view text) noexcept;
  void put_field(std::string_view key, std::string_view text) noexcept;
  void put_time(std::uint64_t us) noexcept;

  // A byte takes at most six when escaped.
  static constexpr std::size_t kCapacity = 6 * (kMostTargetBytes + 2 * kMostOtherBytes) + 2048;

  std::time_t second_ = -1;  // whose text is kept
  Rfc3339Second second_text_;
  char* at_ = nullptr;
  std::array<char, kCapacity> out_;
};

}  // namespace ringmaster
