#include "worker/io/date_cache.h"

namespace ringmaster {

std::string_view DateCache::now() noexcept {
  return at(std::time(nullptr));  // no system call: read from the page that the kernel shows
}

std::string_view DateCache::at(std::time_t second) noexcept {
  if (second != second_) {
    second_ = second;
    date_ = HttpDate(second);
  }
  return date_.text();
}

}  // namespace ringmaster
