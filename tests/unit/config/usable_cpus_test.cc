// The quota of a control group, read from directories that look like those of the kernel.
#include "master/config/usable_cpus.h"

#include <gtest/gtest.h>
#include <sched.h>

#include <filesystem>
#include <optional>
#include <string>

#include "tests/support/files.h"

namespace ringmaster {
namespace {

class UsableCpus : public ::testing::Test {
 protected:
  void limit(const std::string& group, const std::string& cpu_max) {
    std::filesystem::create_directories(root_.path(group));
    test::write_whole_file(root_.path(group) + "/cpu.max", cpu_max + "\n");
  }
  std::optional<std::uint32_t> cpus(const std::string& membership) const {
    return cpus_by_quota(root_.path(""), membership);
  }

 private:
  test::TempDir root_;
};

TEST_F(UsableCpus, AQuotaIsRoundedUp) {
  limit("a.slice", "150000 100000");
  EXPECT_EQ(cpus("0::/a.slice\n"), 2u);
  limit("a.slice", "200000 100000");
  EXPECT_EQ(cpus("0::/a.slice\n"), 2u);
  limit("a.slice", "5000 100000");
  EXPECT_EQ(cpus("0::/a.slice\n"), 1u);
}

TEST_F(UsableCpus, TheLeastOfTheGroupsAboveCounts) {
  limit("a.slice", "300000 100000");
  limit("a.slice/b.service", "max 100000");
  EXPECT_EQ(cpus("0::/a.slice/b.service\n"), 3u);
  limit("a.slice/b.service", "400000 100000");
  EXPECT_EQ(cpus("0::/a.slice/b.service\n"), 3u);
  limit("a.slice/b.service", "100000 50000");
  EXPECT_EQ(cpus("0::/a.slice/b.service\n"), 2u);
}

// As a process in a container sees it, whose group is the root of what it is shown.
TEST_F(UsableCpus, AContainerFindsItsOwnAtTheRoot) {
  limit("", "400000 100000");
  EXPECT_EQ(cpus("0::/\n"), 4u);
}

TEST_F(UsableCpus, WhereThereIsNoneNothingIsLimited) {
  limit("a.slice", "max 100000");
  EXPECT_EQ(cpus("0::/a.slice\n"), std::nullopt);
  EXPECT_EQ(cpus("0::/gone\n"), std::nullopt);
  limit("b.slice", "nonsense");
  EXPECT_EQ(cpus("0::/b.slice\n"), std::nullopt);
  EXPECT_EQ(cpus("4:memory:/a.slice\n"), std::nullopt);
  EXPECT_EQ(cpus(""), std::nullopt);
}

TEST_F(UsableCpus, AreAtLeastOneAndNoMoreThanWeMayRunOn) {
  cpu_set_t allowed;
  ASSERT_EQ(::sched_getaffinity(0, sizeof allowed, &allowed), 0);
  EXPECT_GE(usable_cpus(), 1u);
  EXPECT_LE(usable_cpus(), static_cast<std::uint32_t>(CPU_COUNT(&allowed)));
}

}  // namespace
}  // namespace ringmaster
