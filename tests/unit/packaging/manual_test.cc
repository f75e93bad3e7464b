// The man pages leave nothing out: every config key stands in ringmaster.toml(5) at its default,
// every metric and every reason of a refusal in ringmaster(8). (The command line is compared in
// tests/e2e/cli_test.cc.)
#include <gtest/gtest.h>

#include <fstream>
#include <sstream>
#include <string>

#include "master/reports/metrics_exporter.h"
#include "shared/reject_reason.h"
#include "tests/support/places.h"
#include "tests/unit/reports/exposition.h"
#include "tests/unit/reports/report_fixture.h"

namespace ringmaster::test {
namespace {

std::string read_packaged(const std::string& name) {
  std::ifstream file(source_path("packaging/" + name));
  EXPECT_TRUE(file) << name;
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

// `key = value` as the page's source has it.
std::string manual_entry(const std::string& key, std::string value) {
  if (value == "\"\"") return ".It Cm " + key + " No = Qq \\&\n";
  if (value.starts_with('"')) value = "Qq " + value.substr(1, value.size() - 2);
  if (value.starts_with("[\"")) value = "Qq " + value.substr(2, value.size() - 4);
  return ".It Cm " + key + " No = " + value + "\n";
}

// The packaged config names every key at its default (another test sees to that): a key that is off
// is commented out without a space.
TEST(Manual, ExplainsEveryKeyOfTheConfig) {
  const std::string page = read_packaged("man/ringmaster.toml.5");
  std::istringstream config(read_packaged("ringmaster.toml"));
  std::size_t section = 0;
  int keys = 0;
  for (std::string line; std::getline(config, line);) {
    if (line.starts_with('[')) {
      section = page.find(".Sh " + line + "\n");
      ASSERT_NE(section, page.npos) << line;
      continue;
    }
    const bool at_default = line.starts_with('#');
    const std::string assignment = line.substr(at_default ? 1 : 0);
    const std::size_t equals = assignment.find(" = ");
    if (assignment.empty() || assignment[0] == ' ' || equals == assignment.npos) continue;
    const std::string key = assignment.substr(0, equals);
    const std::string entry =
        at_default ? manual_entry(key, assignment.substr(equals + 3)) : ".It Cm " + key + "\n";
    const std::string text = page.substr(section, page.find("\n.Sh ", section + 1) - section);
    EXPECT_NE(text.find(entry), text.npos) << "missing: " << entry;
    ++keys;
  }
  EXPECT_GT(keys, 40);
}

class ManualTest : public ReportFixture {};

TEST_F(ManualTest, ExplainsEveryMetric) {
  const std::string page = read_packaged("man/ringmaster.8");
  const Exposition metrics(render_metrics(source()));
  for (const auto& [name, type] : metrics.types()) {
    const bool is_there = page.find(".It Sy " + name + "\n") != page.npos ||
                          page.find(".It Sy " + name + " ") != page.npos ||
                          page.find("\n.Sy " + name) != page.npos;
    EXPECT_TRUE(is_there) << name;
  }
}

TEST(Manual, ExplainsEveryReason) {
  const std::string page = read_packaged("man/ringmaster.8");
  const std::size_t section = page.find(".Sh REASONS\n");
  ASSERT_NE(section, page.npos);
  const std::string text = page.substr(section, page.find("\n.Sh ", section) - section);
  for (const RejectReasonInfo& info : kRejectReasons) {
    const std::string entry = "\n.It Cm " + std::string(info.label) +
                              (info.status == 0 ? "" : " No " + std::to_string(info.status)) + "\n";
    EXPECT_NE(text.find(entry), text.npos) << "missing: " << entry;
  }
}

}  // namespace
}  // namespace ringmaster::test
