// Bodies: finds where one ends and hands out its data, whatever its framing (RFC 9112 sections 6
// and 7). Strict, because both sides must see the same messages: chunk sizes are 1*16HEXDIG without
// overflow, lines end in CRLF, extensions are checked and dropped, trailers are checked like
// fields. Pure; allocates nothing.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "worker/http/message_head.h"

namespace ringmaster {

class BodyDecoder {
 public:
  enum class Status : std::uint8_t {
    kMore,   // wants further input
    kDone,   // the body is complete; bytes after `consumed` belong to the next message
    kError,  // the framing is broken
  };
  struct Piece {
    std::string_view data;  // body bytes, a slice of the input; may be empty
    // The next bytes of the trailer section, checked, with all that must not be in it left out: to
    // go behind kLastChunkLine as they are, if the other side is sent chunks. A line may come in
    // several pieces, the last of which ends in LF; they are valid until the call after that one.
    std::string_view trailer;
    std::size_t consumed;  // bytes of the input used up by this call
    Status status;
  };
  static constexpr std::size_t kMaxTrailerBytes = 4096;
  static constexpr std::size_t kMaxChunkLine = 256;  // size and extensions
  // A trailer's name may arrive in pieces, and whether it may pass is known at its end only. Longer
  // ones are dropped.
  static constexpr std::size_t kMaxTrailerName = 64;

  void start(BodyFraming framing, std::uint64_t content_length) noexcept;
  // The next stretch of body data or of trailers in `input`, never both. Call again with the rest
  // of the input until all of it is consumed or the status is not kMore. Empty input only asks for
  // the status.
  Piece next(std::string_view input) noexcept;
  bool is_done() const noexcept { return state_ == State::kDone; }
  // Of kLength: bytes still to come.
  std::uint64_t remaining() const noexcept { return remaining_; }

 private:
  // kBody serves the framings without chunks. The others are those of the chunked coding, in the
  // order they are met: a size line, data and its CRLF, and again; behind the last size line the
  // trailers. "Blank" is white space that only something further may follow.
  enum class State : std::uint8_t {
    kBody,
    kSizeStart,
    kSize,
    kSizeBlank,
    kExtensionStart,
    kExtensionName,
    kExtensionNameBlank,
    kExtensionValueStart,
    kExtensionValue,
    kExtensionQuoted,
    kExtensionEscape,
    kExtensionEnd,
    kExtensionBlank,
    kSizeLf,
    kData,
    kDataCr,
    kDataLf,
    kTrailerStart,
    kTrailerName,
    kTrailerValue,
    kTrailerLf,
    kEndLf,
    kDone,
    kError,
  };

  Piece next_of_body(std::string_view input) noexcept;
  Piece next_of_data(std::string_view input, std::size_t at) noexcept;
  Piece next_of_trailer_value(std::string_view input, std::size_t at) noexcept;
  void read(char c) noexcept;
  State after_size(char c) noexcept;
  State after_extension(char c) const noexcept;
  State after_size_line() noexcept;
  State after_trailer(char c) noexcept;
  State add_to_trailer_name(char c) noexcept;

  std::uint64_t remaining_ = 0;   // of the body or of the current chunk
  std::uint32_t line_bytes_ = 0;  // of the size line or of the trailers: both bounded
  BodyFraming framing_ = BodyFraming::kNone;
  State state_ = State::kDone;
  std::uint8_t digits_ = 0;                     // of the size
  std::uint8_t name_size_ = 0;                  // of the trailer; kMaxTrailerName + 1: too long
  bool pass_on_ = false;                        // the current trailer
  std::array<char, kMaxTrailerName + 1> name_;  // of the trailer, and its colon
};
static_assert(sizeof(BodyDecoder) <= 128);  // two in every exchange

// Whether a field of that name may follow the body (RFC 9110 section 6.5.1). Longer ones than
// BodyDecoder::kMaxTrailerName may not.
bool may_be_trailer(std::string_view name) noexcept;

// "1a2b\r\n" of a chunk; returns its length. `out` holds at least kMaxChunkHeader.
inline constexpr std::size_t kMaxChunkHeader = 18;
std::size_t write_chunk_header(std::uint64_t size, char* out) noexcept;
inline constexpr std::string_view kChunkEnd = "\r\n";
// Ends a body: kLastChunk, or with trailers kLastChunkLine, their bytes and kChunkEnd.
inline constexpr std::string_view kLastChunk = "0\r\n\r\n";
inline constexpr std::string_view kLastChunkLine = "0\r\n";

}  // namespace ringmaster
