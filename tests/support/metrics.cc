#include "tests/support/metrics.h"

#include <algorithm>
#include <set>
#include <sstream>
#include <stdexcept>

namespace ringmaster::test {
namespace {

// `{b="y",a="x"}` with its labels in order. No label value of ours holds a comma or a quote.
std::string sorted_labels(const std::string& labels) {
  std::vector<std::string> each;
  std::istringstream parts(labels.substr(1, labels.size() - 2));
  for (std::string part; std::getline(parts, part, ',');) each.push_back(part);
  std::sort(each.begin(), each.end());
  std::string joined;
  for (const std::string& part : each) joined += (joined.empty() ? "" : ",") + part;
  return joined.empty() ? "" : "{" + joined + "}";
}

double to_value(const std::string& text) {
  std::size_t used = 0;
  const double value = std::stod(text, &used);  // knows +Inf and NaN
  if (used != text.size()) throw std::runtime_error("not a value: " + text);
  return value;
}

}  // namespace

Metrics::Metrics(std::string text) : text_(std::move(text)) {
  std::istringstream lines(text_);
  for (std::string line; std::getline(lines, line);) {
    if (line.empty() || line[0] == '#') continue;
    const std::size_t space = line.rfind(' ');
    if (space == std::string::npos) throw std::runtime_error("not a sample: " + line);
    std::string series = line.substr(0, space);
    const std::size_t brace = series.find('{');
    if (brace != std::string::npos) {
      series = series.substr(0, brace) + sorted_labels(series.substr(brace));
    }
    if (!values_.emplace(series, to_value(line.substr(space + 1))).second) {
      throw std::runtime_error("given twice: " + line);
    }
  }
}

double Metrics::get(const std::string& series) const {
  const auto at = values_.find(series);
  return at == values_.end() ? 0 : at->second;
}

double Metrics::sum(std::string_view name, const std::vector<std::string>& labels) const {
  double total = 0;
  for (const auto& [series, value] : values_) {
    if (series.substr(0, series.find('{')) != name) continue;
    const bool matches = std::all_of(labels.begin(), labels.end(), [&](const auto& label) {
      return series.find("{" + label) != std::string::npos ||
             series.find("," + label) != std::string::npos;
    });
    if (matches) total += value;
  }
  return total;
}

std::map<std::string, double> Metrics::counters() const {
  std::set<std::string> names;
  std::istringstream lines(text_);
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    std::string hash, type, name, kind;
    words >> hash >> type >> name >> kind;
    if (hash != "#" || type != "TYPE") continue;
    if (kind == "counter") names.insert(name);
    if (kind == "histogram") names.insert({name + "_bucket", name + "_count", name + "_sum"});
  }
  std::map<std::string, double> counters;
  for (const auto& [series, value] : values_) {
    if (names.count(series.substr(0, series.find('{'))) > 0) counters[series] = value;
  }
  return counters;
}

}  // namespace ringmaster::test
