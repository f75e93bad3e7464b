// Debian's Prometheus as an operator runs it: the shipped configuration and rules, with only the
// address of the balancer and the intervals changed, and its data in a directory that goes with it.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "tests/support/files.h"
#include "tests/support/process.h"
#include "tests/support/stream.h"

namespace ringmaster::test {

// `text` with `with` wherever `what` was.
std::string replace_all(std::string text, const std::string& what, const std::string& with);

struct Sample {
  std::map<std::string, std::string> labels;
  double value = 0;
};

class Prometheus {
 public:
  // Scrapes `target` from now on. Throws std::runtime_error if it does not start.
  explicit Prometheus(const Endpoint& target);
  ~Prometheus();

  // Instant queries. Throws std::runtime_error for one that Prometheus refuses.
  std::vector<Sample> query(const std::string& expression) const;
  // Of the one sample it yields; NaN if there is none, or more.
  double value(const std::string& expression) const;

  // How often `target` was scraped with success.
  double scrapes() const;
  // Until what is true of the target now has been scraped: two further scrapes.
  [[nodiscard]] bool wait_for_scrape() const;

  static constexpr const char* kScrapeInterval = "250ms";

 private:
  TempDir dir_;
  const Endpoint endpoint_;
  Process process_;
};

}  // namespace ringmaster::test
