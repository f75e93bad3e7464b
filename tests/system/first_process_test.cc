// Ringmaster as the first process of a container, without systemd: a new PID namespace.
#include <gtest/gtest.h>

#include <csignal>

#include "tests/support/client.h"
#include "tests/support/files.h"
#include "tests/system/service.h"

namespace ringmaster::test {
namespace {

// The container, seen from outside.
class Container {
 public:
  explicit Container(const Origin& origin)
      : process_({"/usr/bin/unshare", "--pid", "--fork", "--kill-child", "--mount-proc",
                  "/usr/bin/ringmaster", "-c", write(origin)}) {
    const bool serves = wait_until([this] {
      try {
        return get(admin_, "/readyz").status == 200;
      } catch (const StreamError&) {
        return false;
      }
    });
    if (!serves) throw std::runtime_error("it does not serve: " + process_.log());
  }

  // Its first process, by the number it has out here.
  pid_t first() const { return process_.children().at(0); }
  std::vector<pid_t> children() const { return children_of(first()); }
  Metrics metrics() const { return Metrics(get(admin_, "/metrics").body); }
  const Endpoint& endpoint() const { return endpoint_; }
  Process& process() { return process_; }
  // Runs a command in it.
  Finished inside(const std::string& shell) const {
    return run({"/usr/bin/nsenter", "--target", std::to_string(first()), "--pid", "--mount",
                "/bin/sh", "-c", shell});
  }
  Finished ctl(const std::string& order) const {
    return run({"/usr/bin/ringmaster", "ctl", "--socket", dir_.path("control"), order});
  }

 private:
  std::string write(const Origin& origin) const {
    write_whole_file(dir_.path("config"),
                     "[server]\nlisten = \"127.0.0.1:3100\"\nworkers = 2\n"
                     "[admin]\nlisten = \"127.0.0.1:9190\"\nsocket = \"" +
                         dir_.path("control") + "\"\n" + origin.toml());
    return dir_.path("config");
  }

  const Endpoint endpoint_{"127.0.0.1", 3100};
  const Endpoint admin_{"127.0.0.1", 9190};
  TempDir dir_;
  Process process_;
};

class FirstProcess : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!is_installed()) must({"/usr/bin/dpkg", "-i", packages()[0].file});
  }
};

TEST_F(FirstProcess, ServesReloadsAndStopsOnASignal) {
  const Origin origin({8081});
  Container container(origin);
  EXPECT_EQ(container.inside("cat /proc/1/comm").output, "ringmaster\n");
  EXPECT_EQ(get(container.endpoint(), "/").status, 200);
  const Finished reload = container.ctl("reload");
  EXPECT_EQ(reload.exit, kDone) << reload.log;
  const pid_t worker = container.children().at(0);
  ::kill(worker, SIGKILL);
  EXPECT_TRUE(wait_until([&] {
    return container.metrics().get("ringmaster_workers{state=\"serving\"}") == 2 &&
           !is_alive(worker);
  }));

  Client client(container.endpoint());
  client.send(request_head("GET", "/slow"));
  ASSERT_TRUE(wait_until([&] { return container.metrics().sum("active_connections") == 1; }));
  EXPECT_EQ(container.inside("kill -TERM 1").exit, kDone) << "as from within the container";
  EXPECT_EQ(client.receive().status, 200);
  EXPECT_EQ(container.process().wait_exit(), kDone);
  EXPECT_TRUE(is_refused(container.endpoint()));
}

TEST_F(FirstProcess, BuriesOrphansThatAreNotItsOwn) {
  const Origin origin({8081});
  Container container(origin);
  ASSERT_EQ(container.children().size(), 2u);
  for (int i = 0; i < 5; ++i) {
    // The inner shell's child loses its parent, ends, and is the first process' to bury.
    EXPECT_EQ(container.inside("(sleep 0.1 &) ; exit 0").exit, kDone);
    EXPECT_EQ(container.ctl("reload").exit, kDone) << "with a child of its own in between";
  }
  EXPECT_TRUE(wait_until([&] { return container.children().size() == 2; }))
      << container.inside("ps ax").output;
  EXPECT_EQ(get(container.endpoint(), "/").status, 200);
  ::kill(container.first(), SIGTERM);
  EXPECT_EQ(container.process().wait_exit(), kDone);
}

}  // namespace
}  // namespace ringmaster::test
