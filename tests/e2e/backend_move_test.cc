// A reload that moves a backend to another address: what is known of the old machine says nothing
// of the new one, and until the reload is done nobody is sent there.
#include <gtest/gtest.h>

#include <future>

#include "tests/support/backend.h"
#include "tests/support/files.h"
#include "tests/support/places.h"
#include "tests/support/ringmaster.h"

namespace ringmaster::test {
namespace {

// No probe but the first: what is known later, a reload has found out.
constexpr const char* kProbedOnce =
    "[server]\nworkers = 1\n[health]\ninterval = \"1h\"\ntimeout = \"10s\"\n";

Backend::Handler saying(const std::string& what) {
  return [what](const Request&) { return Reply{.body = what}; };
}

TEST(BackendMove, IsJudgedBeforeItServes) {
  Backend before("s1");
  Backend other("s2");
  Ringmaster ringmaster(kProbedOnce + toml_of(before, other));
  ASSERT_EQ(ringmaster.backend_state("s1"), "up");
  Backend after("s1");
  after.stop();
  ringmaster.write_config(kProbedOnce + toml_of(after, other));

  const Finished reload = ringmaster.ctl({"reload"});
  EXPECT_EQ(reload.output, "generation 2 serves: 1 of 2 backends up, 1 worker\n") << reload.log;
  EXPECT_EQ(ringmaster.metrics().get("ringmaster_backend_up{backend=\"s1\"}"), 0);
  EXPECT_EQ(ringmaster.backend_state("s1"), "down");
  for (int i = 0; i < 20; ++i) {
    EXPECT_EQ(get(ringmaster.endpoint(), "/" + std::to_string(i)).backend(), "s2");
  }
  EXPECT_EQ(ringmaster.metrics().sum("ringmaster_retries_total"), 0) << "nobody was sent there";
}

TEST(BackendMove, ToANameThatDoesNotResolveLeavesTheOldMachine) {
  Backend before("s1");
  Backend other("s2");
  Ringmaster ringmaster(kProbedOnce + toml_of(before, other));
  ringmaster.write_config(kProbedOnce + other.toml() +
                          "[[backend]]\nname = \"s1\"\naddress = \"no-such-host.invalid:80\"\n");
  ASSERT_EQ(ringmaster.ctl({"reload"}).exit, (Exit{0, 0}));
  EXPECT_EQ(ringmaster.backend_state("s1"), "down");
  for (int i = 0; i < 20; ++i) {
    EXPECT_EQ(get(ringmaster.endpoint(), "/" + std::to_string(i)).backend(), "s2");
  }
  EXPECT_EQ(before.request_count(), 0u);
}

// By its name's own doing, with connections open to where it was.
TEST(BackendMove, ToAnotherAddressOfItsNameTakesEveryRequestAlong) {
  if (binary_is_sanitized()) GTEST_SKIP() << "its runtime must be loaded first";
  Backend before("before");
  Backend after("after", Endpoint{other_loopback(), before.endpoint().port});
  TempDir dir;
  const std::string dns = dir.path("address");
  write_whole_file(dns, before.endpoint().ip);
  StartOptions options;
  options.environment = {"LD_PRELOAD=" + own_dns_library(), "OWN_DNS=" + dns};
  Ringmaster ringmaster(std::string(kProbedOnce) +
                            "[[backend]]\nname = \"s1\"\naddress = \"its.name:" +
                            std::to_string(before.endpoint().port) + "\"\n",
                        options);
  Client client(ringmaster.endpoint());
  EXPECT_EQ(client.get("/").backend(), "before");

  write_whole_file(dns, after.endpoint().ip);
  ASSERT_TRUE(wait_until([&] {
    return ringmaster.process().log().find(after.endpoint().to_string()) != std::string::npos;
  }));
  EXPECT_TRUE(ringmaster.wait_for_state("s1", "up"));
  EXPECT_EQ(client.get("/").backend(), "after");
  EXPECT_EQ(before.request_count(), 1u);
}

// One backend more, whose first probe takes its time, holds the reload up.
TEST(BackendMove, ChangesNothingUntilTheReloadIsDone) {
  Backend before("s1", saying("from the old machine"));
  Backend after("s1", saying("from the new machine"));
  Backend leaving("s2", saying("from one that leaves"));
  Backend slow("s3", saying("from one that is new"));
  Ringmaster ringmaster(kProbedOnce + toml_of(before, leaving));
  const auto bodies = [&] {
    std::map<std::string, int> count;
    for (int i = 0; i < 30; ++i) {
      ++count[get(ringmaster.endpoint(), "/" + std::to_string(i)).body];
    }
    return count;
  };
  const auto at_first = bodies();
  ASSERT_EQ(at_first.size(), 2u);

  slow.hang();
  ringmaster.write_config(kProbedOnce + toml_of(after, slow));
  auto reload = std::async(std::launch::async, [&] { return ringmaster.ctl({"reload"}); });
  const std::string probes = "ringmaster_health_checks_total{backend=\"s1\",result=\"success\"}";
  ASSERT_TRUE(wait_until([&] { return ringmaster.metrics().get(probes) == 2; }));
  EXPECT_EQ(bodies(), at_first) << "the new machine is known to be up, and not in force";
  EXPECT_EQ(ringmaster.metrics().get("requests_total{backend=\"s2\"}"),
            2 * at_first.at("from one that leaves"))
      << "the series of a backend that leaves go on";

  slow.resume();
  EXPECT_EQ(reload.get().exit, (Exit{0, 0}));
  const auto at_last = bodies();
  EXPECT_EQ(at_last.size(), 2u);
  EXPECT_EQ(at_last.count("from the new machine"), 1u);
  EXPECT_EQ(at_last.count("from one that is new"), 1u);
}

}  // namespace
}  // namespace ringmaster::test
