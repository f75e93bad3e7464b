// An upgrade whose new binary lays the shared memory out in another way cannot read what the old
// one left there. It costs no client anything all the same, what cannot work is taken back, and
// what an operator has ordered stays ordered; only counters and rate limits begin anew.
#include <gtest/gtest.h>

#include <algorithm>
#include <csignal>
#include <nlohmann/json.hpp>

#include "tests/support/backend.h"
#include "tests/support/behaviour.h"
#include "tests/support/binary.h"
#include "tests/support/load.h"
#include "tests/support/ringmaster.h"

namespace ringmaster::test {
namespace {

constexpr Exit kDone{0, 0};
constexpr Exit kRefused{1, 0};
constexpr const char* kFreshMemory = "its layout is not this version's";

class LayoutChange : public ::testing::Test {
 protected:
  StartOptions from_file() const { return {.environment = {}, .command = {binary_.path()}}; }
  void upgrade() { binary_.put(other_layout_binary()); }
  // As the new binary, behind some words of a shell's.
  void upgrade_by(const std::string& script) {
    binary_.put_script("#!/bin/sh\n" + script + " " + other_layout_binary() + " \"$@\"\n");
  }

  Binary binary_;
};

bool says(Ringmaster& ringmaster, const std::string& words) {
  return ringmaster.process().log().find(words) != std::string::npos;
}

void chat_or_answer(Conversation& conversation) {
  do {
    if (conversation.request().has("Upgrade")) return echo(conversation);
    conversation.reply({});
  } while (conversation.next());
}

Client open_tunnel(const Ringmaster& ringmaster) {
  Client client(ringmaster.endpoint());
  client.send(request_head("GET", "/chat", kUpgrade));
  EXPECT_EQ(client.receive_head().status, 101);
  return client;
}

std::string echoed(Client& tunnel, const std::string& line) {
  tunnel.send(line);
  return tunnel.stream().read_until("\n");
}

TEST_F(LayoutChange, UnderLoadCostsNoClientARequestNorATunnel) {
  Backend leaving("leaving", Backend::Script(chat_or_answer));
  Backend staying("staying", Backend::Script(chat_or_answer));
  Ringmaster ringmaster("[server]\nworkers = 2\n" + leaving.toml(), from_file());
  const pid_t pid = ringmaster.process().pid();
  Client tunnel = open_tunnel(ringmaster);
  Load load(ringmaster.endpoint(), 8);
  ASSERT_TRUE(load.wait_for_more(50));
  const std::vector<pid_t> before = ringmaster.workers();

  upgrade();
  ringmaster.write_config("[server]\nworkers = 2\n" + staying.toml());
  const Finished reload = ringmaster.ctl({"reload"});

  EXPECT_EQ(reload.exit, kDone) << reload.log;
  EXPECT_EQ(ringmaster.process().pid(), pid);
  EXPECT_TRUE(says(ringmaster, kFreshMemory));
  ASSERT_TRUE(load.wait_for_more(50));
  EXPECT_EQ(echoed(tunnel, "still there\n"), "still there\n");
  EXPECT_TRUE(wait_until([&] {
    const auto now = children_of(pid);
    return std::none_of(before.begin(), before.end(), [&](pid_t worker) {
      return std::count(now.begin(), now.end(), worker) != 0;
    });
  })) << "those of before hand over and go";
  EXPECT_EQ(echoed(tunnel, "and on\n"), "and on\n") << "at a backend that left the config";
  tunnel.stream().shutdown_write();
  EXPECT_EQ(tunnel.stream().read_all(), "");
  const Load::Outcome outcome = load.stop();
  EXPECT_TRUE(outcome.is_flawless()) << ::testing::PrintToString(outcome);
  EXPECT_EQ(ringmaster.stop(SIGTERM), kDone);
}

TEST_F(LayoutChange, APortThatIsTakenIsToldAndServiceGoesOn) {
  Backend backend("s1");
  const std::string ip = own_loopback();
  const UniqueFd squatter = listen_at({ip, 0});
  const std::string taken = local_endpoint(squatter.get()).to_string();
  const std::string start = "[server]\nworkers = 2\nlisten = [\"" + ip + ":0\"";
  Ringmaster ringmaster(start + "]\n" + backend.toml(), from_file());
  Client kept(ringmaster.endpoint());
  EXPECT_EQ(kept.get("/").status, 200);

  upgrade();
  ringmaster.write_config(start + ", \"" + taken + "\"]\n" + backend.toml());
  const Finished reload = ringmaster.ctl({"reload"});

  EXPECT_EQ(reload.exit, kRefused);
  EXPECT_NE(reload.log.find("cannot listen on " + taken), std::string::npos) << reload.log;
  EXPECT_TRUE(says(ringmaster, kFreshMemory));
  EXPECT_EQ(kept.get("/").status, 200);
  EXPECT_EQ(get(ringmaster.endpoint(), "/").status, 200);
  EXPECT_EQ(ringmaster.metrics().get("ringmaster_config_last_reload_successful"), 0);

  ringmaster.write_config(start + "]\n" + backend.toml());
  EXPECT_EQ(ringmaster.ctl({"reload"}).exit, kDone)
      << "what serves is the generation to go on from";
  EXPECT_EQ(ringmaster.stop(SIGTERM), kDone);
}

// Between the check and the exec somebody has edited it once more.
TEST_F(LayoutChange, AConfigThatHasBecomeInvalidIsToldAndServiceGoesOn) {
  Backend backend("s1");
  Ringmaster ringmaster(backend.toml(), from_file());
  upgrade_by("case $1 in --check) echo ok; exit 0;; esac\nexec");
  ringmaster.write_config("[server]\nworkers = \"many\"\n" + backend.toml());
  const Finished reload = ringmaster.ctl({"reload"});

  EXPECT_EQ(reload.exit, kRefused);
  EXPECT_NE(reload.log.find("server.workers"), std::string::npos) << reload.log;
  EXPECT_EQ(get(ringmaster.endpoint(), "/").status, 200);
  EXPECT_EQ(ringmaster.stop(SIGTERM), kDone);
}

TEST_F(LayoutChange, WhoseWorkersDoNotComeUpGoesBackToTheConfigOfBefore) {
  Backend before("before");
  Backend after("after");
  Ringmaster ringmaster("[server]\nworkers = 2\n" + before.toml(), from_file());
  Client kept(ringmaster.endpoint());
  EXPECT_EQ(kept.get("/").backend(), "before");
  upgrade();
  ringmaster.write_config("[server]\nworkers = 64\n" + after.toml());
  const Finished finished = ringmaster.reload_killing_new_workers();

  EXPECT_EQ(finished.exit, kRefused);
  EXPECT_NE(finished.log.find("did not come up"), std::string::npos) << finished.log;
  EXPECT_EQ(kept.get("/").backend(), "before") << "and was not closed";
  EXPECT_EQ(get(ringmaster.endpoint(), "/").backend(), "before");
  EXPECT_EQ(ringmaster.metrics().get("ringmaster_workers{state=\"serving\"}"), 2);
  EXPECT_EQ(ringmaster.ready_status(), 200);
  EXPECT_EQ(ringmaster.stop(SIGTERM), kDone);
}

TEST_F(LayoutChange, ADrainedBackendStaysDrained) {
  Backend a("a"), b("b");
  Ringmaster ringmaster("[server]\nworkers = 2\n" + toml_of(a, b), from_file());
  ASSERT_EQ(ringmaster.ctl({"drain", "a"}).exit, kDone);
  const std::size_t before = a.request_count();

  upgrade();
  ASSERT_EQ(ringmaster.ctl({"reload"}).exit, kDone);

  EXPECT_TRUE(says(ringmaster, kFreshMemory));
  EXPECT_EQ(ringmaster.backend_state("a"), "draining");
  for (int i = 0; i < 40; ++i) {
    EXPECT_EQ(get(ringmaster.endpoint(), "/" + std::to_string(i)).backend(), "b");
  }
  EXPECT_EQ(a.request_count(), before);
  EXPECT_EQ(ringmaster.ctl({"ready", "a"}).exit, kDone);
  EXPECT_TRUE(ringmaster.wait_for_state("a", "up"));
}

TEST_F(LayoutChange, AVerdictStays) {
  Backend up("up");
  Backend down("down");
  Ringmaster ringmaster("[health]\ninterval = \"1h\"\n" + toml_of(up, down), from_file());
  down.stop();
  ASSERT_TRUE(wait_until([&] {
    for (int i = 0; i < 10; ++i) get(ringmaster.endpoint(), "/" + std::to_string(i));
    return ringmaster.backend_state("down") == "down";
  }));
  const auto before = ringmaster.status().at("backends");

  upgrade();
  ASSERT_EQ(ringmaster.ctl({"reload"}).exit, kDone);

  const auto after = ringmaster.status().at("backends");
  for (const std::size_t i : {0, 1}) {
    EXPECT_EQ(after.at(i).at("state"), before.at(i).at("state"));
    EXPECT_EQ(after.at(i).at("since"), before.at(i).at("since"));
  }
}

TEST_F(LayoutChange, ANameThatCannotBeResolvedKeepsItsAddress) {
  const UniqueFd reserved = listen_at({"127.0.0.1", 0});
  const std::string port = std::to_string(local_endpoint(reserved.get()).port);
  Ringmaster ringmaster(
      "[health]\npath = \"\"\n[[backend]]\nname = \"a\"\naddress = \"localhost:" + port + "\"\n",
      from_file());
  ASSERT_EQ(ringmaster.backend_state("a"), "up");

  upgrade_by("LD_PRELOAD=" + own_dns_library() + " exec");
  const Finished reload = ringmaster.ctl({"reload"});

  EXPECT_EQ(reload.exit, kDone) << reload.log;
  EXPECT_TRUE(says(ringmaster, kFreshMemory));
  EXPECT_EQ(ringmaster.backend_state("a"), "up");
  EXPECT_EQ(ringmaster.ready_status(), 200);
}

// What it held is not known to who stops; that it was cut is.
TEST_F(LayoutChange, AStopTellsOfARequestThatWorkersOfBeforeHad) {
  Event never;
  Backend backend("s1", answers_after(never));
  const std::string config = "[server]\nworkers = 1\ndrain_timeout = \"200ms\"\n" + backend.toml();
  Ringmaster ringmaster(config, from_file());
  Client client(ringmaster.endpoint());
  client.send(request_head("GET", "/"));
  ASSERT_TRUE(wait_until([&] { return backend.in_flight() == 1; }));
  upgrade();
  ASSERT_EQ(ringmaster.ctl({"reload"}).exit, kDone);
  EXPECT_EQ(ringmaster.stop(SIGTERM), (Exit{3, 0}));
  never.set();
}

}  // namespace
}  // namespace ringmaster::test
