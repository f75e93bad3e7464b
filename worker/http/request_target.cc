#include "worker/http/request_target.h"

#include "worker/http/grammar.h"

namespace ringmaster {

namespace {

void classify_method(RequestHead& head) noexcept {
  const std::string_view m = head.method;
  head.is_head = m == "HEAD";
  head.is_safe = head.is_head || m == "GET" || m == "OPTIONS" || m == "TRACE";
  head.is_idempotent = head.is_safe || m == "PUT" || m == "DELETE";
}

// The length of "http://" or "https://" at the start of the target, else 0.
std::size_t scheme_length(std::string_view target) noexcept {
  if (starts_with_ignore_case(target, "http://")) return 7;
  if (starts_with_ignore_case(target, "https://")) return 8;
  return 0;
}

bool read_absolute_form(RequestHead& head, std::size_t scheme) noexcept {
  const std::string_view rest = head.target.substr(scheme);
  const std::size_t end = rest.find_first_of("/?");
  head.form = RequestHead::TargetForm::kAbsolute;
  head.authority = rest.substr(0, end);
  if (end != std::string_view::npos) {
    head.path_and_query = rest.substr(end);
  } else {
    head.path_and_query = head.method == "OPTIONS" ? "*" : "/";  // RFC 9112 section 3.2.4
  }
  return is_authority(head.authority);
}

}  // namespace

std::optional<Refusal> interpret_request_line(RequestHead& head) noexcept {
  classify_method(head);
  head.authority = {};
  head.path_and_query = head.target;
  if (head.method == "CONNECT") return RejectReason::kMethodNotAllowed;
  if (head.target.front() == '/') {
    head.form = RequestHead::TargetForm::kOrigin;
    return std::nullopt;
  }
  if (head.target == "*") {
    head.form = RequestHead::TargetForm::kAsterisk;
    if (head.method != "OPTIONS") return MessageFault::kTarget;
    return std::nullopt;
  }
  const std::size_t scheme = scheme_length(head.target);
  if (scheme == 0 || !read_absolute_form(head, scheme)) return MessageFault::kTarget;
  return std::nullopt;
}

}  // namespace ringmaster
