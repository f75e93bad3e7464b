#include "tests/e2e/wire/row.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <map>
#include <stdexcept>

#include "shared/message_fault.h"
#include "shared/reject_reason.h"
#include "tests/support/http.h"

namespace ringmaster::test {
namespace {

// ---- The one place that knows what Ringmaster adds ----

}  // namespace

std::string added_to_answer(const std::string& version, bool dated) {
  return "Via: " + version + " {via}\n" + (dated ? "Date: {date}\n" : "");
}

std::string added_for(const std::string& host, const std::string& version) {
  return "X-Forwarded-For: {ip}\nX-Forwarded-Proto: http\n" +
         (host.empty() ? "" : "X-Forwarded-Host: " + host + "\n") + "Via: " + version + " {via}\n";
}

namespace {

// Added to both, and different each time: left out before anything is compared.
constexpr std::array<std::string_view, 1> kNeverCompared = {"X-Request-Id"};

// --------------------------------------------------------------------------------------------------

void replace_all(std::string& text, std::string_view what, std::string_view with) {
  for (std::size_t at = 0; (at = text.find(what, at)) != std::string::npos; at += with.size()) {
    text.replace(at, what.size(), with);
  }
}

std::string lowered(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + 32);
  }
  return out;
}

// The value of a field in a head, lower-case; empty where there is none.
std::string field(std::string_view head, std::string_view name) {
  const std::string text = lowered(head);
  const std::string mark = "\r\n" + lowered(name) + ":";
  const std::size_t at = text.find(mark);
  if (at == std::string::npos) return "";
  std::size_t begin = at + mark.size();
  while (begin < text.size() && text[begin] == ' ') ++begin;
  return text.substr(begin, text.find("\r\n", begin) - begin);
}

// A chunked body taken apart.
struct Chunks {
  std::string data;
  std::string trailers;
  std::size_t size = 0;  // of the coding so far
  bool complete = false;
  bool broken = false;
};

Chunks read_chunks(std::string_view text) {
  Chunks chunks;
  const auto line = [&](std::string_view& out) {
    const std::size_t end = text.find("\r\n", chunks.size);
    if (end == std::string_view::npos) return false;
    out = text.substr(chunks.size, end - chunks.size);
    chunks.size = end + 2;
    return true;
  };
  std::string_view head;
  while (line(head)) {
    std::size_t size = 0;
    const auto end = std::from_chars(head.data(), head.data() + head.size(), size, 16);
    if (end.ec != std::errc() || end.ptr != head.data() + head.size()) {
      chunks.broken = true;
      return chunks;
    }
    if (size == 0) break;
    const std::size_t here = std::min(size, text.size() - chunks.size);
    chunks.data += text.substr(chunks.size, here);
    chunks.size += here;
    if (here < size || text.size() - chunks.size < 2) return chunks;
    if (text.substr(chunks.size, 2) != "\r\n") {
      chunks.broken = true;
      return chunks;
    }
    chunks.size += 2;
  }
  if (head != "0") return chunks;
  for (std::string_view trailer; line(trailer);) {
    if (trailer.empty()) {
      chunks.complete = true;
      return chunks;
    }
    chunks.trailers += std::string(trailer) + "\r\n";
  }
  return chunks;
}

// Where the message that begins at `begin` ends; its chunks, if it has any, become one.
struct Walked {
  std::string text;
  std::size_t size;
};

Walked walk_message(std::string_view text) {
  const std::size_t end = text.find("\r\n\r\n");
  if (end == std::string_view::npos) return {std::string(text), text.size()};
  const std::string_view head = text.substr(0, end + 4);
  const std::string_view rest = text.substr(end + 4);
  if (field(head, "Transfer-Encoding") == "chunked") {
    const Chunks chunks = read_chunks(rest);
    if (chunks.broken) return {std::string(text), text.size()};
    std::string body;
    if (!chunks.data.empty()) body = chunk(chunks.data);
    if (chunks.complete) body += "0\r\n" + chunks.trailers + "\r\n";
    return {std::string(head) + body, chunks.complete ? head.size() + chunks.size : text.size()};
  }
  std::size_t size = 0;
  const std::string length = field(head, "Content-Length");
  std::from_chars(length.data(), length.data() + length.size(), size);
  // An answer to HEAD, say, tells a length and has no body.
  if (rest.starts_with("HTTP/1.1 ")) size = 0;
  size = std::min(size, rest.size());
  return {std::string(text.substr(0, head.size() + size)), head.size() + size};
}

