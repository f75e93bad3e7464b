// Reads the Prometheus text format, strictly enough to notice what a scraper would refuse.
#pragma once

#include <gtest/gtest.h>

#include <map>
#include <set>
#include <sstream>
#include <string>
#include <vector>

namespace ringmaster::test {

class Exposition {
 public:
  explicit Exposition(const std::string& text) {
    EXPECT_TRUE(text.ends_with("\n"));
    std::istringstream lines(text);
    for (std::string line; std::getline(lines, line);) read(line);
  }

  // A series as it is written, labels included: `requests_total{backend="s1"}`.
  double value(const std::string& series) const {
    const auto it = values_.find(series);
    if (it != values_.end()) return it->second;
    ADD_FAILURE() << "no series " << series;
    return -1;
  }
  bool has(const std::string& series) const { return values_.contains(series); }
  bool has_help(const std::string& name) const { return helped_.contains(name); }
  const std::map<std::string, std::string>& types() const { return types_; }
  // All series of that name.
  std::vector<double> series(const std::string& name) const {
    std::vector<double> found;
    for (const auto& [series, value] : values_) {
      if (series == name || series.starts_with(name + "{")) found.push_back(value);
    }
    return found;
  }
  double sum(const std::string& name) const {
    double total = 0;
    for (const double value : series(name)) total += value;
    return total;
  }

 private:
  void read(const std::string& line) {
    std::istringstream words(line);
    std::string hash, kind, name, rest;
    if (line.starts_with("# ")) {
      words >> hash >> kind >> name;
      std::getline(words, rest);
      if (kind == "HELP" && rest.size() > 1) helped_.insert(name);
      if (kind == "TYPE") {
        EXPECT_TRUE(types_.emplace(name, rest.substr(1)).second) << name << " twice";
      }
      return;
    }
    const auto space = line.rfind(' ');
    ASSERT_NE(space, line.npos) << line;
    const std::string series = line.substr(0, space);
    std::size_t used = 0;
    const std::string number = line.substr(space + 1);
    const double value = std::stod(number, &used);
    EXPECT_EQ(used, number.size()) << line;
    EXPECT_TRUE(values_.emplace(series, value).second) << series << " twice";
  }

  std::map<std::string, double> values_;
  std::map<std::string, std::string> types_;
  std::set<std::string> helped_;
};

}  // namespace ringmaster::test
