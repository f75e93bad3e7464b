// What a handler of the admin endpoint gets and gives: plain values, no sockets.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace ringmaster {

struct AdminRequest {
  std::string method;  // "GET" (also of a HEAD) or "POST"
  std::string path;    // without the query, as sent: nothing is percent-decoded
  std::string query;   // after the '?', or empty
  std::vector<std::pair<std::string, std::string>> fields;  // names in lower case

  int connection = -1;  // borrowed: for a handler that keeps a duplicate and answers later

  // The value of the first field of that name (in lower case), or "".
  std::string_view field(std::string_view name) const noexcept;
};

struct AdminResponse {
  int status = 200;  // kAnsweredLater: nothing is sent, by us
  std::string content_type = "text/plain; charset=utf-8";
  std::string body;
  std::vector<std::pair<std::string, std::string>> fields = {};  // further ones
};

// The handler has taken a duplicate of the connection; this end is let go.
inline constexpr int kAnsweredLater = 0;

using AdminHandler = std::function<AdminResponse(const AdminRequest&)>;
using AdminRoutes = std::map<std::string, AdminHandler, std::less<>>;  // by exact path

// How a response is sent: everything before the body.
struct AdminDelivery {
  bool keep_alive;
  bool http_1_0;
};
std::string write_admin_head(const AdminResponse& response, const AdminDelivery& delivery);

}  // namespace ringmaster
