// The child that tries a new config: what it says counts, and nobody waits for one that says
// nothing or does not end.
#include "master/takeover/config_check.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <chrono>
#include <fstream>
#include <memory>
#include <optional>
#include <string>

#include "shared/base/clock.h"
#include "tests/support/unburied.h"
#include "tests/unit/master/test_loop.h"

namespace ringmaster::test {
namespace {

using std::chrono::milliseconds;

class ConfigCheckTest : public ::testing::Test, protected ConfigCheck::Owner {
 protected:
  // What takes the new binary's place: a script.
  Launch launch_of(const std::string& script) {
    const std::string path = ::testing::TempDir() + "new-binary-" +
                             ::testing::UnitTest::GetInstance()->current_test_info()->name();
    std::ofstream(path) << "#!/bin/sh\n" << script << "\n";
    ::chmod(path.c_str(), 0755);
    return {path, {path}, "any.toml"};
  }
  void start(const std::string& script, milliseconds patience = ConfigCheck::kPatience) {
    check_ = std::make_unique<ConfigCheck>(loop_.get(), static_cast<ConfigCheck::Owner&>(*this),
                                           patience);
    ASSERT_EQ(check_->start(launch_of(script)), 0);
  }
  bool concludes() {
    return loop_.run_until([this] { return verdict_.has_value(); });
  }
  void on_check_done(const std::string& verdict) override {
    verdict_ = verdict;
    check_.reset();
  }

  TestLoop loop_;
  std::unique_ptr<ConfigCheck> check_;
  std::optional<std::string> verdict_;
};

TEST_F(ConfigCheckTest, TellsWhatTheNewBinarySays) {
  start("echo \"$3:1:1: no good\" >&2; exit 1");
  ASSERT_TRUE(concludes());
  EXPECT_EQ(verdict_, "any.toml:1:1: no good");
}

TEST_F(ConfigCheckTest, IsContentWithSuccess) {
  start("echo \"a warning\" >&2; echo ok");
  ASSERT_TRUE(concludes());
  EXPECT_EQ(verdict_, "");
}

TEST_F(ConfigCheckTest, HearsASuccessBehindAnyNumberOfWarnings) {
  start("yes \"a warning\" | head -c 200000 >&2; echo ok");
  ASSERT_TRUE(concludes());
  EXPECT_EQ(verdict_, "");
}

TEST_F(ConfigCheckTest, RefusesAProgramThatIsAnother) {
  start("exit 0");
  ASSERT_TRUE(concludes());
  EXPECT_EQ(verdict_, "the new binary does not say \"ok\" to the config: is it ringmaster?");
}

TEST_F(ConfigCheckTest, SaysWhichSignalItDiedOf) {
  start("kill -SEGV $$");
  ASSERT_TRUE(concludes());
  EXPECT_EQ(verdict_, "the new binary died of signal 11 while checking the config");
}

TEST_F(ConfigCheckTest, DoesNotWaitForOneThatDoesNotFinish) {
  start("exec sleep 60", milliseconds(100));
  const pid_t child = check_->child();
  ASSERT_TRUE(concludes());
  EXPECT_EQ(verdict_, "the new binary did not finish checking the config");
  EXPECT_NE(::kill(child, 0), 0) << "it has not been buried";
}

TEST_F(ConfigCheckTest, SaysThatTheNewBinaryCannotBeRun) {
  check_ = std::make_unique<ConfigCheck>(loop_.get(), static_cast<ConfigCheck::Owner&>(*this));
  ASSERT_EQ(check_->start({"/no/such/binary", {"/no/such/binary"}, "any.toml"}), 0);
  ASSERT_TRUE(concludes());
  EXPECT_EQ(verdict_, "cannot run /no/such/binary: No such file or directory");
}

// Its program's file lies on a mount that hangs.
TEST_F(ConfigCheckTest, DoesNotWaitForOneThatDoesNotBegin) {
  const HeldAtBirth held(::getpid());
  if (!held.is_waiting()) GTEST_SKIP() << "nobody may trace here";
  const std::uint64_t began_ms = monotonic_ms();
  start("exit 0", milliseconds(100));
  ASSERT_TRUE(concludes());
  EXPECT_LT(monotonic_ms() - began_ms, HeldAtBirth::kMostHeldMs - 1'000u);
  EXPECT_EQ(verdict_, "the new binary did not finish checking the config");
}

// The kernel holds it: it can be killed, and does not end.
TEST_F(ConfigCheckTest, DoesNotWaitForOneThatDoesNotEnd) {
  start("exec sleep 60", milliseconds(100));
  const pid_t child = check_->child();
  Unburied held(child);
  if (!held.is_held()) GTEST_SKIP() << "nobody may trace here";
  const std::uint64_t began_ms = monotonic_ms();
  ASSERT_TRUE(concludes());
  EXPECT_LT(monotonic_ms() - began_ms, 5'000u);
  EXPECT_EQ(verdict_, "the new binary did not finish checking the config");
  EXPECT_EQ(::kill(child, 0), 0) << "it has ended all the same: this shows nothing";

  held.bury();
  EXPECT_TRUE(loop_.run_until([&] { return ::kill(child, 0) != 0; })) << "it was left a zombie";
}

}  // namespace
}  // namespace ringmaster::test
