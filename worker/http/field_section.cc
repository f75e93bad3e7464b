// llhttp knows requests and responses, not field sections: so each section continues a copy of a
// parser that has read a harmless start line. Fields are the same in both directions; one copy
// serves both.
#include "worker/http/field_section.h"

#include <limits>

#include "worker/http/char_class.h"
#include "worker/http/grammar.h"

namespace ringmaster {

namespace {

constexpr int kGoOn = 0;
constexpr int kStop = HPE_USER;

// By their nature hop-by-hop (RFC 9110 section 7.6.1), or written anew from what was parsed.
bool is_hop_by_hop(FieldId id, std::string_view name) noexcept {
  switch (id) {
    case FieldId::kAlias:  // some readers behind us would take it for what it is not
    case FieldId::kConnection:
    case FieldId::kContentLength:
    case FieldId::kHttp2Settings:
    case FieldId::kKeepAlive:
    case FieldId::kProxyAuthenticate:
    case FieldId::kProxyAuthenticationInfo:
    case FieldId::kProxyAuthorization:
    case FieldId::kProxyConnection:
    case FieldId::kTe:
    case FieldId::kTransferEncoding:
    case FieldId::kUpgrade:
      return true;
    case FieldId::kOther:  // all of Proxy-*, but Proxy-Status is end-to-end (RFC 9209 section 2)
      return to_lower(name[0]) == 'p' && starts_with_ignore_case(name, "proxy-") &&
             !equals_ignore_case(name, "proxy-status");
    default:
      return false;
  }
}

int on_headers_complete(llhttp_t*) noexcept {
  return HPE_PAUSED;
}  // the body is not for llhttp

}  // namespace

const llhttp_t& FieldSection::after_start_line() noexcept {
  static const llhttp_settings_t settings = [] {
    llhttp_settings_t s;
    llhttp_settings_init(&s);
    s.on_header_field = on_name;
    s.on_header_value = on_value;
    s.on_headers_complete = on_headers_complete;
    return s;
  }();
  static const llhttp_t snapshot = [] {
    constexpr std::string_view kStartLine = "GET / HTTP/1.1\r\n";
    llhttp_t parser;
    llhttp_init(&parser, HTTP_REQUEST, &settings);
    llhttp_execute(&parser, kStartLine.data(), kStartLine.size());
    return parser;
  }();
  return snapshot;
}

void FieldSection::start(std::uint32_t first) noexcept {
  llhttp_ = after_start_line();
  first_ = consumed_ = line_ = first;
  count_ = 0;
  part_ = Part::kLineStart;
}

FieldSection::Result FieldSection::parse(std::uint32_t end, MessageHead& head) noexcept {
  const bool in_one_go = consumed_ == first_;
  Result result = run(end, head);
  if (result == Result::kComplete && !in_one_go) {
    // The fields found in earlier calls were not kept: `head` may have served another connection
    // since. One more pass, once, costs less than 4 KiB in every connection.
    start(first_);
    result = run(end, head);
  }
  if (result == Result::kComplete) head.field_count = count_;
  return result;
}

FieldSection::Result FieldSection::run(std::uint32_t end, MessageHead& head) noexcept {
  head_ = &head;
  end_ = end;
  llhttp_.data = this;
  const auto stopped = llhttp_execute(&llhttp_, head.bytes + consumed_, end - consumed_);
  consumed_ = end;
  if (stopped == HPE_OK) return Result::kIncomplete;
  if (count_ > kMaxFields) return Result::kTooMany;
  // Complete only if the empty line stands exactly where the last field line ended.
  const bool complete = stopped == HPE_PAUSED && part_ == Part::kLineStart && line_ + 2 <= end &&
                        ends_line_before(line_) && head.bytes[line_] == '\r' &&
                        head.bytes[line_ + 1] == '\n';
  return complete ? Result::kComplete : Result::kMalformed;
}

int FieldSection::on_name(llhttp_t* llhttp, const char* at, std::size_t size) noexcept {
  auto& self = *static_cast<FieldSection*>(llhttp->data);
  // llhttp gives a few fields a meaning, and would refuse some on its own grounds. Without this
  // note it takes them for ordinary ones, and the verdict is ours alone.
  llhttp->header_state = 0;
  const auto offset = static_cast<std::uint32_t>(at - self.head_->bytes);
  return self.extend_name(offset, static_cast<std::uint32_t>(size)) ? kGoOn : kStop;
}

int FieldSection::on_value(llhttp_t* llhttp, const char* at, std::size_t size) noexcept {
  auto& self = *static_cast<FieldSection*>(llhttp->data);
  const auto offset = static_cast<std::uint32_t>(at - self.head_->bytes);
  return self.extend_value(offset, static_cast<std::uint32_t>(size)) ? kGoOn : kStop;
}

bool FieldSection::extend_name(std::uint32_t at, std::uint32_t size) noexcept {
  if (part_ == Part::kLineStart) {
    if (at != line_ || !ends_line_before(at)) return false;
    part_ = Part::kName;
  } else if (part_ != Part::kName || at != name_end_) {
    return false;
  }
  name_end_ = at + size;
  return name_end_ != line_ || name_end_ == end_;  // a colon right at the start: no name
}

bool FieldSection::extend_value(std::uint32_t at, std::uint32_t size) noexcept {
  // An empty value is reported late: where the next line begins.
  if (part_ == Part::kName && size == 0) return finish_empty_value(at);
  if (part_ == Part::kName) {
    if (!begin_value(at)) return false;
  } else if (part_ != Part::kValue || at != value_end_) {
    return false;  // a second value for one name: the line was folded (RFC 9112 section 5.2)
  }
  value_end_ = at + size;
  if (value_end_ == end_) return true;  // more may follow
  return head_->bytes[value_end_] == '\r' && finish_line();
}

// Only a colon and white space may stand between a name and its value.
bool FieldSection::begin_value(std::uint32_t at) noexcept {
  const char* const bytes = head_->bytes;
  if (bytes[name_end_] != ':') return false;
  for (std::uint32_t i = name_end_ + 1; i < at; ++i) {
    if (!is_blank(bytes[i])) return false;
  }
  value_ = at;
  part_ = Part::kValue;
  return true;
}

bool FieldSection::finish_empty_value(std::uint32_t next_line) noexcept {
  if (next_line < name_end_ + 3 || !begin_value(next_line - 2)) return false;
  value_end_ = value_;
  return head_->bytes[value_end_] == '\r' && finish_line();
}

bool FieldSection::finish_line() noexcept {
  const char* const bytes = head_->bytes;
  const std::string_view name(bytes + line_, name_end_ - line_);
  const std::string_view value = trim_blanks({bytes + value_, value_end_ - value_});
  if (++count_ > kMaxFields || name.size() > std::numeric_limits<std::uint16_t>::max()) {
    count_ = kMaxFields + 1;
    return false;
  }
  if (!is_token(name) || !is_field_value(value)) return false;
  const FieldId id = field_id(name);
  head_->fields[count_ - 1] = {.name_at = line_,
                               .value_at = static_cast<std::uint32_t>(value.data() - bytes),
                               .value_size = static_cast<std::uint32_t>(value.size()),
                               .name_size = static_cast<std::uint16_t>(name.size()),
                               .id = id,
                               .hop_by_hop = is_hop_by_hop(id, name)};
  line_ = value_end_ + 2;
  part_ = Part::kLineStart;
  return true;
}

// The line before `at` ended in CRLF: its CR was seen when it was finished.
bool FieldSection::ends_line_before(std::uint32_t at) const noexcept {
  return head_->bytes[at - 1] == '\n';
}

}  // namespace ringmaster