std::string with_joined_chunks(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    const Walked message = walk_message(text);
    out += message.text;
    text.remove_prefix(message.size);
  }
  return out;
}

void drop_lines(std::string& text, std::string_view name) {
  const std::string mark = "\r\n" + std::string(name) + ": ";
  for (std::size_t at = 0; (at = text.find(mark, at)) != std::string::npos;) {
    text.erase(at, text.find("\r\n", at + 2) - at);
  }
}

// "ringmaster-1a2b3c4d" -> "{via}".
void name_via(std::string& text) {
  constexpr std::string_view kName = "ringmaster-";
  for (std::size_t at = 0; (at = text.find(kName, at)) != std::string::npos;) {
    const std::size_t size = text.find_first_not_of("0123456789abcdef", at + kName.size()) - at;
    if (size == kName.size() + 8) {
      text.replace(at, size, "{via}");
    } else {
      at += kName.size();
    }
  }
}

void name_dates(std::string& text) {
  constexpr std::string_view kMark = "\r\nDate: ";
  constexpr std::size_t kSize = 29;
  for (std::size_t at = 0; (at = text.find(kMark, at)) != std::string::npos;) {
    at += kMark.size();
    const std::size_t end = text.find("\r\n", at);
    if (end - at == kSize && text.compare(end - 4, 4, " GMT") == 0) {
      text.replace(at, kSize, "{date}");
    }
  }
}

// Of a 400, which rule was broken; its length only if it is right, or if there is no body to tell.
void name_faults(std::string& text) {
  constexpr std::string_view kStatus = "HTTP/1.1 400 Bad Request\r\n";
  constexpr std::string_view kLength = "Content-Length: ";
  for (std::size_t at = 0; (at = text.find(kStatus, at)) != std::string::npos;) {
    at += kStatus.size();
    const std::size_t head_end = text.find("\r\n\r\n", at);
    const std::size_t length_at = text.find(kLength, at) + kLength.size();
    if (head_end == std::string::npos || length_at > head_end) return;
    const std::string length = text.substr(length_at, text.find('\r', length_at) - length_at);
    for (const std::string_view fault : kMessageFaultTexts) {
      if (length != std::to_string(fault.size() + 1)) continue;
      if (text.compare(head_end + 4, fault.size(), fault) == 0) {
        text.replace(head_end + 4, fault.size(), "{fault}");
      } else if (head_end + 4 != text.size()) {
        continue;
      }
      text.replace(length_at, length.size(), "{fault}");
      break;
    }
  }
}

}  // namespace

std::string refusal(const std::string& label, bool close, bool head_only) {
  for (const auto& info : kRejectReasons) {
    if (info.label != label) continue;
    static const std::map<int, std::string> kPhrases = {{400, "Bad Request"},
                                                        {405, "Method Not Allowed"},
                                                        {408, "Request Timeout"},
                                                        {413, "Content Too Large"},
                                                        {414, "URI Too Long"},
                                                        {417, "Expectation Failed"},
                                                        {431, "Request Header Fields Too Large"},
                                                        {501, "Not Implemented"},
                                                        {502, "Bad Gateway"},
                                                        {503, "Service Unavailable"},
                                                        {504, "Gateway Timeout"},
                                                        {505, "HTTP Version Not Supported"},
                                                        {508, "Loop Detected"}};
    const bool is_bad = info.reason == RejectReason::kBadRequest;  // for one of many faults
    const std::string text = is_bad ? "{fault}" : std::string(info.text);
    const std::string length = is_bad ? "{fault}" : std::to_string(text.size() + 1);
    return "HTTP/1.1 " + std::to_string(info.status) + " " + kPhrases.at(info.status) +
           "\nDate: {date}\nContent-Type: text/plain\nContent-Length: " + length + "\n" +
           (info.status == 405 ? "Allow: GET, HEAD, POST, PUT, DELETE, OPTIONS, PATCH, TRACE\n"
                               : "") +
           (close ? "Connection: close\n" : "") + "\n" + (head_only ? "" : text + "{lf}");
  }
  throw std::logic_error("no such reason: " + label);
}

