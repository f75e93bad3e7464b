// The HTTP client of `ringmaster ctl`: one request to the master over its control socket, one
// answer.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "shared/base/result.h"

namespace ringmaster {

struct ControlRequest {
  std::string_view method;
  std::string_view target;
  std::string_view fields = {};  // whole lines, each with its CRLF
  bool takes_its_time = false;   // a reload waits for its new workers; all else is answered at once
};

struct ControlAnswer {
  int status = 0;
  std::string body;
};

// Asks whoever listens at the first of `places` (paths) that answers. Blocks. The error says what
// to do.
Result<ControlAnswer> ask_master(const std::vector<std::string>& places,
                                 const ControlRequest& request);

}  // namespace ringmaster
