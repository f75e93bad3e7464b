// The access log of the service under the package's rule for logrotate.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <string>
#include <vector>

#include "tests/support/client.h"
#include "tests/support/files.h"
#include "tests/support/places.h"
#include "tests/system/service.h"

namespace ringmaster::test {
namespace {

constexpr const char* kLog = "/var/log/ringmaster/access.log";

// Of an access log that may not be there yet.
long lines_of(const std::string& file) {
  if (!std::filesystem::exists(file)) return 0;
  const std::string text = read_whole_file(file);
  return std::count(text.begin(), text.end(), '\n');
}

void rotate() {
  must({"/usr/sbin/logrotate", "--force", "/etc/logrotate.d/ringmaster"});
}

TEST(SystemLogRotation, LosesNoLineAndIsForTheGroupToRead) {
  std::filesystem::remove_all("/var/log/ringmaster");
  const Origin origin({8081});
  const Service service(origin, std::string("[log]\naccess = \"") + kLog + "\"\n");
  Client client(service.endpoint());
  for (int i = 0; i < 10; ++i) ASSERT_EQ(client.get("/before").status, 200);
  ASSERT_TRUE(wait_until([] { return lines_of(kLog) == 10; }));
  EXPECT_EQ(run({"/usr/bin/stat", "-c", "%A %U:%G", kLog}).output,
            "-rw-r----- ringmaster:ringmaster\n");

  // New workers reopen it; what those before still answer is in the file that was renamed.
  const std::vector<pid_t> before = service.workers();
  rotate();
  ASSERT_TRUE(wait_until([&] { return std::none_of(before.begin(), before.end(), is_alive); }));
  for (int i = 0; i < 20; ++i) ASSERT_EQ(client.get("/after").status, 200);
  EXPECT_TRUE(wait_until([] { return lines_of(kLog) == 20; }));
  EXPECT_EQ(lines_of(std::string(kLog) + ".1"), 10);

  rotate();
  EXPECT_TRUE(std::filesystem::exists(std::string(kLog) + ".2.gz"));
  EXPECT_EQ(service.metrics().sum("ringmaster_access_log_dropped_total"), 0);
  EXPECT_EQ(service.journal().find("cannot"), std::string::npos);
}

}  // namespace
}  // namespace ringmaster::test
