// The package itself: what it installs, and what it leaves when it goes.
#include <gtest/gtest.h>

#include <filesystem>

#include "tests/support/client.h"
#include "tests/support/files.h"
#include "tests/system/service.h"

namespace ringmaster::test {
namespace {

namespace fs = std::filesystem;

// A box without the package, whatever ran before.
void purge() {
  apt_get({"purge", "ringmaster"});
  fs::remove_all("/etc/ringmaster");
}

TEST(SystemPackage, InstallsEnablesAndStarts) {
  purge();
  const Origin origin({8081});  // where the config that comes with it expects one
  const Finished done = install(packages()[0]);
  ASSERT_EQ(done.exit, kDone) << done.output << done.log;
  EXPECT_EQ(systemctl({"is-enabled", "ringmaster"}).output, "enabled\n");
  EXPECT_EQ(systemctl({"is-enabled", "ringmaster.socket"}).output, "disabled\n");
  EXPECT_EQ(systemctl({"is-active", "ringmaster"}).output, "active\n");
  EXPECT_TRUE(wait_until([] { return get({"127.0.0.1", 3000}, "/").status == 200; }));
  EXPECT_EQ(run({"/usr/bin/ringmaster", "--check"}).output, "ok\n");
  const Finished status = run({"/usr/bin/ringmaster", "ctl", "status"});
  EXPECT_EQ(status.exit, kDone) << status.log;
}

TEST(SystemPackage, HoldsAllThatBelongsToTheService) {
  const Origin origin({8081});
  const Service service(origin);
  const std::string list = must({"/usr/bin/dpkg", "-L", "ringmaster"}).output;
  for (const char* file :
       {"/usr/bin/ringmaster", "/etc/ringmaster/ringmaster.toml",
        "/lib/systemd/system/ringmaster.service", "/lib/systemd/system/ringmaster.socket",
        "/usr/lib/sysusers.d/ringmaster.conf", "/etc/logrotate.d/ringmaster",
        "/usr/share/man/man8/ringmaster.8.gz", "/usr/share/man/man5/ringmaster.toml.5.gz",
        "/usr/share/bash-completion/completions/ringmaster",
        "/usr/share/ringmaster/grafana/dashboards/ringmaster.json",
        "/usr/share/ringmaster/ringmaster.rules.yml", "/usr/share/ringmaster/prometheus.yml",
        "/usr/share/doc/ringmaster/README.md.gz", "/usr/share/doc/ringmaster/copyright"}) {
    EXPECT_NE(list.find(file + std::string("\n")), std::string::npos) << file << " is not in\n"
                                                                      << list;
    EXPECT_GT(fs::file_size(file), 0u) << file;
  }
  // Its /etc is the administrator's.
  const std::string conffiles =
      must({"/usr/bin/dpkg-query", "-W", "-f=${Conffiles}", "ringmaster"}).output;
  EXPECT_NE(conffiles.find(kConfigFile), std::string::npos) << conffiles;

  const auto dashboard = nlohmann::json::parse(
      read_whole_file("/usr/share/ringmaster/grafana/dashboards/ringmaster.json"));
  EXPECT_FALSE(dashboard.at("panels").empty());
  Client browser(service.admin());
  const Response page = browser.get("/", "Accept: text/html\r\n");
  EXPECT_EQ(page.status, 200);
  EXPECT_NE(page.body.find("</html>"), std::string::npos) << "the page is in the program";
}

// What a shell offers after these words. What the package bash-completion would do is done here.
std::string completions(const std::string& words) {
  return must({"/bin/bash", "-c",
               "_init_completion() { words=(\"${COMP_WORDS[@]}\") cword=$COMP_CWORD; cur=''; "
               "prev=${words[cword - 1]}; }\n"
               ". /usr/share/bash-completion/completions/ringmaster\n"
               "COMP_WORDS=(" +
                   words +
                   " '')\nCOMP_CWORD=$((${#COMP_WORDS[@]} - 1))\n"
                   "_ringmaster\necho \"${COMPREPLY[*]}\""})
      .output;
}

TEST(SystemPackage, CompletesOrdersAndTheNamesOfBackends) {
  const Origin origin({8081, 8082});
  const Service service(origin);
  const std::string orders = completions("ringmaster ctl");
  for (const char* order : {"status", "reload", "reopen", "drain", "ready", "why", "recorder"}) {
    EXPECT_NE(orders.find(order), std::string::npos) << orders;
  }
  EXPECT_EQ(completions("ringmaster ctl drain"), "b1 b2\n");
}

TEST(SystemPackage, RunsAsItsOwnUserAndIsLockedUp) {
  const Origin origin({8081});
  const Service service(origin);
  const std::string pid = std::to_string(service.main_pid());
  const std::string status = read_whole_file("/proc/" + pid + "/status");
  EXPECT_EQ(run({"/usr/bin/ps", "-o", "user:20=", "-p", pid}).output, "ringmaster\n");
  EXPECT_NE(status.find("NoNewPrivs:\t1"), std::string::npos);
  EXPECT_NE(status.find("CapBnd:\t0000000000000400"), std::string::npos) << status;
  const Finished security = run({"/usr/bin/systemd-analyze", "security", "--no-pager",
                                 "--threshold=15", "ringmaster.service"});
  EXPECT_EQ(security.exit, kDone) << "above 1.5:\n" << security.output;
  std::cout << security.output.substr(security.output.rfind("Overall"));
}

TEST(SystemPackage, AnEditedConfigSurvivesAnUpgrade) {
  const Origin origin({8081});
  const Service service(origin);
  ASSERT_EQ(install(packages()[0]).exit, kDone);
  ASSERT_EQ(installed_version(), packages()[0].version);
  const std::string edited = read_whole_file(kConfigFile) + "\n# by hand\n";
  write_whole_file(kConfigFile, edited);
  ASSERT_EQ(install(packages()[1]).exit, kDone);
  EXPECT_EQ(installed_version(), packages()[1].version);
  EXPECT_EQ(read_whole_file(kConfigFile), edited);
}

TEST(SystemPackage, RemoveKeepsTheConfigPurgeLeavesNothing) {
  purge();
  ASSERT_EQ(install(packages()[0]).exit, kDone);
  write_whole_file(kConfigFile, read_whole_file(kConfigFile) + "# by hand\n");
  ASSERT_EQ(apt_get({"remove", "ringmaster"}).exit, kDone);
  EXPECT_TRUE(is_refused({"127.0.0.1", 3000}));
  EXPECT_TRUE(fs::exists(kConfigFile));
  EXPECT_FALSE(fs::exists("/usr/bin/ringmaster"));

  // Back again, it starts with what was edited.
  ASSERT_EQ(install(packages()[0]).exit, kDone);
  EXPECT_EQ(systemctl({"is-active", "ringmaster"}).output, "active\n");
  EXPECT_NE(read_whole_file(kConfigFile).find("# by hand"), std::string::npos);

  ASSERT_EQ(apt_get({"purge", "ringmaster"}).exit, kDone);
  EXPECT_TRUE(is_refused({"127.0.0.1", 3000}));
  EXPECT_EQ(run({"/usr/bin/pgrep", "ringmaster"}).output, "");
  for (const char* gone :
       {"/etc/ringmaster", "/run/ringmaster", "/var/log/ringmaster", "/usr/share/ringmaster",
        "/usr/share/doc/ringmaster", "/lib/systemd/system/ringmaster.service",
        "/etc/systemd/system/multi-user.target.wants/ringmaster.service"}) {
    EXPECT_FALSE(fs::exists(fs::symlink_status(gone))) << gone;
  }
}

}  // namespace
}  // namespace ringmaster::test