Row refused(std::string name, const char* rfc, std::string in, const char* label) {
  return {.name = std::move(name),
          .rfc = rfc,
          .in = std::move(in),
          .upstream = {},
          .said = {},
          .out = refusal(label),
          .client = Left::kClosed};
}

Row passes(std::string name, const char* rfc, std::string in, std::string upstream) {
  return {.name = std::move(name),
          .rfc = rfc,
          .in = std::move(in),
          .upstream = {std::move(upstream)},
          .said = {},
          .out = kOkOut,
          .backend = Left::kOpen};
}

Row passes_fields(std::string name, const char* rfc, std::string lines,
                  std::string upstream_lines) {
  return passes(std::move(name), rfc, "GET / HTTP/1.1\nHost: h\n" + std::move(lines) + "\n",
                "GET / HTTP/1.1\nHost: h\n" + std::move(upstream_lines) + "{added}\n");
}

Row answered(std::string name, const char* rfc, std::string said, std::string out, Left backend) {
  return {.name = std::move(name),
          .rfc = rfc,
          .in = kGet,
          .upstream = {kGetUpstream},
          .said = {{{.bytes = std::move(said)}}},
          .out = std::move(out),
          .backend = backend,
          .cut_request = false,
          .cut_response = true};
}

Row distrusted(std::string name, const char* rfc, std::string said) {
  return answered(std::move(name), rfc, std::move(said), refusal("bad_response", /*close=*/false),
                  Left::kClosed);
}

std::string expand(std::string_view text, std::string_view added, const std::string& ip,
                   const std::string& backend) {
  std::string out(text);
  replace_all(out, "{added}", added);
  replace_all(out, "\n", "\r\n");
  replace_all(out, "{cr}", "\r");
  replace_all(out, "{lf}", "\n");
  replace_all(out, "{nul}", std::string_view("\0", 1));
  replace_all(out, "{backend}", backend);
  if (!ip.empty()) replace_all(out, "{ip}", ip);
  return out;
}

std::string normalised(std::string bytes, const std::string& ip) {
  bytes = with_joined_chunks(bytes);
  for (const std::string_view name : kNeverCompared) drop_lines(bytes, name);
  name_via(bytes);
  name_faults(bytes);
  name_dates(bytes);
  replace_all(bytes, ip, "{ip}");
  return bytes;
}

Extent extent_of_request(std::string_view bytes) {
  Extent extent;
  const std::size_t end = bytes.find("\r\n\r\n");
  if (end == std::string_view::npos) return extent;
  extent.head_complete = true;
  const std::string_view head = bytes.substr(0, end + 4);
  const std::string_view rest = bytes.substr(end + 4);
  const std::string length = field(head, "Content-Length");
  const std::string coding = field(head, "Transfer-Encoding");
  if (!coding.empty()) {
    const Chunks chunks = read_chunks(rest);
    extent.complete = chunks.complete;
    // No request has two framings, or one that we have not written ourselves.
    extent.broken = chunks.broken || coding != "chunked" || !length.empty();
    extent.size = head.size() + chunks.size;
  } else {
    std::size_t size = 0;
    std::from_chars(length.data(), length.data() + length.size(), size);
    extent.complete = rest.size() >= size;
    extent.size = head.size() + size;
  }
  return extent;
}

Extent extent_of_response(std::string_view bytes, bool ended) {
  while (bytes.starts_with("HTTP/1.1 1")) {
    const std::size_t end = bytes.find("\r\n\r\n");
    if (end == std::string_view::npos) return {};
    bytes.remove_prefix(end + 4);
  }
  Extent extent = extent_of_request(bytes);
  const std::string_view head = bytes.substr(0, bytes.find("\r\n\r\n") + 2);
  const bool until_close = extent.head_complete && field(head, "Content-Length").empty() &&
                           field(head, "Transfer-Encoding").empty();
  if (until_close) extent.complete = ended;
  return extent;
}

}  // namespace ringmaster::test
