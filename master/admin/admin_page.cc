#include "master/admin/admin_page.h"

#include <algorithm>

// What master/admin/page/assemble.cmake made.
extern "C" {
extern const char ringmaster_page_html[], ringmaster_page_html_end[];
extern const char ringmaster_page_gzip[], ringmaster_page_gzip_end[];
extern const char ringmaster_page_policy[];  // the Content-Security-Policy
extern const char ringmaster_page_id[];
}

namespace ringmaster {
namespace {

// Is `name` in a list such as "text/html, image/*;q=0.8" (RFC 9110 section 12.4), and not refused
// with a weight of 0?
bool accepts(std::string_view list, std::string_view name) {
  while (!list.empty()) {
    const std::size_t comma = list.find(',');
    std::string_view item = list.substr(0, comma);
    list = comma == list.npos ? std::string_view() : list.substr(comma + 1);
    item.remove_prefix(std::min(item.find_first_not_of(" \t"), item.size()));
    if (item.substr(0, item.find_first_of("; \t")) != name) continue;
    const std::size_t weight = item.find("q=0");
    return weight == item.npos || item.find_first_of("123456789", weight) != item.npos;
  }
  return false;
}

std::string entity_tag(bool compressed) {
  return "\"" + std::string(ringmaster_page_id) + (compressed ? "-gzip\"" : "\"");
}

}  // namespace

std::string_view admin_page_id() {
  return ringmaster_page_id;
}

AdminResponse answer_with_page(const AdminRequest& request,
                               const std::function<std::string()>& text) {
  AdminResponse response;
  response.fields = {{"Vary", "Accept, Accept-Encoding"}};
  if (!accepts(request.field("accept"), "text/html")) {
    response.body = text();
    return response;
  }
  const bool compressed = accepts(request.field("accept-encoding"), "gzip");
  const std::string tag = entity_tag(compressed);
  response.content_type = "text/html; charset=utf-8";
  response.fields.insert(response.fields.end(),
                         {{"ETag", tag},
                          {"Cache-Control", "no-cache"},  // an upgrade may bring another page
                          {"Content-Security-Policy", ringmaster_page_policy},
                          {"Referrer-Policy", "no-referrer"},
                          {"Cross-Origin-Opener-Policy", "same-origin"},
                          {"X-Frame-Options", "DENY"}});
  if (request.field("if-none-match").find(tag) != std::string_view::npos) {
    response.status = 304;
    return response;
  }
  if (compressed) {
    response.fields.emplace_back("Content-Encoding", "gzip");
    response.body.assign(ringmaster_page_gzip, ringmaster_page_gzip_end);
  } else {
    response.body.assign(ringmaster_page_html, ringmaster_page_html_end);
  }
  return response;
}

}  // namespace ringmaster
