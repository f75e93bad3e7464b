// The chunked coding as a state machine, one byte at a time where it is structure and in one piece
// where it is data. RFC 9112 section 7.1.
#include "worker/http/framing.h"

#include <algorithm>
#include <charconv>

#include "worker/http/char_class.h"
#include "worker/http/grammar.h"

namespace ringmaster {

namespace {

constexpr unsigned kMaxSizeDigits = 16;  // what 64 bits hold

// Framing, routing, authentication, and what changes how a message is handled or its content read:
// none of it may come after the fact (RFC 9110 section 6.5.1).
constexpr std::array<std::string_view, 37> kNeverTrailers = {
    "age",
    "authentication-info",
    "authorization",
    "cache-control",
    "connection",
    "content-encoding",
    "content-length",
    "content-location",
    "content-range",
    "content-type",
    "cookie",
    "date",
    "expect",
    "expires",
    "forwarded",
    "host",
    "http2-settings",
    "keep-alive",
    "location",
    "max-forwards",
    "origin",
    "pragma",
    "range",
    "referer",
    "retry-after",
    "set-cookie",
    "set-cookie2",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "vary",
    "via",
    "warning",
    "www-authenticate",
    "x-real-ip",
    "x-request-id",
};
constexpr std::array<std::string_view, 3> kNeverTrailerPrefixes = {"if-", "proxy-", "x-forwarded-"};

// Precondition: a HEXDIG.
std::uint64_t hex_value(char c) noexcept {
  return static_cast<std::uint64_t>(is_char(c, kDigitChar) ? c - '0' : to_lower(c) - 'a' + 10);
}

}  // namespace

bool may_be_trailer(std::string_view written) noexcept {
  if (written.size() > BodyDecoder::kMaxTrailerName) return false;
  // An underscore is a dash to CGI and its heirs.
  std::array<char, BodyDecoder::kMaxTrailerName> folded;
  std::replace_copy(written.begin(), written.end(), folded.begin(), '_', '-');
  const std::string_view name(folded.data(), written.size());
  const auto is_name = [name](std::string_view known) { return equals_ignore_case(name, known); };
  const auto begins = [name](std::string_view known) {
    return starts_with_ignore_case(name, known);
  };
  return std::none_of(kNeverTrailers.begin(), kNeverTrailers.end(), is_name) &&
         std::none_of(kNeverTrailerPrefixes.begin(), kNeverTrailerPrefixes.end(), begins);
}

void BodyDecoder::start(BodyFraming framing, std::uint64_t content_length) noexcept {
  framing_ = framing;
  remaining_ = framing == BodyFraming::kLength ? content_length : 0;
  line_bytes_ = 0;
  const bool empty = framing == BodyFraming::kLength && content_length == 0;
  if (framing == BodyFraming::kNone || empty) {
    state_ = State::kDone;
  } else {
    state_ = framing == BodyFraming::kChunked ? State::kSizeStart : State::kBody;
  }
}

BodyDecoder::Piece BodyDecoder::next(std::string_view input) noexcept {
  if (state_ == State::kBody) return next_of_body(input);
  std::size_t at = 0;
  while (at < input.size() && state_ != State::kDone && state_ != State::kError) {
    if (state_ == State::kData) return next_of_data(input, at);
    const bool in_value = state_ == State::kTrailerValue || state_ == State::kTrailerLf;
    if (in_value && pass_on_) return next_of_trailer_value(input, at);
    const bool in_name = state_ == State::kTrailerName;
    read(input[at++]);
    if (in_name && state_ == State::kTrailerValue && pass_on_) {
      return {{}, {name_.data(), name_size_}, at, Status::kMore};
    }
  }
  if (state_ == State::kError) return {{}, {}, at, Status::kError};
  return {{}, {}, at, state_ == State::kDone ? Status::kDone : Status::kMore};
}

BodyDecoder::Piece BodyDecoder::next_of_body(std::string_view input) noexcept {
  if (framing_ == BodyFraming::kUntilClose) return {input, {}, input.size(), Status::kMore};
  const std::size_t size = std::min<std::uint64_t>(remaining_, input.size());
  remaining_ -= size;
  if (remaining_ == 0) state_ = State::kDone;
  return {input.substr(0, size), {}, size, remaining_ == 0 ? Status::kDone : Status::kMore};
}

BodyDecoder::Piece BodyDecoder::next_of_data(std::string_view input, std::size_t at) noexcept {
  const std::size_t size = std::min<std::uint64_t>(remaining_, input.size() - at);
  remaining_ -= size;
  if (remaining_ == 0) state_ = State::kDataCr;
  return {input.substr(at, size), {}, at + size, Status::kMore};
}

// The rest of a line that is passed on, as far as it is there.
BodyDecoder::Piece BodyDecoder::next_of_trailer_value(std::string_view input,
                                                      std::size_t at) noexcept {
  const std::size_t begin = at;
  while (at < input.size() && (state_ == State::kTrailerValue || state_ == State::kTrailerLf)) {
    read(input[at++]);
  }
  if (state_ == State::kError) return {{}, {}, at, Status::kError};
  return {{}, input.substr(begin, at - begin), at, Status::kMore};
}

void BodyDecoder::read(char c) noexcept {
  if (++line_bytes_ > (state_ >= State::kTrailerStart ? kMaxTrailerBytes : kMaxChunkLine)) {
    state_ = State::kError;
  } else if (state_ <= State::kSizeBlank) {
    state_ = after_size(c);
  } else if (state_ <= State::kExtensionBlank) {
    state_ = after_extension(c);
  } else if (state_ == State::kSizeLf) {
    state_ = c == '\n' ? after_size_line() : State::kError;
  } else if (state_ == State::kDataCr) {
    state_ = c == '\r' ? State::kDataLf : State::kError;
  } else if (state_ == State::kDataLf) {
    line_bytes_ = 0;
    state_ = c == '\n' ? State::kSizeStart : State::kError;
  } else {
    state_ = after_trailer(c);
  }
}

// chunk-size = 1*HEXDIG, then extensions or the end of the line. Nothing is skipped in front of it.
BodyDecoder::State BodyDecoder::after_size(char c) noexcept {
  if (state_ == State::kSizeStart) {
    remaining_ = 0;
    digits_ = 0;
  }
  if (state_ != State::kSizeBlank && is_char(c, kHexChar)) {
    if (++digits_ > kMaxSizeDigits) return State::kError;
    remaining_ = remaining_ << 4 | hex_value(c);
    return remaining_ <= kMaxBodyLength ? State::kSize : State::kError;
  }
  if (state_ == State::kSizeStart) return State::kError;
  if (c == ';') return State::kExtensionStart;
  if (is_blank(c)) return State::kSizeBlank;
  return c == '\r' && state_ == State::kSize ? State::kSizeLf : State::kError;
}

// chunk-ext = *( BWS ";" BWS chunk-ext-name [ BWS "=" BWS chunk-ext-val ] ); section 7.1.1. White
// space at the end of the line is in no rule.
BodyDecoder::State BodyDecoder::after_extension(char c) const noexcept {
  const bool ends_line = c == '\r';
  switch (state_) {
    case State::kExtensionStart:
      if (is_blank(c)) return state_;
      return is_char(c, kTokenChar) ? State::kExtensionName : State::kError;
    case State::kExtensionName:
      if (is_char(c, kTokenChar)) return state_;
      if (ends_line) return State::kSizeLf;
      [[fallthrough]];
    case State::kExtensionNameBlank:
      if (is_blank(c)) return State::kExtensionNameBlank;
      if (c == '=') return State::kExtensionValueStart;
      return c == ';' ? State::kExtensionStart : State::kError;
    case State::kExtensionValueStart:
      if (is_blank(c)) return state_;
      if (c == '"') return State::kExtensionQuoted;
      return is_char(c, kTokenChar) ? State::kExtensionValue : State::kError;
    case State::kExtensionQuoted:
      if (c == '"') return State::kExtensionEnd;
      if (c == '\\') return State::kExtensionEscape;
      return is_char(c, kQuotedChar) ? state_ : State::kError;
    case State::kExtensionEscape:
      return is_char(c, kFieldChar) ? State::kExtensionQuoted : State::kError;
    case State::kExtensionValue:
      if (is_char(c, kTokenChar)) return state_;
      [[fallthrough]];
    case State::kExtensionEnd:
      if (ends_line) return State::kSizeLf;
      [[fallthrough]];
    default:  // kExtensionBlank
      if (is_blank(c)) return State::kExtensionBlank;
      return c == ';' ? State::kExtensionStart : State::kError;
  }
}

BodyDecoder::State BodyDecoder::after_size_line() noexcept {
  line_bytes_ = 0;
  return remaining_ == 0 ? State::kTrailerStart : State::kData;
}

// trailer-section = *( field-line CRLF ), then the empty line that ends the body (section 7.1.2).
BodyDecoder::State BodyDecoder::after_trailer(char c) noexcept {
  switch (state_) {
    case State::kTrailerStart:
      if (c == '\r') return State::kEndLf;
      name_size_ = 0;
      return is_char(c, kTokenChar) ? add_to_trailer_name(c) : State::kError;
    case State::kTrailerName:
      if (c == ':') {
        pass_on_ = name_size_ <= kMaxTrailerName && may_be_trailer({name_.data(), name_size_});
        if (pass_on_) name_[name_size_++] = ':';
        return State::kTrailerValue;
      }
      return is_char(c, kTokenChar) ? add_to_trailer_name(c) : State::kError;
    case State::kTrailerValue:
      if (c == '\r') return State::kTrailerLf;
      return is_char(c, kFieldChar) ? state_ : State::kError;
    case State::kTrailerLf:
      return c == '\n' ? State::kTrailerStart : State::kError;
    default:  // kEndLf
      return c == '\n' ? State::kDone : State::kError;
  }
}

BodyDecoder::State BodyDecoder::add_to_trailer_name(char c) noexcept {
  if (name_size_ < kMaxTrailerName) {
    name_[name_size_++] = c;
  } else {
    name_size_ = kMaxTrailerName + 1;
  }
  return State::kTrailerName;
}

std::size_t write_chunk_header(std::uint64_t size, char* out) noexcept {
  char* const end = std::to_chars(out, out + kMaxSizeDigits, size, 16).ptr;
  end[0] = '\r';
  end[1] = '\n';
  return static_cast<std::size_t>(end - out) + 2;
}

}  // namespace ringmaster
