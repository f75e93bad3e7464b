// A second reader of HTTP/1.1, for the oracle: written from the grammar of RFC 9110, 9112 and 3986
// for clarity alone, with no line and no table of the product's parsers, so that a mistake would
// have to be made twice. It reads whole messages in memory, copies freely, and refuses everything
// that two readers have ever understood differently.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace ringmaster::fuzz {

using FieldLine = std::pair<std::string, std::string>;  // name as written; value without the blanks
                                                        // around it
using FieldLines = std::vector<FieldLine>;

bool is_token(std::string_view text);                    // RFC 9110 section 5.6.2
bool same_name(std::string_view a, std::string_view b);  // in any case
std::size_t count_of(const FieldLines& fields, std::string_view name);
// The values of all fields of that name, in their order.
std::vector<std::string> values_of(const FieldLines& fields, std::string_view name);
// The members of a comma-separated list without the blanks around them; no quoted strings.
std::vector<std::string> all_members_of(const std::vector<std::string>& values);
// The same without the empty ones, which mean nothing (RFC 9110 section 5.6.1).
std::vector<std::string> members_of(const std::vector<std::string>& values);

struct StrictLimits {
  std::size_t head_bytes;
  std::size_t fields;
  std::size_t chunk_line_bytes;  // size, extensions, CRLF
  std::size_t trailer_bytes;     // the empty line included
};

enum class StrictFraming : std::uint8_t { kNone, kLength, kChunked, kUntilClose };

struct StrictMessage {
  FieldLines fields;
  StrictFraming framing = StrictFraming::kNone;
  std::uint64_t length = 0;  // of kLength
  bool is_11 = false;        // HTTP/1.1 or a later minor version
  std::size_t head_size = 0;
  // The body as far as it is there and sound. `size` is of the whole message, once it is complete.
  std::string body;
  FieldLines trailers;
  bool is_complete = false;
  std::size_t size = 0;
};

struct StrictRequest : StrictMessage {
  std::string method;
  std::string target;            // as written
  std::string authority;         // of an absolute-form target, else of Host
  std::string forwarded_target;  // in origin-form or asterisk-form (RFC 9112 section 3.2)
};

struct StrictResponse : StrictMessage {
  int status = 0;
  std::string reason;
};

// What a response's framing depends on besides itself.
struct ResponseContext {
  bool to_head;  // it answers a HEAD request
  bool at_end;   // no byte will follow: the connection has ended
};

// The message that `bytes` begin with; nothing if its head is not there as a whole, or is not
// valid. The body may still be incomplete, or break off where it is not valid.
std::optional<StrictRequest> read_request(std::string_view bytes, const StrictLimits& limits);
std::optional<StrictResponse> read_response(std::string_view bytes, const StrictLimits& limits,
                                            ResponseContext context);

}  // namespace ringmaster::fuzz
