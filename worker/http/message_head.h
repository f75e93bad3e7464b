// A message head as parsed: slices over the bytes it came in, nothing copied, nothing allocated.
// Written by parser, read by forwarding and proxy/. The bytes must stay where they are for as long
// as the slices are used.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace ringmaster {

// The fields whose meaning a proxy must know (RFC 9110, RFC 9112); all others are only passed on.
enum class FieldId : std::uint8_t {
  kOther,
  kAlias,  // one of those below, written with an underscore: the same name to CGI and its heirs
  kAuthorization,
  kConnection,
  kContentLength,
  kCookie,
  kDate,
  kExpect,
  kForwarded,
  kHost,
  kHttp2Settings,
  kKeepAlive,
  kMaxForwards,
  kProxyAuthenticate,
  kProxyAuthenticationInfo,
  kProxyAuthorization,
  kProxyConnection,
  kTe,
  kTrailer,
  kTransferEncoding,
  kUpgrade,
  kVia,
  kXForwardedFor,
  kXForwardedHost,
  kXForwardedProto,
  kXRequestId,
};

// Looks a field name up, in any case.
FieldId field_id(std::string_view name) noexcept;

enum class HttpVersion : std::uint8_t { k10, k11 };

// How a body's end is found (RFC 9112 section 6.3).
enum class BodyFraming : std::uint8_t { kNone, kLength, kChunked, kUntilClose };

// A head with more is refused: 431, or 502 for a response.
inline constexpr std::size_t kMaxFields = 256;

// Offsets into the head's bytes; 16 bytes so that 256 of them stay cheap.
struct Field {
  std::uint32_t name_at;
  std::uint32_t value_at;
  std::uint32_t value_size;  // without the white space around it
  std::uint16_t name_size;
  FieldId id;
  bool hop_by_hop;  // not to be passed on: by its nature, or nominated in Connection
};
static_assert(sizeof(Field) == 16);

// The part that requests and responses share.
struct MessageHead {
  // Where the message begins, an ignored empty line before it included.
  const char* bytes = nullptr;
  std::uint32_t size = 0;  // from there, up to and including the empty line after the fields
  std::uint32_t field_count = 0;
  HttpVersion version = HttpVersion::k11;
  BodyFraming framing = BodyFraming::kNone;
  bool keep_alive = false;  // the sender lets the connection live on (RFC 9112 section 9.3)
  // Upgrade present and nominated in Connection, in HTTP/1.1; h2c never counts (RFC 9113
  // section 3.1).
  bool wants_upgrade = false;
  // Connection names a field that may come as a trailer, and must not go further as one either.
  bool drops_trailers = false;
  // With kLength; of a response without a body, what it announced.
  std::uint64_t content_length = 0;

  std::string_view name(const Field& f) const noexcept { return {bytes + f.name_at, f.name_size}; }
  std::string_view value(const Field& f) const noexcept {
    return {bytes + f.value_at, f.value_size};
  }
  // The value of the first field of that name (any case), or an empty view with data() == nullptr.
  std::string_view find(FieldId id) const noexcept;
  std::string_view find(std::string_view name) const noexcept;

  std::array<Field, kMaxFields> fields;
};

// What a request has besides. Before the part with the fields, most of which are never used: what
// is used lies together.
struct RequestStart {
  enum class TargetForm : std::uint8_t { kOrigin, kAbsolute, kAsterisk };

  std::string_view method;
  std::string_view target;  // as sent
  // host[:port]: of an absolute-form target, else of Host; may be empty.
  std::string_view authority;
  // What goes upstream as the target, never empty: "/" or "*" at least. It begins with '?' for an
  // absolute-form target without a path ("http://h?q"): a slice cannot hold the "/" that goes
  // before.
  std::string_view path_and_query;
  TargetForm form = TargetForm::kOrigin;
  bool is_head = false;
  bool is_safe = false;            // RFC 9110 section 9.2.1: changes nothing
  bool is_idempotent = false;      // RFC 9110 section 9.2.2: may be sent twice
  bool expects_continue = false;   // there is a body, held back until 100 (Continue) comes
  std::int32_t max_forwards = -1;  // of OPTIONS and TRACE; -1: none
};

struct RequestHead : RequestStart, MessageHead {
  // path_and_query up to the '?'; "/" if nothing is before it.
  std::string_view path() const noexcept;
  // The value of a cookie, or an empty view with data() == nullptr. RFC 6265 section 5.4.
  std::string_view cookie(std::string_view name) const noexcept;
};

struct ResponseStart {
  std::uint16_t status = 0;
  std::string_view reason;
};

struct ResponseHead : ResponseStart, MessageHead {};

}  // namespace ringmaster
