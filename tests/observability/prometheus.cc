#include "tests/observability/prometheus.h"

#include <gtest/gtest.h>

#include <cctype>
#include <cmath>
#include <iostream>
#include <limits>
#include <nlohmann/json.hpp>
#include <stdexcept>

#include "tests/support/client.h"
#include "tests/support/places.h"

namespace ringmaster::test {
namespace {

using namespace std::string_literals;

constexpr const char* kProgram = "/usr/bin/prometheus";  // of Debian's package

std::vector<std::string> command_line(const TempDir& dir, const Endpoint& target,
                                      const Endpoint& own) {
  const std::string shipped = source_path("packaging/observability/");
  std::string config = read_whole_file(shipped + "prometheus.yml");
  for (const auto& [what, with] :
       {std::pair{"127.0.0.1:9180"s, target.to_string()},
        std::pair{"interval: 5s"s, "interval: "s + Prometheus::kScrapeInterval}}) {
    if (config.find(what) == std::string::npos) {
      throw std::runtime_error("prometheus.yml has no " + what);
    }
    config = replace_all(config, what, with);
  }
  write_whole_file(dir.path("prometheus.yml"), config);
  write_whole_file(dir.path("ringmaster.rules.yml"),
                   read_whole_file(shipped + "ringmaster.rules.yml"));
  return {kProgram, "--config.file=" + dir.path("prometheus.yml"),
          "--storage.tsdb.path=" + dir.path("data"), "--web.listen-address=" + own.to_string(),
          "--log.level=warn"};
}

std::string percent_encoded(const std::string& text) {
  static constexpr char kDigits[] = "0123456789ABCDEF";
  std::string encoded;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (std::isalnum(byte)) {
      encoded += c;
    } else {
      encoded += {'%', kDigits[byte >> 4], kDigits[byte & 15]};
    }
  }
  return encoded;
}

Sample to_sample(const nlohmann::json& result) {
  Sample sample;
  for (const auto& [name, value] : result.at("metric").items()) sample.labels[name] = value;
  sample.value = std::stod(result.at("value").at(1).get<std::string>());
  return sample;
}

}  // namespace

std::string replace_all(std::string text, const std::string& what, const std::string& with) {
  for (std::size_t at = 0; (at = text.find(what, at)) != std::string::npos; at += with.size()) {
    text.replace(at, what.size(), with);
  }
  return text;
}

Prometheus::Prometheus(const Endpoint& target)
    : endpoint_(free_endpoint()), process_(command_line(dir_, target, endpoint_)) {
  const bool ready = wait_until([this] {
    try {
      return get(endpoint_, "/-/ready").status == 200;
    } catch (const StreamError&) {
      return process_.wait_exit(milliseconds(0)).has_value();
    }
  });
  if (!ready || process_.wait_exit(milliseconds(0))) {
    throw std::runtime_error(std::string(kProgram) + " does not start:\n" + process_.log());
  }
}

Prometheus::~Prometheus() {
  if (::testing::Test::HasFailure()) {
    std::cerr << "---- prometheus' log:\n" << process_.log() << "----\n";
  }
}

std::vector<Sample> Prometheus::query(const std::string& expression) const {
  const std::string body =
      get(endpoint_, "/api/v1/query?query=" + percent_encoded(expression)).body;
  const nlohmann::json answer = nlohmann::json::parse(body);
  if (answer.at("status") != "success") throw std::runtime_error(expression + ": " + body);
  const nlohmann::json& data = answer.at("data");
  std::vector<Sample> samples;
  if (data.at("resultType") == "scalar") {
    samples.push_back({{}, std::stod(data.at("result").at(1).get<std::string>())});
    return samples;
  }
  for (const auto& result : data.at("result")) samples.push_back(to_sample(result));
  return samples;
}

double Prometheus::value(const std::string& expression) const {
  const std::vector<Sample> samples = query(expression);
  return samples.size() == 1 ? samples[0].value : std::numeric_limits<double>::quiet_NaN();
}

double Prometheus::scrapes() const {
  const double count = value("sum(count_over_time(up{job=\"ringmaster\"}[1h]))");
  return std::isnan(count) ? 0 : count;
}

bool Prometheus::wait_for_scrape() const {
  const double before = scrapes();
  return wait_until([&] { return scrapes() >= before + 2; });
}

}  // namespace ringmaster::test
