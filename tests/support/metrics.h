// What /metrics says, read strictly: by a parser that shares no code with the product and refuses
// what a Prometheus server would.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace ringmaster::test {

// Prometheus samples: `name` or `name{a="x",b="y"}`, labels in alphabetical order, to their value.
class Metrics {
 public:
  // Throws std::runtime_error for a line that is not of the text format, or a series given twice.
  explicit Metrics(std::string text);

  bool has(const std::string& series) const { return values_.count(series) > 0; }
  // 0 where there is no such series.
  double get(const std::string& series) const;
  // The sum over all series of that name whose labels include all of `labels` (`a="x"` each).
  double sum(std::string_view name, const std::vector<std::string>& labels = {}) const;
  const std::map<std::string, double>& all() const { return values_; }
  // The series that may only grow, by their TYPE: of counters, and all of histograms.
  std::map<std::string, double> counters() const;
  const std::string& text() const { return text_; }

 private:
  std::string text_;
  std::map<std::string, double> values_;
};

}  // namespace ringmaster::test
