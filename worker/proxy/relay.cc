#include "worker/proxy/relay.h"

#include <cstring>

namespace ringmaster {

namespace {

// What lies somewhere behind a piece is moved to its end.
void join(uv_buf_t& piece, std::string_view data) noexcept {
  std::memmove(piece.base + piece.len, data.data(), data.size());
  piece.len += data.size();
}

}  // namespace

void BodyRelay::start(const MessageHead& head, BodyFraming out) noexcept {
  in_ = head.framing;
  out_ = out;
  last_chunk_written_ = false;
  drops_trailers_ = head.drops_trailers;
  decoder_.start(in_, head.content_length);
}

void BodyRelay::start_tunnel() noexcept {
  in_ = out_ = BodyFraming::kUntilClose;
  decoder_.start(in_, 0);
}

void BodyRelay::gather(std::string_view prefix, std::span<char> input, Input use,
                       Batch& batch) noexcept {
  batch.status = Status::kMore;
  batch.consumed = batch.data_bytes = batch.count = 0;
  if (!prefix.empty()) batch.pieces[batch.count++] = as_buf(prefix);
  const std::size_t header_at = batch.count;
  if (out_ == BodyFraming::kChunked) ++batch.count;  // its size is known after the spans

  std::array<std::string_view, kMostTrailerPieces> trailers;
  std::size_t trailer_count = 0;
  std::size_t spans = 0;
  while (spans < kMostSpans && trailer_count < kMostTrailerPieces) {
    const std::span<char> left = input.subspan(batch.consumed);
    const auto piece = decoder_.next({left.data(), left.size()});
    batch.consumed += piece.consumed;
    batch.data_bytes += piece.data.size();
    if (!piece.data.empty()) {
      const bool joins = spans != 0 && use == Input::kMayMove && piece.data.size() <= kDust;
      if (joins) {
        join(batch.pieces[batch.count - 1], piece.data);
      } else {
        batch.pieces[batch.count++] = as_buf(piece.data);
        ++spans;
      }
    }
    const bool has_trailer = !piece.trailer.empty() && !drops_trailers_;
    if (has_trailer) trailers[trailer_count++] = piece.trailer;
    if (piece.status == BodyDecoder::Status::kError) batch.status = Status::kError;
    if (piece.status == BodyDecoder::Status::kDone) batch.status = Status::kDone;
    if (piece.status != BodyDecoder::Status::kMore || batch.consumed == input.size()) break;
    if (piece.trailer.ends_with('\n')) break;  // its bytes may be gone after the next line
  }
  if (out_ == BodyFraming::kChunked) {
    frame_as_chunk(header_at, Trailers(trailers).first(trailer_count), batch);
  }
}

// All spans make one chunk: the sender's chunking is its own business.
void BodyRelay::frame_as_chunk(std::size_t header_at, Trailers trailers, Batch& batch) noexcept {
  if (batch.data_bytes != 0) {
    const std::size_t size = write_chunk_header(batch.data_bytes, chunk_header_.data());
    batch.pieces[header_at] = as_buf({chunk_header_.data(), size});
    batch.pieces[batch.count++] = as_buf(kChunkEnd);
  } else {
    batch.count = header_at;
  }
  const bool done = batch.status == Status::kDone;
  if ((done || !trailers.empty()) && !last_chunk_written_) {
    last_chunk_written_ = true;
    batch.pieces[batch.count++] = as_buf(kLastChunkLine);
  }
  for (const std::string_view trailer : trailers) batch.pieces[batch.count++] = as_buf(trailer);
  if (done) batch.pieces[batch.count++] = as_buf(kChunkEnd);
}

bool BodyRelay::needs_no_more_than(std::string_view input) const noexcept {
  BodyDecoder decoder = decoder_;
  for (;;) {
    const auto piece = decoder.next(input);
    if (piece.status != BodyDecoder::Status::kMore) return true;
    input.remove_prefix(piece.consumed);
    if (input.empty()) return decoder.is_done();
  }
}

std::size_t BodyRelay::Batch::bytes() const noexcept {
  std::size_t sum = 0;
  for (std::size_t i = 0; i < count; ++i) sum += pieces[i].len;
  return sum;
}

void BodyRelay::join_short(Batch& batch, Buffer& head) noexcept {
  const std::size_t size = batch.bytes();
  const std::size_t follows = size - batch.pieces[0].len;
  if (batch.count < 2 || follows > kShort || size > head.capacity) return;
  char* at = head.data() + batch.pieces[0].len;
  for (std::size_t i = 1; i < batch.count; ++i) {
    std::memcpy(at, batch.pieces[i].base, batch.pieces[i].len);
    at += batch.pieces[i].len;
  }
  batch.pieces[0].len = size;
  batch.count = 1;
}

}  // namespace ringmaster
