#include "master/reports/metrics_text.h"

#include <array>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <string_view>
#include <utility>

namespace ringmaster {
namespace {

using prometheus::ClientMetric;
using prometheus::MetricFamily;
using prometheus::MetricType;

constexpr std::size_t kLongestNumber = 32;
// Up to here every whole number is a double of its own.
constexpr double kExactIntegers = 9'007'199'254'740'992.0;
// From here up to that, a number is written without an exponent.
constexpr double kLeastPlain = 1e-4;

// Appends to one string.
class Writer {
 public:
  explicit Writer(std::size_t expected_bytes = 0) { out_.reserve(expected_bytes); }

  void add(std::string_view text) { out_.append(text); }
  void add(std::uint64_t number) { add_chars(number); }
  // As few digits as give the same double back.
  void add(double number) {
    if (std::isnan(number)) return add("Nan");
    if (std::isinf(number)) return add(number < 0 ? "-Inf" : "+Inf");
    if (std::abs(number) <= kExactIntegers && number == std::floor(number)) {
      return add_chars(static_cast<std::int64_t>(number));
    }
    const double size = std::abs(number);
    const bool plain = size >= kLeastPlain && size < kExactIntegers;
    add_chars(number, plain ? std::chars_format::fixed : std::chars_format::general);
  }
  void add_escaped(std::string_view text) {
    if (text.find_first_of("\\\"\n") == text.npos) return add(text);
    for (const char c : text) {
      if (c == '\n') {
        add("\\n");
      } else {
        if (c == '\\' || c == '"') out_.push_back('\\');
        out_.push_back(c);
      }
    }
  }
  std::string take() { return std::move(out_); }

 private:
  template <class Number, class... Format>
  void add_chars(Number number, Format... format) {
    std::array<char, kLongestNumber> digits;
    const auto end =
        std::to_chars(digits.data(), digits.data() + digits.size(), number, format...).ptr;
    out_.append(digits.data(), static_cast<std::size_t>(end - digits.data()));
  }

  std::string out_;
};

std::string_view type_name(MetricType type) noexcept {
  switch (type) {
    case MetricType::Counter:
      return "counter";
    case MetricType::Gauge:
      return "gauge";
    case MetricType::Histogram:
      return "histogram";
    default:
      return "untyped";
  }
}

// `a="x",b="y"`
void add_labels(Writer& out, const ClientMetric& metric) {
  bool first = true;
  for (const auto& label : metric.label) {
    if (!first) out.add(",");
    first = false;
    out.add(label.name);
    out.add("=\"");
    out.add_escaped(label.value);
    out.add("\"");
  }
}

template <class Number>
void add_sample(Writer& out, std::string_view name, std::string_view suffix,
                const ClientMetric& metric, Number value) {
  out.add(name);
  out.add(suffix);
  if (!metric.label.empty()) {
    out.add("{");
    add_labels(out, metric);
    out.add("}");
  }
  out.add(" ");
  out.add(value);
  out.add("\n");
}

// All histograms of a family have the same bounds: how these are written is found out once.
class BoundTexts {
 public:
  // `0.0005"} ` and the like.
  std::string_view at(std::size_t i, double bound) {
    if (i == texts_.size()) texts_.push_back({bound, write(bound)});
    if (texts_[i].bound != bound) texts_[i] = {bound, write(bound)};
    return texts_[i].text;
  }

 private:
  struct Text {
    double bound;
    std::string text;
  };
  static std::string write(double bound) {
    Writer text;
    text.add(bound);
    text.add("\"} ");
    return text.take();
  }
  std::vector<Text> texts_;
};

void add_histogram(Writer& out, std::string_view name, const ClientMetric& metric,
                   BoundTexts& bounds) {
  const ClientMetric::Histogram& histogram = metric.histogram;
  add_sample(out, name, "_count", metric, histogram.sample_count);
  add_sample(out, name, "_sum", metric, histogram.sample_sum);
  Writer prefix;
  prefix.add(name);
  prefix.add("_bucket{");
  add_labels(prefix, metric);
  prefix.add(metric.label.empty() ? "le=\"" : ",le=\"");
  const std::string bucket = prefix.take();
  for (std::size_t i = 0; i < histogram.bucket.size(); ++i) {
    out.add(bucket);
    out.add(bounds.at(i, histogram.bucket[i].upper_bound));
    out.add(histogram.bucket[i].cumulative_count);
    out.add("\n");
  }
  out.add(bucket);
  out.add("+Inf\"} ");
  out.add(histogram.sample_count);
  out.add("\n");
}

void add_family(Writer& out, const MetricFamily& family) {
  for (const auto& [keyword, text] :
       {std::pair<std::string_view, std::string_view>{"# HELP ", family.help},
        {"# TYPE ", type_name(family.type)}}) {
    out.add(keyword);
    out.add(family.name);
    out.add(" ");
    out.add(text);
    out.add("\n");
  }
  BoundTexts bounds;
  for (const ClientMetric& metric : family.metric) {
    if (family.type == MetricType::Histogram) {
      add_histogram(out, family.name, metric, bounds);
    } else {
      const bool counts = family.type == MetricType::Counter;
      add_sample(out, family.name, {}, metric, counts ? metric.counter.value : metric.gauge.value);
    }
  }
}

// A little more than it takes: a page of many backends is a megabyte, which should not move while
// it grows.
std::size_t estimate_bytes(const std::vector<MetricFamily>& families) {
  constexpr std::size_t kLabelsAndValue = 64;
  std::size_t bytes = 0;
  for (const MetricFamily& family : families) {
    const std::size_t line = family.name.size() + kLabelsAndValue;
    bytes += 2 * line + family.help.size();
    for (const ClientMetric& metric : family.metric) {
      bytes += line * (1 + metric.histogram.bucket.size());
    }
  }
  return bytes;
}

}  // namespace

std::string write_metrics_text(const std::vector<MetricFamily>& families) {
  Writer out(estimate_bytes(families));
  for (const MetricFamily& family : families) add_family(out, family);
  return out.take();
}

}  // namespace ringmaster
