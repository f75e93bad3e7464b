// `cmake --install`: what is installed finds itself, whatever the prefix.
#include <gtest/gtest.h>

#include <filesystem>
#include <string>

#include "tests/support/files.h"
#include "tests/support/places.h"
#include "tests/support/process.h"

namespace ringmaster::test {
namespace {

constexpr Exit kDone{0, 0};

TEST(Install, TheUnitNamesProgramAndConfigWhereTheyAre) {
  const TempDir dir;
  const std::string prefix = dir.path("there");
  const std::string build = std::filesystem::path(ringmaster_binary()).parent_path();
  const auto install = [&] {
    return run({"/usr/bin/cmake", "--install", build, "--prefix", prefix});
  };
  const Finished first = install();
  ASSERT_EQ(first.exit, kDone) << first.log;

  const std::string unit = read_whole_file(prefix + "/lib/systemd/system/ringmaster.service");
  const std::string program = prefix + "/bin/ringmaster";
  const std::string config = prefix + "/etc/ringmaster/ringmaster.toml";
  EXPECT_NE(unit.find("ExecStart=" + program + " -c " + config + "\n"), std::string::npos) << unit;
  EXPECT_EQ(unit.find("/usr/"), std::string::npos);
  EXPECT_EQ(run({program, "--check", "-c", config}).exit, kDone);

  write_whole_file(config, "# mine\n");
  EXPECT_EQ(install().exit, kDone);
  EXPECT_EQ(read_whole_file(config), "# mine\n");
}

}  // namespace
}  // namespace ringmaster::test
