#include "tests/support/http.h"

#include <algorithm>
#include <cctype>
#include <charconv>

namespace ringmaster::test {
namespace {

[[noreturn]] void malformed(const std::string& what) {
  throw StreamError(StreamError::Kind::kMalformed, what);
}

bool is_token(std::string_view text) {
  constexpr std::string_view kMarks = "!#$%&'*+-.^_`|~";
  return !text.empty() && std::all_of(text.begin(), text.end(), [&](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) != 0 ||
           kMarks.find(c) != std::string_view::npos;
  });
}

std::string_view trim(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

std::uint64_t number(std::string_view digits, int base) {
  std::uint64_t value = 0;
  const char* end = digits.data() + digits.size();
  const auto [at, error] = std::from_chars(digits.data(), end, value, base);
  if (digits.empty() || error != std::errc() || at != end) {
    malformed("not a number: " + std::string(digits));
  }
  return value;
}

Field parse_field(std::string_view line) {
  const std::size_t colon = line.find(':');
  if (colon == std::string_view::npos) malformed("no colon: " + std::string(line));
  const std::string_view name = line.substr(0, colon);
  if (!is_token(name)) malformed("bad field name: " + std::string(line));
  const std::string_view value = trim(line.substr(colon + 1));
  if (value.find_first_of(std::string_view("\r\n\0", 3)) != std::string_view::npos) {
    malformed("bad field value: " + std::string(line));
  }
  return {std::string(name), std::string(value)};
}

// The lines of a block that ends with an empty line, without their CRLF.
std::vector<std::string_view> lines_of(std::string_view block) {
  std::vector<std::string_view> lines;
  while (!block.empty()) {
    const std::size_t end = block.find("\r\n");
    if (end == 0 || end == std::string_view::npos) break;
    lines.push_back(block.substr(0, end));
    block.remove_prefix(end + 2);
  }
  return lines;
}

Fields read_chunks(Stream& stream, const Sink& sink) {
  for (;;) {
    std::string line = stream.read_until("\r\n", 4096);
    line.resize(line.size() - 2);
    std::uint64_t left = number(std::string_view(line).substr(0, line.find(';')), 16);
    if (left == 0) break;
    while (left > 0) {
      const std::string piece = stream.read_some(std::min<std::uint64_t>(left, 1 << 16));
      if (piece.empty()) throw StreamError(StreamError::Kind::kClosed, "ended inside a chunk");
      left -= piece.size();
      sink(piece);
    }
    if (stream.read_exactly(2) != "\r\n") malformed("no line end behind a chunk");
  }
  Fields trailers;
  for (;;) {
    std::string line = stream.read_until("\r\n", 65536);
    if (line == "\r\n") return trailers;
    trailers.all.push_back(parse_field(std::string_view(line).substr(0, line.size() - 2)));
  }
}

}  // namespace

bool equal_ignoring_case(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](char x, char y) {
    return std::tolower(static_cast<unsigned char>(x)) ==
           std::tolower(static_cast<unsigned char>(y));
  });
}

std::size_t Fields::count(std::string_view name) const {
  return static_cast<std::size_t>(std::count_if(all.begin(), all.end(), [&](const Field& field) {
    return equal_ignoring_case(field.first, name);
  }));
}

std::string Fields::get(std::string_view name) const {
  std::string joined;
  bool first = true;
  for (const auto& [key, value] : all) {
    if (!equal_ignoring_case(key, name)) continue;
    if (!first) joined += ", ";
    joined += value;
    first = false;
  }
  return joined;
}

std::string Fields::to_string() const {
  std::string text;
  for (const auto& [name, value] : all) text += name + ": " + value + "\r\n";
  return text;
}

Head read_head(Stream& stream) {
  return parse_head(stream.read_until("\r\n\r\n"));
}

Head parse_head(std::string raw) {
  Head head;
  const auto lines = lines_of(raw);
  if (lines.empty()) malformed("an empty line where a head should be");
  head.start_line = std::string(lines.front());
  for (std::size_t i = 1; i < lines.size(); ++i) head.fields.all.push_back(parse_field(lines[i]));
  head.raw = std::move(raw);
  return head;
}

Framing framing_of(const Fields& fields, Framing otherwise) {
  const bool has_length = fields.has("Content-Length");
  if (!fields.has("Transfer-Encoding")) return has_length ? Framing::kLength : otherwise;
  if (has_length) malformed("both Content-Length and Transfer-Encoding");
  if (!equal_ignoring_case(fields.get("Transfer-Encoding"), "chunked")) {
    malformed("Transfer-Encoding: " + fields.get("Transfer-Encoding"));
  }
  return Framing::kChunked;
}

std::uint64_t content_length(const Fields& fields) {
  return number(fields.get("Content-Length"), 10);
}

Fields read_body(Stream& stream, Framing framing, const Fields& fields, const Sink& sink) {
  if (framing == Framing::kChunked) return read_chunks(stream, sink);
  std::uint64_t left = framing == Framing::kLength ? content_length(fields) : 0;
  while (left > 0) {
    const std::string piece = stream.read_some(std::min<std::uint64_t>(left, 1 << 16));
    if (piece.empty()) {
      throw StreamError(StreamError::Kind::kClosed,
                        "the body ended " + std::to_string(left) + " bytes early");
    }
    left -= piece.size();
    sink(piece);
  }
  if (framing == Framing::kUntilClose) {
    for (std::string piece; !(piece = stream.read_some()).empty();) sink(piece);
  }
  return {};
}

std::string chunk(std::string_view data) {
  char digits[17];
  const auto result = std::to_chars(digits, digits + sizeof digits, data.size(), 16);
  return std::string(digits, result.ptr) + "\r\n" + std::string(data) + "\r\n";
}

std::string pattern(std::size_t size) {
  std::string bytes(size, '\0');
  std::uint64_t state = 0x9E3779B97F4A7C15u;
  for (char& byte : bytes) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    byte = static_cast<char>('!' + (state >> 58));
  }
  return bytes;
}

void Checksum::add(std::string_view bytes) {
  for (const char byte : bytes) {
    hash_ = (hash_ ^ static_cast<unsigned char>(byte)) * 1099511628211u;
  }
  size_ += bytes.size();
}

}  // namespace ringmaster::test
