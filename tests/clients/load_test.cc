// Load generators, which count every answer that is missing or wrong: none may be.
#include <gtest/gtest.h>

#include <csignal>

#include "tests/clients/tool.h"
#include "tests/support/backend.h"
#include "tests/support/ringmaster.h"

namespace ringmaster::test {
namespace {

std::string url(const Ringmaster& ringmaster, const std::string& path) {
  return "http://" + ringmaster.endpoint().to_string() + path;
}

// wrk names socket errors and answers other than 2xx and 3xx only if there are any.
TEST(Wrk, SeesNoErrorWhileTheServiceReloads) {
  Backend backend("s1");
  Backend other("s2");
  Ringmaster ringmaster("[server]\nworkers = 2\n" + toml_of(backend, other));
  Process wrk(tool("wrk", {"-t1", "-c16", "-d60s", "--timeout", "20s", url(ringmaster, "/a")}));
  const auto asked = [&] { return backend.request_count() + other.request_count(); };
  const auto goes_on = [&] {
    return wait_until([&, before = asked()] { return asked() > before + 20; });
  };
  for (int i = 0; i < 2; ++i) {
    ASSERT_TRUE(goes_on());
    EXPECT_EQ(ringmaster.ctl({"reload"}).exit, kFine);
  }
  ASSERT_TRUE(goes_on());
  wrk.signal(SIGINT);  // it reports then
  ASSERT_EQ(wrk.wait_exit(), kFine) << wrk.log();
  const std::string report = wrk.output();
  EXPECT_NE(report.find(" requests in "), std::string::npos) << report;
  EXPECT_EQ(report.find("Socket errors"), std::string::npos) << report;
  EXPECT_EQ(report.find("Non-2xx"), std::string::npos) << report;
}

TEST(H2load, OfHttp11FailsNotOnce) {
  Backend backend("s1");
  Ringmaster ringmaster("[server]\nworkers = 2\n" + backend.toml());
  for (const char* pipelined : {"-m1", "-m8"}) {
    const Finished finished =
        run(tool("h2load", {"--h1", "-n1000", "-c20", pipelined, url(ringmaster, "/")}));
    EXPECT_EQ(finished.exit, kFine) << finished.log;
    EXPECT_NE(finished.output.find("1000 done, 1000 succeeded, 0 failed, 0 errored, 0 timeout"),
              std::string::npos)
        << finished.output;
    EXPECT_NE(finished.output.find("1000 2xx"), std::string::npos) << finished.output;
  }
  EXPECT_EQ(ringmaster.metrics().sum("requests_total"), 2000);
}

}  // namespace
}  // namespace ringmaster::test
