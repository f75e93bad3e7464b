// Moves body bytes from a buffer to a stream, re-framed: one gathered write a call, and no byte
// copied but those of short chunks. Shared by both directions. Holds what a pending write refers to
// besides the caller's bytes.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string_view>

#include "worker/http/framing.h"
#include "worker/io/tcp_stream.h"
#include "worker/io/worker_context.h"

namespace ringmaster {

class BodyRelay {
  static constexpr std::size_t kMostSpans = 16;
  static constexpr std::size_t kMostTrailerPieces = 4;
  // A prefix; the chunk's header, spans and end; the last chunk, trailers, and the end of all.
  static constexpr std::size_t kMostPieces = 1 + 1 + kMostSpans + 1 + 1 + kMostTrailerPieces + 1;

 public:
  enum class Status : std::uint8_t { kMore, kDone, kError };

  // The body behind `head`; `out`: how the receiver gets it (kChunked, or as raw bytes).
  void start(const MessageHead& head, BodyFraming out) noexcept;
  // What has no end but that of its connection.
  void start_tunnel() noexcept;

  struct Batch {
    Status status = Status::kMore;
    std::size_t consumed = 0;    // of the input
    std::size_t data_bytes = 0;  // body bytes among them
    std::size_t count = 0;       // of the pieces
    std::size_t bytes() const noexcept;
    std::array<uv_buf_t, kMostPieces> pieces;
  };
  // Whether the input's bytes may be moved to the place of others before them.
  enum class Input : std::uint8_t { kStays, kMayMove };
  // Decodes as much of `input` as one write can carry, behind `prefix` (a head; may be empty). The
  // pieces refer to `input`, `prefix` and this object. Call again while something of the input is
  // left and status is kMore. Chunks of a few bytes are joined where they lie, if they may move: a
  // body of nothing else would be a write for every sixteen of them.
  void gather(std::string_view prefix, std::span<char> input, Input use, Batch& batch) noexcept;
  // Brings what is short behind the batch's prefix, which begins `head`: copying a few bytes costs
  // less than a gathered write.
  static void join_short(Batch& batch, Buffer& head) noexcept;

  bool is_done() const noexcept { return decoder_.is_done(); }
  // Is `input` all that is left of the body, or broken so that more would not help?
  bool needs_no_more_than(std::string_view input) const noexcept;
  // At the sender's end of file: true if the body was complete with it (RFC 9112 section 8).
  bool ends_with_connection() const noexcept { return in_ == BodyFraming::kUntilClose; }
  // Worth a bigger buffer: what is left will not fit the usual one.
  bool is_long() const noexcept {
    return in_ != BodyFraming::kLength || decoder_.remaining() > kLeastBuffer;
  }

 private:
  using Trailers = std::span<const std::string_view>;
  void frame_as_chunk(std::size_t header_at, Trailers trailers, Batch& batch) noexcept;

  static constexpr std::size_t kShort = 1024;
  static constexpr std::size_t kDust = 256;  // costs less to move than to write as a piece

  BodyDecoder decoder_;
  BodyFraming in_ = BodyFraming::kNone;
  BodyFraming out_ = BodyFraming::kNone;
  bool last_chunk_written_ = false;
  bool drops_trailers_ = false;
  std::array<char, kMaxChunkHeader> chunk_header_;  // of the write under way
};

}  // namespace ringmaster
