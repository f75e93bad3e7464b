// A reload changes the config, or the binary, under the same pid, and costs no client anything; one
// that cannot work changes nothing and says why.
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <csignal>
#include <filesystem>
#include <future>
#include <nlohmann/json.hpp>

#include "tests/support/backend.h"
#include "tests/support/behaviour.h"
#include "tests/support/binary.h"
#include "tests/support/files.h"
#include "tests/support/load.h"
#include "tests/support/ringmaster.h"

namespace ringmaster::test {
namespace {

using ::testing::Test;

constexpr Exit kDone{0, 0};
constexpr Exit kRefused{1, 0};

double generation(const Ringmaster& ringmaster) {
  return ringmaster.metrics().get("ringmaster_config_generation");
}

TEST(Reload, TakesANewConfigIntoUseUnderTheSamePid) {
  Backend first("s1");
  Backend second("s2");
  Ringmaster ringmaster("[server]\nworkers = 2\n" + first.toml());
  for (int i = 0; i < 20; ++i) {
    EXPECT_EQ(get(ringmaster.endpoint(), "/" + std::to_string(i)).backend(), "s1");
  }
  const std::vector<pid_t> before = ringmaster.workers();

  ringmaster.write_config("[server]\nworkers = 3\n" + first.toml() + second.toml());
  const Finished reload = ringmaster.ctl({"reload"});

  EXPECT_EQ(reload.exit, kDone) << reload.log;
  EXPECT_EQ(reload.output, "generation 2 serves: 2 of 2 backends up, 3 workers\n");
  std::size_t to_second = 0;
  for (int i = 0; i < 20; ++i) {
    to_second += get(ringmaster.endpoint(), "/" + std::to_string(i)).backend() == "s2";
  }
  EXPECT_GT(to_second, 0u);
  EXPECT_TRUE(wait_until([&] { return ringmaster.only_this_generation_is_left(); }));
  const std::vector<pid_t> after = ringmaster.workers();
  EXPECT_EQ(after.size(), 3u);
  for (const pid_t pid : before) EXPECT_EQ(std::count(after.begin(), after.end(), pid), 0);
  const Metrics metrics = ringmaster.metrics();
  EXPECT_EQ(metrics.sum("requests_total"), 40) << "counters go on";
  EXPECT_EQ(metrics.get("ringmaster_config_generation"), 2);
  EXPECT_EQ(metrics.get("ringmaster_config_last_reload_successful"), 1);
  EXPECT_EQ(ringmaster.stop(SIGTERM), kDone);
}

// Whoever asked for it sees that nothing works any more.
TEST(Reload, SaysThatItServesNobody) {
  Backend backend("s1");
  Ringmaster ringmaster(backend.toml());
  ringmaster.write_config(backend_table("s2", free_endpoint()));
  const Finished reload = ringmaster.ctl({"reload"});
  EXPECT_EQ(reload.exit, kDone);
  EXPECT_NE(reload.output.find("\nwarning: no backend is up: every request gets 503\n"),
            std::string::npos)
      << reload.output;
}

// Its text would be gone with the check, and whoever reads it again waits for a writer.
TEST(Reload, OfAPipeIsRefusedAndAllGoesOn) {
  Backend backend("s1");
  Ringmaster ringmaster(backend.toml());
  ringmaster.replace_config_by_pipe();
  const Finished reload = ringmaster.ctl({"reload"});
  EXPECT_EQ(reload.exit, kRefused);
  EXPECT_NE(reload.log.find("cannot be read again"), std::string::npos) << reload.log;
  EXPECT_EQ(get(ringmaster.endpoint(), "/").status, 200);
  EXPECT_EQ(ringmaster.stop(SIGTERM), kDone);
}

TEST(Reload, TellsWhereItListensNowAndWhereNoLonger) {
  Backend backend("s1");
  Ringmaster ringmaster(backend.toml());
  const Endpoint moved = free_endpoint();
  const std::string former = ringmaster.endpoint().to_string();
  ringmaster.write_config("[server]\nlisten = \"" + moved.to_string() + "\"\n" + backend.toml());
  ASSERT_EQ(ringmaster.ctl({"reload"}).exit, kDone);
  const std::string log = ringmaster.process().log();
  EXPECT_NE(log.find("no longer listening on " + former), std::string::npos) << log;
  EXPECT_NE(log.find(" listening on " + moved.to_string()), std::string::npos) << log;
}

TEST(Reload, OnSighupDoesTheSame) {
  Backend backend("s1");
  Ringmaster ringmaster(backend.toml());
  ringmaster.process().signal(SIGHUP);
  EXPECT_TRUE(wait_until([&] { return generation(ringmaster) == 2; }));
  EXPECT_EQ(get(ringmaster.endpoint(), "/").status, 200);
}

TEST(Reload, ARefusedConfigChangesNothingAndSaysWhere) {
  Backend backend("s1");
  Ringmaster ringmaster("[server]\nworkers = 2\n" + backend.toml());
  const std::vector<pid_t> before = ringmaster.workers();

  ringmaster.write_config("[server]\nworkers = \"many\"\n" + backend.toml("weight = 0\n"));
  const Finished reload = ringmaster.ctl({"reload"});

  EXPECT_EQ(reload.exit, kRefused);
  EXPECT_NE(reload.log.find("ringmaster.toml:"), std::string::npos) << reload.log;
  EXPECT_NE(reload.log.find("server.workers"), std::string::npos) << reload.log;
  EXPECT_NE(reload.log.find("weight"), std::string::npos) << "all errors at once: " << reload.log;
  EXPECT_EQ(ringmaster.workers(), before);
  EXPECT_EQ(generation(ringmaster), 1);
  EXPECT_EQ(ringmaster.metrics().get("ringmaster_config_last_reload_successful"), 0);
  EXPECT_EQ(get(ringmaster.endpoint(), "/").status, 200);

  ringmaster.write_config(backend.toml());
  EXPECT_EQ(ringmaster.ctl({"reload"}).exit, kDone);
  EXPECT_EQ(ringmaster.metrics().get("ringmaster_config_last_reload_successful"), 1);
}

TEST(Reload, APortThatIsTakenIsToldAndNothingHasChanged) {
  Backend backend("s1");
  const std::string ip = own_loopback();
  const UniqueFd squatter = listen_at({ip, 0});
  const std::string taken = local_endpoint(squatter.get()).to_string();
  Ringmaster ringmaster("[server]\nworkers = 2\nlisten = \"" + ip + ":0\"\n" + backend.toml());
  Client kept(ringmaster.endpoint());
  EXPECT_EQ(kept.get("/").status, 200);
  const std::vector<pid_t> before = ringmaster.workers();

  ringmaster.write_config("[server]\nworkers = 2\nlisten = [\"" + ip + ":0\", \"" + taken +
                          "\"]\n" + backend.toml());
  const Finished reload = ringmaster.ctl({"reload"});

  EXPECT_EQ(reload.exit, kRefused);
  EXPECT_NE(reload.log.find("cannot listen on " + taken), std::string::npos) << reload.log;
  EXPECT_EQ(ringmaster.workers(), before);
  EXPECT_EQ(generation(ringmaster), 1);
  EXPECT_EQ(kept.get("/").status, 200);
  EXPECT_EQ(get(ringmaster.endpoint(), "/").status, 200);
  EXPECT_EQ(ringmaster.ready_status(), 200);
  EXPECT_EQ(ringmaster.stop(SIGTERM), kDone);
}

// Longer than what the memory keeps for a restart after a crash.
TEST(Reload, ThatFailsGoesBackToAConfigOfAnyLength) {
  Backend first("first");
  Backend second("second");
  const std::string ip = own_loopback();
  const UniqueFd squatter = listen_at({ip, 0});
  const std::string taken = local_endpoint(squatter.get()).to_string();
  const std::string listen = "[server]\nlisten = [\"" + ip + ":0\"";
  const std::string long_comment = "# " + std::string(std::size_t{2} << 20, '-') + "\n";
  Ringmaster ringmaster(listen + "]\n" + first.toml());
  ringmaster.write_config(listen + "]\n" + long_comment + second.toml());
  ASSERT_EQ(ringmaster.ctl({"reload"}).exit, kDone);

  ringmaster.write_config(listen + ", \"" + taken + "\"]\n" + first.toml());
  ASSERT_EQ(ringmaster.ctl({"reload"}).exit, kRefused);

  EXPECT_EQ(ringmaster.backend_state("second"), "up");
  EXPECT_EQ(ringmaster.backend_state("first"), "") << "the config of two generations ago";
  EXPECT_EQ(get(ringmaster.endpoint(), "/").backend(), "second");
  for (const pid_t worker : ringmaster.workers()) ::kill(worker, SIGKILL);
  EXPECT_TRUE(wait_until([&] {
    return ringmaster.metrics().get("ringmaster_worker_restarts_total{cause=\"signal\"}") > 0;
  }));
  EXPECT_EQ(get(ringmaster.endpoint(), "/").backend(), "second");
}

TEST(Reload, SaysThatAListenerOfOurOwnIsInTheWay) {
  Backend backend("s1");
  Ringmaster ringmaster(backend.toml());
  const std::string own = ringmaster.endpoint().to_string();
  const std::string every = "0.0.0.0" + own.substr(own.rfind(':'));
  ringmaster.write_config("[server]\nlisten = \"" + every + "\"\n" + backend.toml());
  const Finished reload = ringmaster.ctl({"reload"});

  EXPECT_EQ(reload.exit, kRefused);
  EXPECT_NE(reload.log.find("cannot listen on " + every + " beside " + own), std::string::npos)
      << reload.log;
  EXPECT_EQ(get(ringmaster.endpoint(), "/").status, 200);
}

TEST(Reload, CostsNoClientARequest) {
  Backend backend("s1");
  Backend other("s2");
  Ringmaster ringmaster("[server]\nworkers = 2\n" + toml_of(backend, other));
  Load load(ringmaster.endpoint(), 8);
  for (int i = 0; i < 5; ++i) {
    ASSERT_TRUE(load.wait_for_more(50));
    ASSERT_EQ(ringmaster.ctl({"reload"}).exit, kDone);
  }
  ASSERT_TRUE(load.wait_for_more(50));
  const Load::Outcome outcome = load.stop();
  EXPECT_TRUE(outcome.is_flawless()) << ::testing::PrintToString(outcome);
  EXPECT_EQ(generation(ringmaster), 6);
  EXPECT_EQ(ringmaster.metrics().sum("requests_total"), static_cast<double>(outcome.answered));
  EXPECT_EQ(ringmaster.metrics().get("ringmaster_client_connections_total"), 8)
      << "nobody had to connect anew";
}

TEST(Reload, DuringAReloadIsDoneAfterIt) {
  Backend backend("s1");
  Ringmaster ringmaster(backend.toml());
  std::vector<std::future<Finished>> reloads;
  for (int i = 0; i < 4; ++i) {
    reloads.push_back(std::async(std::launch::async, [&] { return ringmaster.ctl({"reload"}); }));
  }
  for (auto& reload : reloads) {
    const Finished finished = reload.get();
    EXPECT_EQ(finished.exit, kDone) << finished.log;
  }
  EXPECT_GE(generation(ringmaster), 2);
  EXPECT_TRUE(wait_until([&] { return ringmaster.only_this_generation_is_left(); }));
  EXPECT_EQ(get(ringmaster.endpoint(), "/").status, 200);
}

TEST(Reload, WhileEarlierGenerationsStillAnswerKeepsThemAll) {
  Event go_on;
  Backend backend("s1", answers_after(go_on, "late"));
  Ringmaster ringmaster("[server]\nworkers = 1\n" + backend.toml());
  std::vector<Client> clients;
  for (int i = 0; i < 4; ++i) {
    clients.emplace_back(ringmaster.endpoint());
    clients.back().send(request_head("GET", "/" + std::to_string(i)));
    const auto asked = static_cast<std::size_t>(i) + 1;
    ASSERT_TRUE(wait_until([&] { return backend.request_count() == asked; }));
    ASSERT_EQ(ringmaster.ctl({"reload"}).exit, kDone);
  }
  EXPECT_EQ(ringmaster.metrics().get("ringmaster_workers{state=\"draining\"}"), 4);

  go_on.set();
  for (Client& client : clients) EXPECT_EQ(client.receive().body, "late");
  EXPECT_TRUE(wait_until([&] { return ringmaster.only_this_generation_is_left(); }));
  for (Client& client : clients) EXPECT_EQ(client.get("/again").body, "late");
  EXPECT_EQ(ringmaster.metrics().get("active_connections{backend=\"s1\"}"), 0);
}

TEST(Reload, GivesEarlierGenerationsTheTimeTheyNeed) {
  Event go_on;
  Backend backend("s1", answers_after(go_on, "late"));
  Ringmaster ringmaster("[server]\nworkers = 1\ndrain_timeout = \"200ms\"\n" + backend.toml());
  Client client(ringmaster.endpoint());
  client.send(request_head("GET", "/"));
  ASSERT_TRUE(wait_until([&] { return backend.request_count() == 1; }));
  ASSERT_EQ(ringmaster.ctl({"reload"}).exit, kDone);
  const Stopwatch since_reload;  // time itself is what is tested
  ASSERT_TRUE(wait_until([&] { return since_reload.elapsed() > milliseconds(1000); }));
  go_on.set();
  EXPECT_EQ(client.receive().body, "late");
  EXPECT_TRUE(wait_until([&] { return ringmaster.only_this_generation_is_left(); }));
}

TEST(Reload, EndsTheOldestGenerationWhereThereIsNoPlaceForMore) {
  Event go_on;
  Backend backend("s1", answers_after(go_on, "late"));
  Ringmaster ringmaster("[server]\nworkers = 1\ndrain_timeout = \"300ms\"\n" + backend.toml());
  std::vector<Client> clients;
  for (std::size_t i = 0; i < 6; ++i) {
    clients.emplace_back(ringmaster.endpoint());
    clients.back().send(request_head("GET", "/" + std::to_string(i)));
    ASSERT_TRUE(wait_until([&] { return backend.request_count() == i + 1; }));
    ASSERT_EQ(ringmaster.ctl({"reload"}).exit, kDone);
  }
  EXPECT_THROW(clients.front().receive(), StreamError);
  EXPECT_EQ(ringmaster.ctl({"reload"}).exit, kDone);
  go_on.set();
  for (std::size_t i = 1; i < clients.size(); ++i) EXPECT_EQ(clients[i].receive().body, "late");
  EXPECT_EQ(ringmaster.stop(SIGTERM), kDone) << "the stop itself cut nothing";
}

TEST(Reload, AWorkerThatDiesMeanwhileIsReplaced) {
  Backend backend("s1");
  Ringmaster ringmaster("[server]\nworkers = 2\n" + backend.toml());
  for (int round = 0; round < 5; ++round) {
    auto reload = std::async(std::launch::async, [&] { return ringmaster.ctl({"reload"}); });
    for (const pid_t pid : ringmaster.workers()) ::kill(pid, SIGKILL);
    EXPECT_EQ(reload.get().exit, kDone);
  }
  EXPECT_TRUE(wait_until([&] {
    return ringmaster.only_this_generation_is_left() &&
           ringmaster.metrics().get("ringmaster_workers{state=\"serving\"}") == 2;
  }));
  EXPECT_EQ(get(ringmaster.endpoint(), "/").status, 200);
  EXPECT_EQ(ringmaster.stop(SIGTERM), kDone);
}

TEST(Reload, AStopMeanwhileWins) {
  Backend backend("s1");
  Ringmaster ringmaster(backend.toml());
  ringmaster.process().signal(SIGHUP);
  EXPECT_EQ(ringmaster.stop(SIGTERM), kDone);
  EXPECT_TRUE(ringmaster.process().is_group_gone());
}

// The moment in which one image ends and the next has not begun.
TEST(Reload, AStopIsNotLostBetweenTwoImages) {
  Backend backend("s1");
  for (int round = 0; round < 8; ++round) {
    Ringmaster ringmaster(backend.toml());
    ringmaster.process().signal(SIGHUP);
    ASSERT_TRUE(wait_until([&] {
      return ringmaster.process().log().find("its generation starts") != std::string::npos;
    }));
    ASSERT_EQ(ringmaster.stop(SIGTERM), kDone);
  }
}

TEST(Reload, WorksWithoutStandardInputAndOutput) {
  Backend backend("s1");
  StartOptions closed;
  closed.command = {"/bin/sh", "-c", "exec \"$@\" <&- >&-", "sh", ringmaster_binary()};
  Ringmaster ringmaster("[server]\nworkers = 2\n" + backend.toml(), closed);
  EXPECT_EQ(get(ringmaster.endpoint(), "/").status, 200);
  EXPECT_EQ(ringmaster.ctl({"reload"}).exit, kDone);
  EXPECT_EQ(get(ringmaster.endpoint(), "/").status, 200);
  EXPECT_EQ(ringmaster.stop(SIGTERM), kDone);
}

TEST(Reload, OpensAndClosesListeners) {
  Backend backend("s1");
  const std::string ip = own_loopback();
  Ringmaster ringmaster("[server]\nlisten = \"" + ip + ":0\"\n" + backend.toml());
  const Endpoint first = ringmaster.endpoint();
  const Endpoint added = free_endpoint(ip);

  ringmaster.write_config("[server]\nlisten = \"" + added.to_string() + "\"\n" + backend.toml());
  ASSERT_EQ(ringmaster.ctl({"reload"}).exit, kDone);

  EXPECT_EQ(get(added, "/").status, 200);
  EXPECT_TRUE(wait_until([&] { return is_refused(first); }));
}

// As long as it may yet fail, who asks the master sees the service that is.
TEST(Reload, UntilItIsDoneTheMasterAnswersWhereAndAsBefore) {
  const std::string head = "[health]\ninterval = \"60s\"\ntimeout = \"30s\"\n[admin]\nlisten = \"";
  const std::string ip = own_loopback();
  Backend before("s1"), after("s1");
  after.hang();
  Ringmaster ringmaster(head + ip + ":0\"\n" + before.toml());
  const Endpoint new_admin = free_endpoint(ip);
  ringmaster.write_config(head + new_admin.to_string() + "\"\n" + after.toml());

  ringmaster.process().signal(SIGHUP);
  ASSERT_TRUE(wait_until(
      [&] { return ringmaster.process().log().find(") takes over") != std::string::npos; }));
  EXPECT_EQ(ringmaster.ready_status(), 200) << "its own backend is up";
  EXPECT_EQ(ringmaster.metrics().get("ringmaster_config_last_reload_successful"), 1);
  after.resume();
  EXPECT_TRUE(wait_until([&] { return is_refused(ringmaster.admin()); }));
  EXPECT_EQ(get(new_admin, "/readyz").status, 200);
}

// The listener of before is still there to go back to.
TEST(Reload, WhoseWorkersDoNotComeUpGoesBackWithItsListeners) {
  Backend backend("s1");
  const auto with_workers = [&](const std::string& count, const Endpoint& where) {
    return "[server]\nworkers = " + count + "\nlisten = \"" + where.to_string() + "\"\n" +
           backend.toml();
  };
  const Endpoint before = free_endpoint();
  Ringmaster ringmaster(with_workers("2", before));
  const Endpoint wanted = free_endpoint();
  ringmaster.write_config(with_workers("64", wanted));
  const Finished finished = ringmaster.reload_killing_new_workers();
  EXPECT_EQ(finished.exit, kRefused);
  EXPECT_NE(finished.log.find("did not come up"), std::string::npos) << finished.log;
  EXPECT_EQ(get(before, "/").status, 200);
  EXPECT_TRUE(wait_until([&] { return is_refused(wanted); }));
  EXPECT_EQ(ringmaster.ready_status(), 200);
  EXPECT_EQ(generation(ringmaster), 1);
  EXPECT_EQ(ringmaster.stop(SIGTERM), kDone);
}

TEST(Reload, ABackendThatLeavesDrainsAndKeepsItsSeries) {
  Event go_on;
  Backend leaving("leaving", answers_after(go_on, "to the end"));
  Backend staying("staying");
  Ringmaster ringmaster(leaving.toml());
  Client client(ringmaster.endpoint());
  client.send(request_head("GET", "/"));
  ASSERT_TRUE(wait_until([&] { return leaving.request_count() == 1; }));

  ringmaster.write_config(staying.toml());
  ASSERT_EQ(ringmaster.ctl({"reload"}).exit, kDone);
  EXPECT_EQ(get(ringmaster.endpoint(), "/").backend(), "staying");
  EXPECT_EQ(ringmaster.metrics().get("active_connections{backend=\"leaving\"}"), 1);

  go_on.set();
  EXPECT_EQ(client.receive().body, "to the end");
  const Metrics metrics = ringmaster.metrics();
  EXPECT_EQ(metrics.get("requests_total{backend=\"leaving\"}"), 1);
  EXPECT_FALSE(metrics.has("ringmaster_backend_up{backend=\"leaving\"}"));
}

TEST(Reload, GivesNoClientAFreshBurst) {
  Backend backend("s1");
  constexpr int kBurst = 60;
  const std::string limit = "[rate_limit]\nrequests_per_second = 1\nburst = 60\n";
  Ringmaster ringmaster(limit + backend.toml());
  const Stopwatch watch;
  const auto admitted = [&] {
    int count = 0;
    for (int i = 0; i < kBurst; ++i) count += get(ringmaster.endpoint(), "/").status == 200;
    return count;
  };
  EXPECT_EQ(admitted(), kBurst);
  ASSERT_EQ(ringmaster.ctl({"reload"}).exit, kDone);
  const int again = admitted();
  EXPECT_LE(again, watch.elapsed() / seconds(1) + 1) << "what the time since the first earned";
}

// As the old rate has it, the next token would come in a minute.
TEST(Reload, AsksNoClientToWaitByTheRateOfBefore) {
  Backend backend("s1");
  const auto with = [&](const std::string& limit) {
    return "[rate_limit]\n" + limit + backend.toml();
  };
  Ringmaster ringmaster(with("requests_per_second = 1\nburst = 60\n"));
  while (get(ringmaster.endpoint(), "/").status == 200) {
  }
  ringmaster.write_config(with("requests_per_second = 10\nburst = 10\n"));
  ASSERT_EQ(ringmaster.ctl({"reload"}).exit, kDone);
  EXPECT_TRUE(
      wait_until([&] { return get(ringmaster.endpoint(), "/").status == 200; }, seconds(3)));
}

TEST(Reload, KnowsAtOnceWhoWasDown) {
  Backend up("up");
  Backend down("down");
  Ringmaster ringmaster("[health]\ninterval = \"1h\"\n" + toml_of(up, down));
  down.stop();
  ASSERT_TRUE(wait_until([&] {
    for (int i = 0; i < 10; ++i)
      EXPECT_EQ(get(ringmaster.endpoint(), "/" + std::to_string(i)).status, 200);
    return ringmaster.backend_state("down") == "down";
  }));
  const auto before = ringmaster.status();
  ASSERT_EQ(ringmaster.ctl({"reload"}).exit, kDone);
  EXPECT_EQ(ringmaster.backend_state("down"), "down");
  EXPECT_EQ(ringmaster.backend_state("up"), "up");
  EXPECT_EQ(ringmaster.status().at("backends").at(1).at("since"),
            before.at("backends").at(1).at("since"));
}

ino_t inode_of_process(pid_t pid) {
  struct stat status;
  return ::stat(("/proc/" + std::to_string(pid) + "/exe").c_str(), &status) == 0 ? status.st_ino
                                                                                 : 0;
}

TEST(Upgrade, TheNewBinaryTakesOverUnderTheSamePid) {
  Backend backend("s1");
  Binary binary;
  Ringmaster ringmaster(backend.toml(), {.environment = {}, .command = {binary.path()}});
  const ino_t old_file = inode_of_process(ringmaster.process().pid());
  Client kept(ringmaster.endpoint());
  EXPECT_EQ(kept.get("/").status, 200);

  binary.put(ringmaster_binary());
  ASSERT_NE(binary.inode(), old_file);
  const Finished reload = ringmaster.ctl({"reload"});

  EXPECT_EQ(reload.exit, kDone) << reload.log;
  EXPECT_EQ(inode_of_process(ringmaster.process().pid()), binary.inode());
  EXPECT_EQ(kept.get("/").status, 200);
  EXPECT_TRUE(wait_until([&] { return ringmaster.only_this_generation_is_left(); }));
  for (const pid_t worker : ringmaster.workers())
    EXPECT_EQ(inode_of_process(worker), binary.inode());
}

// As those who keep versions side by side do: a link says which one is in use.
TEST(Upgrade, FollowsALinkOnThePathOfTheBinary) {
  Backend backend("s1");
  Binary first;
  Binary second;
  TempDir dir;
  const std::string link = dir.path("current");
  std::filesystem::create_symlink(first.path(), link);
  Ringmaster ringmaster(backend.toml(), {.environment = {}, .command = {link}});
  EXPECT_EQ(inode_of_process(ringmaster.process().pid()), first.inode());

  std::filesystem::remove(link);
  std::filesystem::create_symlink(second.path(), link);
  ASSERT_EQ(ringmaster.ctl({"reload"}).exit, kDone);

  EXPECT_EQ(inode_of_process(ringmaster.process().pid()), second.inode());
  EXPECT_EQ(get(ringmaster.endpoint(), "/").status, 200);
}

TEST(Upgrade, ABinaryThatCannotRunIsRefused) {
  Backend backend("s1");
  Binary binary;
  Ringmaster ringmaster(backend.toml(), {.environment = {}, .command = {binary.path()}});
  for (const char* script : {"#!/bin/sh\necho missing a library >&2; exit 127\n",
                             "#!/bin/sh\nkill -SEGV $$\n", "not a program"}) {
    binary.put_script(script);
    const Finished reload = ringmaster.ctl({"reload"});
    EXPECT_EQ(reload.exit, kRefused) << script;
    EXPECT_NE(reload.log, "");
    EXPECT_EQ(get(ringmaster.endpoint(), "/").status, 200);
  }
  EXPECT_EQ(generation(ringmaster), 1);
}

TEST(Reload, MendsAStartThatDoesNotGetReady) {
  Backend hung("s1");
  Backend good("s2");
  hung.hang();
  Ringmaster ringmaster("[health]\ninterval = \"60s\"\ntimeout = \"60s\"\n" + hung.toml(),
                        {.wait_until_ready = false});
  ringmaster.write_config(good.toml());
  const Finished reload = ringmaster.ctl({"reload"});
  EXPECT_EQ(reload.exit, kDone) << reload.log;
  EXPECT_EQ(get(ringmaster.endpoint(), "/").backend(), "s2");
  EXPECT_EQ(ringmaster.stop(SIGTERM), kDone);
  hung.resume();
}

}  // namespace
}  // namespace ringmaster::test
