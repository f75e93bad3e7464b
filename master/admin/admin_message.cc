#include "master/admin/admin_message.h"

#include <fmt/format.h>

#include <algorithm>
#include <ctime>
#include <iterator>

#include "shared/base/http_date.h"

namespace ringmaster {
namespace {

std::string_view reason_phrase(int status) noexcept {
  switch (status) {
    case 200:
      return "OK";
    case 304:
      return "Not Modified";
    case 400:
      return "Bad Request";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 408:
      return "Request Timeout";
    case 409:
      return "Conflict";
    case 413:
      return "Content Too Large";
    case 431:
      return "Request Header Fields Too Large";
    case 500:
      return "Internal Server Error";
    case 503:
      return "Service Unavailable";
    case 505:
      return "HTTP Version Not Supported";
    default:
      return "";
  }
}

}  // namespace

std::string_view AdminRequest::field(std::string_view name) const noexcept {
  const auto it = std::find_if(fields.begin(), fields.end(),
                               [name](const auto& field) { return field.first == name; });
  return it != fields.end() ? std::string_view(it->second) : std::string_view();
}

std::string write_admin_head(const AdminResponse& response, const AdminDelivery& delivery) {
  std::string head;
  auto out = std::back_inserter(head);
  fmt::format_to(out, "HTTP/1.1 {} {}\r\nDate: {}\r\n", response.status,
                 reason_phrase(response.status), HttpDate(std::time(nullptr)).text());
  if (response.status != 304) {  // which is the same as before, and says nothing of it
    fmt::format_to(out, "Content-Type: {}\r\nContent-Length: {}\r\n", response.content_type,
                   response.body.size());
  }
  const bool may_be_kept =
      std::any_of(response.fields.begin(), response.fields.end(),
                  [](const auto& field) { return field.first == "Cache-Control"; });
  if (!may_be_kept) head += "Cache-Control: no-store\r\n";
  head += "X-Content-Type-Options: nosniff\r\n";
  for (const auto& [name, value] : response.fields) {
    fmt::format_to(out, "{}: {}\r\n", name, value);
  }
  if (!delivery.keep_alive) head += "Connection: close\r\n";
  if (delivery.keep_alive && delivery.http_1_0) head += "Connection: keep-alive\r\n";
  head += "\r\n";
  return head;
}

}  // namespace ringmaster
