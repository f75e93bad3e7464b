// The page at / of the admin endpoint, as it was assembled from master/admin/page at build time:
// one document that needs nothing else from anywhere.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "master/admin/admin_message.h"

namespace ringmaster {

// Which page this binary holds: a digest of all that it is made of.
std::string_view admin_page_id();

// Answers a request for /: HTML for who asks for HTML (a browser), else `text()`, for who asks with
// curl.
AdminResponse answer_with_page(const AdminRequest& request,
                               const std::function<std::string()>& text);

}  // namespace ringmaster
