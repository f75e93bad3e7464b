// /status/ring: the hash ring as a picture of it needs it: evenly spaced places, each with whose it
// is and who serves it now, and how much of the ring backends took over from those that are out of
// use. Reads only. Owner: the Master; one at a time asks.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "master/reports/report_source.h"

namespace ringmaster {

// How many places of the ring are told of: half a degree each.
inline constexpr std::uint32_t kRingPlaces = 720;

class RingReport {
 public:
  // JSON. Walks the whole ring, but only when a backend has come into use or left it since the last
  // report: whoever asks often costs the master nothing.
  const std::string& render(const ReportSource& source);

 private:
  // Owned: the last report, and what it was made of.
  std::string report_;
  std::vector<std::uint8_t> states_;
  std::uint32_t generation_ = 0;
};

}  // namespace ringmaster
