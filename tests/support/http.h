// HTTP/1.1 as both the test's clients and its backends read it: strictly, with no code of the
// product, so that a message the product breaks is seen as broken.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tests/support/stream.h"

namespace ringmaster::test {

using Field = std::pair<std::string, std::string>;

// Header fields in their order; names are compared without regard to case.
struct Fields {
  std::vector<Field> all;

  bool has(std::string_view name) const { return count(name) > 0; }
  std::size_t count(std::string_view name) const;
  // The values of all fields of that name, joined with ", "; empty where there is none.
  std::string get(std::string_view name) const;
  // "Name: value\r\n" for each.
  std::string to_string() const;
};

// Where a body ends (RFC 9112 section 6.3).
enum class Framing { kNone, kLength, kChunked, kUntilClose };

struct Head {
  std::string raw;  // all its bytes, the empty line included
  std::string start_line;
  Fields fields;
};

// Both throw StreamError: kMalformed for what breaks the rules, kClosed where the stream ends early
// (with nothing at all read, the message is empty).
Head read_head(Stream& stream);
Head parse_head(std::string raw);

// What Content-Length and Transfer-Encoding say, or `otherwise`. kMalformed if they contradict.
Framing framing_of(const Fields& fields, Framing otherwise);
std::uint64_t content_length(const Fields& fields);

using Sink = std::function<void(std::string_view)>;
// Hands the body to `sink` piece by piece; returns the trailers.
Fields read_body(Stream& stream, Framing framing, const Fields& fields, const Sink& sink);

std::string chunk(std::string_view data);
bool equal_ignoring_case(std::string_view a, std::string_view b);

// `size` bytes that no proxy could lose, double or swap without a change of their checksum.
std::string pattern(std::size_t size);
// FNV-1a, to be fed piece by piece.
class Checksum {
 public:
  void add(std::string_view bytes);
  std::uint64_t value() const { return hash_; }
  std::uint64_t size() const { return size_; }
  friend bool operator==(const Checksum&, const Checksum&) = default;

 private:
  std::uint64_t hash_ = 14695981039346656037u;
  std::uint64_t size_ = 0;
};

}  // namespace ringmaster::test
