// A request is sent again where no harm can come of it and the client never knows; one that may
// have been acted on, and must not be twice, never is.
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <algorithm>
#include <csignal>
#include <filesystem>
#include <string>
#include <vector>

#include "tests/support/backend.h"
#include "tests/support/ringmaster.h"

namespace ringmaster::test {
namespace {

// Probes never interfere.
const std::string kSeldomProbed = "[health]\ninterval = \"60s\"\n";

// Answers the first request of a connection and closes at the second without an answer: what a
// kept connection looks like that the backend gave up just then.
Backend::Script answers_once_a_connection() {
  return [](Conversation& conversation) {
    conversation.read_body();
    conversation.reply({.body = "fresh"});
    conversation.next();
  };
}

// Takes a request and closes without a word.
void hang_up(Conversation& conversation) {
  conversation.read_body();
}

TEST(Retry, ARefusedConnectionMovesOnToTheNextBackend) {
  Backend a("a"), b("b");
  Ringmaster ringmaster(kSeldomProbed + toml_of(a, b));
  a.stop();
  Client client(ringmaster.endpoint());

  for (int i = 0; i < 20; ++i) EXPECT_EQ(client.get("/" + std::to_string(i)).backend(), "b");

  EXPECT_TRUE(wait_until([&] {
    return ringmaster.metrics().sum("ringmaster_retries_total", {"backend=\"a\""}) >= 1;
  }));
}

TEST(Retry, ARefusedPostMovesOnTooForNothingWasSent) {
  Backend a("a"), b("b");
  Ringmaster ringmaster(kSeldomProbed + toml_of(a, b));
  a.stop();
  Client client(ringmaster.endpoint());

  for (int i = 0; i < 20; ++i) {
    const std::string body = "body " + std::to_string(i);
    EXPECT_EQ(client.post("/" + std::to_string(i), body).backend(), "b");
    EXPECT_EQ(b.requests().back().body, body);
  }
  EXPECT_EQ(b.request_count(), 20u);
}

TEST(Retry, AStaleConnectionIsInvisibleToAGet) {
  Backend backend("s1", answers_once_a_connection());
  Ringmaster ringmaster("[server]\nworkers = 1\n" + kSeldomProbed + backend.toml());
  Client client(ringmaster.endpoint());

  for (int i = 0; i < 20; ++i) {
    const Response response = client.get("/");
    ASSERT_EQ(response.status, 200);
    EXPECT_EQ(response.body, "fresh");
  }
}

// The request and the answer that nobody asked for wait for the worker together, the request first.
TEST(Retry, WhatCameBeforeARequestIsNoAnswerToIt) {
  Event may_speak, has_spoken;
  Backend backend("s1", Backend::Script([&](Conversation& conversation) {
                    conversation.read_body();
                    conversation.reply({.body = "asked"});
                    if (backend.connection_count() > 1) return;
                    may_speak.wait();
                    conversation.stream().send("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nalone");
                    has_spoken.set();
                    conversation.next();
                  }));
  Ringmaster ringmaster("[server]\nworkers = 1\n" + kSeldomProbed + backend.toml());
  Client client(ringmaster.endpoint());
  ASSERT_EQ(client.get("/").body, "asked");

  const pid_t worker = ringmaster.workers().at(0);
  ::kill(worker, SIGSTOP);
  ASSERT_TRUE(wait_until([&] { return is_stopped(worker); }));
  client.send(request_head("GET", "/"));
  may_speak.set();
  ASSERT_TRUE(has_spoken.wait());
  ::kill(worker, SIGCONT);
  EXPECT_EQ(client.receive().body, "asked");
  EXPECT_EQ(backend.connection_count(), 2u);
}

// One that fills the worker's buffer cannot be sent twice, though it might be: nor is it sent to
// whom has gone. The request and the backend's end wait for the worker together, the request first.
TEST(Retry, AStaleConnectionIsInvisibleToALongPutToo) {
  Event may_close, has_closed;
  Backend backend("s1", Backend::Script([&](Conversation& conversation) {
                    conversation.read_body();
                    conversation.reply({});
                    if (backend.connection_count() > 1) return;
                    may_close.wait();
                    conversation.stream().close();
                    has_closed.set();
                  }));
  Ringmaster ringmaster("[server]\nworkers = 1\n" + kSeldomProbed + backend.toml());
  Client client(ringmaster.endpoint());
  ASSERT_EQ(client.get("/").status, 200);

  const pid_t worker = ringmaster.workers().at(0);
  ::kill(worker, SIGSTOP);
  ASSERT_TRUE(wait_until([&] { return is_stopped(worker); }));
  const std::string body(100'000, 'x');
  client.send(request_head("PUT", "/", "Content-Length: 100000\r\n") + body);
  may_close.set();
  ASSERT_TRUE(has_closed.wait());
  ::kill(worker, SIGCONT);
  EXPECT_EQ(client.receive().status, 200);
  EXPECT_EQ(backend.requests().back().body, body);
}

// Without a descriptor for a connection the worker takes one from a connection that idles, and
// thinks no worse of the backend.
TEST(Retry, AWorkerShortOfDescriptorsClosesAnIdleConnection) {
  Backend a("a"), b("b");
  Ringmaster ringmaster("[server]\nworkers = 1\n" + kSeldomProbed + toml_of(a, b));
  const pid_t worker = ringmaster.workers().at(0);
  Client client(ringmaster.endpoint());
  const std::string first = client.get("/0").backend();
  const auto is_in_use = [&](rlim_t fd) {
    return std::filesystem::is_symlink("/proc/" + std::to_string(worker) + "/fd/" +
                                       std::to_string(fd));
  };
  // Clients take the numbers that are free below the highest one in use.
  std::vector<Client> fillers;
  rlim_t free = 0;
  for (const std::string fds = "/proc/" + std::to_string(worker) + "/fd";;) {
    rlim_t highest = 0;
    for (const auto& entry : std::filesystem::directory_iterator(fds)) {
      highest = std::max<rlim_t>(highest, std::stoul(entry.path().filename().string()));
    }
    for (free = 0; is_in_use(free);) ++free;
    if (free > highest) break;
    fillers.emplace_back(ringmaster.endpoint());
    ASSERT_TRUE(wait_until([&] { return is_in_use(free); }));
  }
  const rlimit no_more{free, free};
  ASSERT_EQ(::prlimit(worker, RLIMIT_NOFILE, &no_more, nullptr), 0);

  int i = 1;
  for (; i < 100; ++i) {
    const Response response = client.get("/" + std::to_string(i));
    ASSERT_EQ(response.status, 200);
    if (response.backend() != first) break;
  }
  EXPECT_LT(i, 100) << "the other one has no connection yet";
  const Metrics metrics = ringmaster.metrics();
  EXPECT_EQ(metrics.sum("ringmaster_retries_total"), 0);
  EXPECT_EQ(metrics.sum("ringmaster_upstream_connections"), 1);
}

TEST(Retry, AConnectionClosedWhileItIdlesIsNotUsedForAPost) {
  Event may_close;
  Event closed;
  Backend backend("s1", Backend::Script([&](Conversation& conversation) {
                    conversation.read_body();
                    conversation.reply({});
                    may_close.wait();
                    conversation.stream().close();
                    closed.set();
                  }));
  Ringmaster ringmaster("[server]\nworkers = 1\n" + kSeldomProbed + backend.toml());
  Client client(ringmaster.endpoint());
  ASSERT_EQ(client.get("/").status, 200);
  may_close.set();
  ASSERT_TRUE(closed.wait());
  ASSERT_TRUE(wait_until([&] {
    return ringmaster.metrics().sum("ringmaster_upstream_connections", {"backend=\"s1\""}) == 0;
  }));

  EXPECT_EQ(client.post("/", "once").status, 200);
}

TEST(Retry, APostThatMayHaveBeenActedOnIsNeverSentTwice) {
  Backend a("a", Backend::Script(hang_up)), b("b", Backend::Script(hang_up));
  Ringmaster ringmaster(kSeldomProbed + toml_of(a, b));

  for (int i = 0; i < 10; ++i) {
    EXPECT_EQ(Client(ringmaster.endpoint()).post("/" + std::to_string(i), "once").status, 502);
    EXPECT_EQ(a.request_count() + b.request_count(), static_cast<std::size_t>(i + 1));
  }
}

TEST(Retry, APostOnAStaleConnectionIsNotSentTwiceEither) {
  Backend backend("s1", Backend::Script([](Conversation& conversation) {
                    conversation.reply({});
                    conversation.next();
                    conversation.reply({});
                    conversation.next();
                    conversation.read_body();
                  }));
  Ringmaster ringmaster("[server]\nworkers = 1\n" + kSeldomProbed + backend.toml());
  Client client(ringmaster.endpoint());
  ASSERT_EQ(client.get("/").status, 200);
  ASSERT_EQ(client.get("/").status, 200);  // it keeps connections

  // The backend reads it before it closes, so that it may have been acted on.
  EXPECT_EQ(client.post("/", "once").status, 502);
  EXPECT_EQ(backend.request_count(), 3u);
  EXPECT_EQ(backend.connection_count(), 1u);
}

// One that closes behind each answer and does not say so, as simple servers do.
TEST(Retry, ABackendThatKeepsNoConnectionsGetsEachPostOnAFreshOne) {
  Backend backend("s1", Backend::Script([](Conversation& conversation) {
                    conversation.read_body();
                    conversation.reply({});
                  }));
  Ringmaster ringmaster("[server]\nworkers = 1\n" + kSeldomProbed + backend.toml());
  Client client(ringmaster.endpoint());
  for (int i = 0; i < 300; ++i) ASSERT_EQ(client.post("/", "once").status, 200) << i;
  EXPECT_EQ(backend.request_count(), 300u);
}

TEST(Retry, ABackendThatKeepsConnectionsGetsPostsOnOne) {
  Backend backend("s1");
  Ringmaster ringmaster("[server]\nworkers = 1\n" + kSeldomProbed + backend.toml());
  Client client(ringmaster.endpoint());
  std::size_t before = 0;
  ASSERT_TRUE(wait_until([&] {  // one that idles for long enough shows it
    before = backend.connection_count();
    return client.post("/", "again").status == 200 && backend.connection_count() == before;
  }));
  for (int i = 0; i < 20; ++i) ASSERT_EQ(client.post("/", "again").status, 200);
  EXPECT_EQ(backend.connection_count(), before);
}

TEST(Retry, AGetWhoseBackendHangsUpIsAskedElsewhere) {
  Backend a("a", Backend::Script(hang_up)), b("b");
  Ringmaster ringmaster(kSeldomProbed + toml_of(a, b));
  Client client(ringmaster.endpoint());

  for (int i = 0; i < 20; ++i) EXPECT_EQ(client.get("/" + std::to_string(i)).backend(), "b");

  EXPECT_GT(a.request_count(), 0u);
}

TEST(Retry, ALongRequestThatCameAtOnceIsAskedElsewhereToo) {
  const std::string body = pattern(40'000);
  Backend a("a", Backend::Script(hang_up)), b("b");
  Ringmaster ringmaster(kSeldomProbed + toml_of(a, b));
  Client client(ringmaster.endpoint());

  for (int i = 0; i < 20; ++i) {
    client.send(request_head("PUT", "/" + std::to_string(i), "Content-Length: 40000\r\n") + body);
    EXPECT_EQ(client.receive().backend(), "b");
    EXPECT_TRUE(b.requests().back().body == body);
  }
  EXPECT_GT(a.request_count(), 0u);
}

TEST(Retry, RetriesNeverExceedTheirNumber) {
  std::atomic<int> received = 0;
  const auto count = [&](Conversation&) { ++received; };
  Backend a("a", Backend::Script(count)), b("b", Backend::Script(count));
  Backend c("c", Backend::Script(count)), d("d", Backend::Script(count));
  Backend e("e", Backend::Script(count));
  Ringmaster ringmaster(kSeldomProbed + "[upstream]\nretries = 2\n" + toml_of(a, b, c, d, e));

  EXPECT_EQ(get(ringmaster.endpoint(), "/").status, 502);
  EXPECT_EQ(received, 3);
}

TEST(Retry, WithoutRetriesTheFirstFailureIsTheAnswer) {
  Backend a("a", Backend::Script(hang_up)), b("b", Backend::Script(hang_up));
  Ringmaster ringmaster(kSeldomProbed + "[upstream]\nretries = 0\n" + toml_of(a, b));

  EXPECT_EQ(get(ringmaster.endpoint(), "/").status, 502);
  EXPECT_EQ(a.request_count() + b.request_count(), 1u);
  EXPECT_EQ(ringmaster.metrics().sum("ringmaster_retries_total"), 0);
}

TEST(Retry, IsCountedWhereItWasMade) {
  Backend a("a", Backend::Script(hang_up)), b("b", Backend::Script(hang_up));
  Ringmaster ringmaster(kSeldomProbed + "[upstream]\nretry_budget = 1\n" + toml_of(a, b));

  EXPECT_EQ(get(ringmaster.endpoint(), "/").status, 502);
  EXPECT_EQ(a.request_count() + b.request_count(), 2u);
  EXPECT_EQ(ringmaster.metrics().sum("ringmaster_retries_total"), 1);
}

TEST(Retry, AResponseThatHasBegunIsNeverStartedAgain) {
  const Backend::Script cut = [](Conversation& conversation) {
    conversation.stream().send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc");
  };
  Backend a("a", cut), b("b", cut);
  Ringmaster ringmaster(kSeldomProbed + toml_of(a, b));

  EXPECT_THROW(get(ringmaster.endpoint(), "/"), StreamError);
  EXPECT_EQ(a.request_count() + b.request_count(), 1u);
}

// A reset would take along what the client has not read yet of the answers before.
TEST(Retry, AnAnswerThatBreaksOffTakesNoEarlierOneAlong) {
  Backend backend(
      "s1", Backend::Script([](Conversation& conversation) {
        do {
          if (conversation.request().target == "/breaks") break;
          conversation.reply({.body = "whole"});
        } while (conversation.next());
        conversation.stream().send("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nsome");
      }));
  Ringmaster ringmaster(backend.toml());
  Client client(ringmaster.endpoint());
  client.send(request_head("GET", "/whole") + request_head("GET", "/breaks"));
  ASSERT_TRUE(wait_until([&] { return ringmaster.rejected("response_cut") == 1; }));

  EXPECT_EQ(client.receive().body, "whole");
  EXPECT_EQ(client.receive_head().status, 200);
  EXPECT_EQ(client.stream().read_exactly(4), "some");
  EXPECT_TRUE(client.is_ended()) << "without a reset";
}

// The kernel refuses at once to connect to the broadcast address: nobody was waited for.
TEST(Retry, WhatCannotEvenBeTriedIsA502) {
  Ringmaster ringmaster("[server]\nworkers = 1\n[health]\npanic_threshold = 1.0\n" +
                            backend_table("s1", {"255.255.255.255", 80}),
                        {.wait_until_ready = false});
  ASSERT_TRUE(wait_until([&] { return get(ringmaster.endpoint(), "/").status != 503; }));
  EXPECT_EQ(get(ringmaster.endpoint(), "/").status, 502);
}

TEST(Retry, NonsenseFromABackendIsA502) {
  Backend backend("s1", Backend::Script([](Conversation& conversation) {
                    conversation.stream().send("HTTP/9.9 what\r\n\r\n");
                  }));
  Ringmaster ringmaster(kSeldomProbed + backend.toml());

  Client client(ringmaster.endpoint());
  client.send(request_head("POST", "/", "Content-Length: 0\r\n"));
  EXPECT_EQ(client.receive().status, 502);
  EXPECT_TRUE(wait_until([&] { return ringmaster.rejected("bad_response") == 1; }));
}

}  // namespace
}  // namespace ringmaster::test
