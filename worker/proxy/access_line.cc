#include "worker/proxy/access_line.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

namespace ringmaster {

// There is room for everything: no part is longer than the bounds in the header.
void AccessLineWriter::put(std::string_view text) noexcept {
  at_ = std::copy(text.begin(), text.end(), at_);
}

void AccessLineWriter::put_number(std::uint64_t number) noexcept {
  at_ = std::to_chars(at_, at_ + 20, number).ptr;
}

void AccessLineWriter::put_milliseconds(std::string_view key, std::uint64_t us,
                                        bool is_known) noexcept {
  put(key);
  if (!is_known) return put("null");
  put_number(us / 1000);
  const auto rest = static_cast<unsigned>(us % 1000);
  *at_++ = '.';
  *at_++ = static_cast<char>('0' + rest / 100);
  *at_++ = static_cast<char>('0' + rest / 10 % 10);
  *at_++ = static_cast<char>('0' + rest % 10);
}

// Bytes above ASCII are told by their value, \u0080 to \u00ff: a client may send any, and a line
// must be JSON all the same.
void AccessLineWriter::put_escaped(std::string_view text) noexcept {
  constexpr std::string_view kDigits = "0123456789abcdef";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte >= 0x20 && byte < 0x7f) {
      if (c == '"' || c == '\\') *at_++ = '\\';
      *at_++ = c;
    } else {
      put("\\u00");
      *at_++ = kDigits[byte >> 4];
      *at_++ = kDigits[byte & 15];
    }
  }
}

void AccessLineWriter::put_field(std::string_view key, std::string_view text) noexcept {
  put(key);
  if (text.empty()) return put("null");
  *at_++ = '"';
  put_escaped(text);
  *at_++ = '"';
}

// RFC 3339, in UTC. Many requests a second share its first part.
void AccessLineWriter::put_time(std::uint64_t us) noexcept {
  const auto second = static_cast<std::time_t>(us / 1'000'000);
  if (second != second_) {
    second_ = second;
    second_text_ = Rfc3339Second(second);
  }
  put(second_text_.text());
  *at_++ = '.';
  std::uint64_t rest = us % 1'000'000;
  for (int i = 5; i >= 0; --i, rest /= 10) at_[i] = static_cast<char>('0' + rest % 10);
  at_ += 6;
  *at_++ = 'Z';
}

std::string_view AccessLineWriter::write(const AccessLine& line) noexcept {
  const RequestRecord& r = line.record;
  at_ = out_.data();
  put(R"({"time":")");
  put_time(r.started_us);
  put_field(R"(","id":)", line.id);
  put(R"(,"client":")");
  at_ += r.client.format(at_);
  put_field(R"(","method":)", line.method.substr(0, kMostOtherBytes));
  put_field(R"(,"host":)", line.host.substr(0, kMostOtherBytes));
  put_field(R"(,"target":)", line.target.substr(0, kMostTargetBytes));
  if (line.target.size() > kMostTargetBytes) put(R"(,"target_cut":true)");
  put(R"(,"status":)");
  r.status == 0 ? put("null") : put_number(r.status);
  put_field(R"(,"outcome":)", kRequestOutcomeLabels[static_cast<std::size_t>(r.outcome)]);
  put_field(R"(,"reason":)", r.has_reason() ? describe(r.reason).label : std::string_view());
  const bool is_bad = r.has_reason() && r.reason == RejectReason::kBadRequest;
  put_field(R"(,"detail":)", is_bad ? describe(r.fault()) : describe(r.answer_fault()));
  put_field(R"(,"backend":)", line.backend);
  put(R"(,"retries":)");
  put_number(r.attempts == 0 ? 0u : r.attempts - 1u);
  put(r.has(RequestRecord::kReused) ? R"(,"reused":true)" : R"(,"reused":false)");
  put(R"(,"bytes_in":)");
  put_number(r.bytes_in);
  put(R"(,"bytes_out":)");
  put_number(r.bytes_out);
  put_milliseconds(R"(,"connect_ms":)", r.connect_us, r.connect_us != RequestRecord::kNever);
  put_milliseconds(R"(,"first_byte_ms":)", r.first_byte_us,
                   r.first_byte_us != RequestRecord::kNever);
  put_milliseconds(R"(,"total_ms":)", r.total_us, true);
  put(R"(,"worker":)");
  put_number(line.worker);
  put("}\n");
  return {out_.data(), static_cast<std::size_t>(at_ - out_.data())};
}

}  // namespace ringmaster
