// The current time as Date has it (RFC 9110 section 5.6.7), formatted once a second at most and
// only where somebody asks. One a worker.
#pragma once

#include <ctime>
#include <string_view>

#include "shared/base/http_date.h"

namespace ringmaster {

class DateCache {
 public:
  // "Sun, 06 Nov 1994 08:49:37 GMT"; valid until the next call.
  std::string_view now() noexcept;
  // As it is at `second` since 1970. Precondition: not before 1970.
  std::string_view at(std::time_t second) noexcept;

 private:
  std::time_t second_ = 0;  // that date_ shows
  HttpDate date_{second_};
};

}  // namespace ringmaster
