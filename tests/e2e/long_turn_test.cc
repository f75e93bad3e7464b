// Hundreds of requests that the kernel names at once are one long turn of the worker's loop. Nobody
// waits for its end who need not.
#include <gtest/gtest.h>

#include <atomic>
#include <csignal>
#include <string>
#include <utility>
#include <vector>

#include "tests/support/backend.h"
#include "tests/support/ringmaster.h"

namespace ringmaster::test {
namespace {

constexpr int kClients = 700;  // a turn is long from 512 events on

TEST(LongTurn, AnswersToItsFirstRequestsAreReadBeforeItEnds) {
  std::atomic<int> wave = 0;
  std::atomic<int> connections = 0;  // that the wave uses
  Backend backend("s1", Backend::Script([&](Conversation& conversation) {
                    int last_wave = -1;
                    do {
                      if (std::exchange(last_wave, wave.load()) != wave) ++connections;
                      conversation.reply({.body = conversation.request().target});
                    } while (conversation.next());
                  }));
  Ringmaster ringmaster("[server]\nworkers = 1\n[upstream]\nmax_idle = 1000\n" + backend.toml());
  const pid_t worker = ringmaster.workers().at(0);
  std::vector<Client> clients;
  for (int i = 0; i < kClients; ++i) clients.emplace_back(ringmaster.endpoint());

  // The first wave opens a connection each. Later ones need fewer, unless the backend is too slow,
  // for others use the machine: its answers come in time in one of them.
  for (bool is_early = false; wave < 30 && !is_early; ++wave) {
    connections = 0;
    ::kill(worker, SIGSTOP);
    ASSERT_TRUE(wait_until([&] { return is_stopped(worker); }));
    for (int i = 0; i < kClients; ++i) {
      clients[i].send(request_head("GET", "/" + std::to_string(i)));
    }
    ::kill(worker, SIGCONT);
    for (int i = 0; i < kClients; ++i) {
      const Response response = clients[i].receive();
      ASSERT_EQ(response.status, 200);
      ASSERT_EQ(response.body, "/" + std::to_string(i));
    }
    is_early = wave > 0 && connections < kClients - 50;
  }
  EXPECT_LT(connections, kClients - 50);
  EXPECT_EQ(ringmaster.metrics().sum("ringmaster_retries_total"), 0);
}

// Bytes that lie on an idle connection when all those requests come are told of after them: the
// first request has gone out on that connection by then, and they are no answer to it.
TEST(LongTurn, WhatLayThereBeforeIsNoAnswer) {
  std::atomic<Stream*> idle = nullptr;  // the first connection
  Backend backend("s1", Backend::Script([&](Conversation& conversation) {
                    Stream* none = nullptr;
                    idle.compare_exchange_strong(none, &conversation.stream());
                    do {
                      conversation.reply({.body = conversation.request().target});
                    } while (conversation.next());
                  }));
  Ringmaster ringmaster("[server]\nworkers = 1\n" + backend.toml());
  const pid_t worker = ringmaster.workers().at(0);
  std::vector<Client> clients;
  for (int i = 0; i < kClients; ++i) clients.emplace_back(ringmaster.endpoint());
  ASSERT_EQ(clients[0].get("/first").body, "/first");
  // Or it may stand still in the turn that accepts the last of them, whose events are told already.
  ASSERT_TRUE(wait_until(
      [&] { return ringmaster.metrics().sum("ringmaster_client_connections") == kClients; }));

  ::kill(worker, SIGSTOP);
  ASSERT_TRUE(wait_until([&] { return is_stopped(worker); }));
  for (int i = 0; i < kClients; ++i) {
    clients[i].send(request_head("GET", "/" + std::to_string(i)));
  }
  idle.load()->send("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison");
  ::kill(worker, SIGCONT);
  for (int i = 0; i < kClients; ++i) ASSERT_EQ(clients[i].receive().body, "/" + std::to_string(i));
}

}  // namespace
}  // namespace ringmaster::test
