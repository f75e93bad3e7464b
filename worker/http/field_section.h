// The field lines of a head, or how llhttp is used here: it walks over the lines and reports names
// and values; every byte between two of its reports is then checked, since it is lax in places
// (bare LF, obs-fold). What the fields mean is not its business: request_meaning and
// response_meaning judge that once all are known. Used by the two parsers only. Pure; allocates
// nothing.
#pragma once

#include <llhttp.h>

#include <cstddef>
#include <cstdint>

#include "worker/http/message_head.h"

namespace ringmaster {

class FieldSection {
 public:
  enum class Result : std::uint8_t { kIncomplete, kComplete, kMalformed, kTooMany };

  // The first field line, or the empty line, begins at `first`.
  void start(std::uint32_t first) noexcept;
  // Reads on, up to `end`, and fills head.fields when that completes the section. `head` need not
  // be the same object in every call; head.bytes must be set, and the bytes stay where they are.
  Result parse(std::uint32_t end, MessageHead& head) noexcept;
  // Just behind the empty line, once complete.
  std::uint32_t end() const noexcept { return line_ + 2; }

 private:
  static const llhttp_t& after_start_line() noexcept;
  static int on_name(llhttp_t* llhttp, const char* at, std::size_t size) noexcept;
  static int on_value(llhttp_t* llhttp, const char* at, std::size_t size) noexcept;
  Result run(std::uint32_t end, MessageHead& head) noexcept;
  bool extend_name(std::uint32_t at, std::uint32_t size) noexcept;
  bool extend_value(std::uint32_t at, std::uint32_t size) noexcept;
  bool begin_value(std::uint32_t at) noexcept;
  bool finish_empty_value(std::uint32_t next_line) noexcept;
  bool finish_line() noexcept;
  bool ends_line_before(std::uint32_t at) const noexcept;

  llhttp_t llhttp_;
  // Borrowed for the length of one parse() call.
  MessageHead* head_ = nullptr;
  std::uint32_t end_ = 0;  // of the bytes given to this call
  // Offsets from head_->bytes.
  std::uint32_t first_ = 0;
  std::uint32_t consumed_ = 0;
  std::uint32_t line_ = 0;  // where the current line begins: right behind the one before
  std::uint32_t name_end_ = 0;
  std::uint32_t value_ = 0;
  std::uint32_t value_end_ = 0;
  std::uint32_t count_ = 0;
  enum class Part : std::uint8_t { kLineStart, kName, kValue } part_ = Part::kLineStart;
};

}  // namespace ringmaster
