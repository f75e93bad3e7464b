#include "master/admin/admin_parser.h"

#include <algorithm>

namespace ringmaster {
namespace {

char to_lower(char c) noexcept {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
}

}  // namespace

AdminParser::AdminParser(std::size_t max_head_bytes, bool accepts_post) noexcept
    : max_head_bytes_(max_head_bytes), accepts_post_(accepts_post) {
  reset();
}

void AdminParser::reset() {
  llhttp_init(&llhttp_, HTTP_REQUEST, &settings());
  llhttp_.data = this;
  fed_ = 0;
  complete_ = false;
  name_complete_ = true;
  keep_alive_ = false;
  target_.clear();
  request_ = {};
}

// All parts may come in pieces. The end of the head is the end of the request: one with a body is
// refused.
const llhttp_settings_t& AdminParser::settings() {
  static const llhttp_settings_t settings = [] {
    llhttp_settings_t s;
    llhttp_settings_init(&s);
    s.on_url = [](llhttp_t* parser, const char* at, std::size_t size) noexcept {
      static_cast<AdminParser*>(parser->data)->target_.append(at, size);
      return 0;
    };
    s.on_header_field = [](llhttp_t* parser, const char* at, std::size_t size) noexcept {
      static_cast<AdminParser*>(parser->data)->append_to_name({at, size});
      return 0;
    };
    s.on_header_field_complete = [](llhttp_t* parser) noexcept {
      static_cast<AdminParser*>(parser->data)->name_complete_ = true;
      return 0;
    };
    s.on_header_value = [](llhttp_t* parser, const char* at, std::size_t size) noexcept {
      auto& fields = static_cast<AdminParser*>(parser->data)->request_.fields;
      if (!fields.empty()) fields.back().second.append(at, size);
      return 0;
    };
    s.on_headers_complete = [](llhttp_t* parser) noexcept {
      static_cast<AdminParser*>(parser->data)->complete_ = true;
      return static_cast<int>(HPE_PAUSED);
    };
    return s;
  }();
  return settings;
}

void AdminParser::append_to_name(std::string_view piece) {
  if (name_complete_) request_.fields.emplace_back();
  name_complete_ = false;
  std::string& name = request_.fields.back().first;
  std::transform(piece.begin(), piece.end(), std::back_inserter(name), to_lower);
}

AdminParser::Status AdminParser::parse(std::string_view bytes, std::size_t& consumed) {
  consumed = std::min(bytes.size(), max_head_bytes_ + 1 - fed_);
  const llhttp_errno_t error = llhttp_execute(&llhttp_, bytes.data(), consumed);
  if (complete_) consumed = static_cast<std::size_t>(llhttp_get_error_pos(&llhttp_) - bytes.data());
  fed_ += consumed;
  // First what comes first, so that the verdict does not hang on how the bytes arrive.
  if (!complete_ && error != HPE_OK) return refuse(400, "the request is not HTTP/1.1");
  if (fed_ > max_head_bytes_) return refuse(431, "the request head is too large");
  return complete_ ? judge() : Status::kIncomplete;
}

AdminParser::Status AdminParser::judge() {
  if (llhttp_.http_major != 1 || llhttp_.http_minor > 1) {
    return refuse(505, "only HTTP/1.0 and HTTP/1.1 are supported");
  }
  const bool is_post = accepts_post_ && llhttp_.method == HTTP_POST;
  if (llhttp_.method != HTTP_GET && llhttp_.method != HTTP_HEAD && !is_post) {
    refusal_.fields = {{"Allow", accepts_post_ ? "GET, HEAD, POST" : "GET, HEAD"}};
    return refuse(405, accepts_post_ ? "only GET, HEAD and POST"
                                     : "only GET and HEAD: nothing can be changed here");
  }
  const auto hosts = std::count_if(request_.fields.begin(), request_.fields.end(),
                                   [](const auto& field) { return field.first == "host"; });
  if (hosts > 1 || (hosts == 0 && !is_http_1_0())) {
    return refuse(400, "exactly one Host field is needed");
  }
  if (has_body()) return refuse(413, "request bodies are not accepted");
  keep_alive_ = llhttp_should_keep_alive(&llhttp_) != 0;
  request_.method = is_post ? "POST" : "GET";
  split_target();
  return Status::kComplete;
}

bool AdminParser::has_body() const noexcept {
  return (llhttp_.flags & (F_CHUNKED | F_TRANSFER_ENCODING)) != 0 ||
         ((llhttp_.flags & F_CONTENT_LENGTH) != 0 && llhttp_.content_length > 0);
}

// Origin form, or absolute form as sent to a proxy (RFC 9112 section 3.2).
void AdminParser::split_target() {
  std::string_view target = target_;
  if (const auto scheme = target.find("://"); target.front() != '/' && scheme != target.npos) {
    const auto path = target.find_first_of("/?", scheme + 3);
    target = path == target.npos ? std::string_view("/") : target.substr(path);
  }
  const auto question_mark = target.find('?');
  request_.path = target.substr(0, question_mark);
  if (request_.path.empty()) request_.path = "/";
  if (question_mark != target.npos) request_.query = target.substr(question_mark + 1);
}

AdminParser::Status AdminParser::refuse(int status, std::string_view why) {
  refusal_.status = status;
  refusal_.body = std::string(why) + "\n";
  return Status::kRefused;
}

}  // namespace ringmaster
