// /status as a table for people: what `ringmaster ctl status` prints.
#pragma once

#include <string>

namespace ringmaster {

// `json`: a body of /status. What cannot be read is returned as it is.
std::string render_status_table(const std::string& json);

}  // namespace ringmaster
