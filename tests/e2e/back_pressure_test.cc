// Bodies of any size stream through bounded memory, no faster than the slower side reads, and a
// client that goes away stops its backend's work.
#include <gtest/gtest.h>

#include <algorithm>
#include <csignal>

#include "tests/support/backend.h"
#include "tests/support/ringmaster.h"

namespace ringmaster::test {
namespace {

constexpr std::size_t kMiB = 1 << 20;

Checksum checksum_of(const std::string& piece, std::size_t times) {
  Checksum sum;
  for (std::size_t i = 0; i < times; ++i) sum.add(piece);
  return sum;
}

std::size_t largest_worker(const Ringmaster& ringmaster) {
  std::size_t largest = 0;
  for (const pid_t pid : ringmaster.workers()) largest = std::max(largest, resident_bytes(pid));
  return largest;
}

// A response of `times` pieces, as script of a backend.
Backend::Script stream_out(const std::string& piece, std::size_t times,
                           std::atomic<std::size_t>* sent = nullptr) {
  return [piece, times, sent](Conversation& conversation) {
    conversation.read_body();
    conversation.stream().send(
        "HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(piece.size() * times) + "\r\n\r\n");
    for (std::size_t i = 0; i < times; ++i) {
      conversation.stream().send(piece);
      if (sent != nullptr) *sent += piece.size();
    }
  };
}

// True once `value` has not changed for `still`.
bool comes_to_rest(const std::atomic<std::size_t>& value, milliseconds still) {
  std::size_t last = value;
  Stopwatch since;
  return wait_until([&] {
    if (value != last) {
      last = value;
      since = {};
    }
    return since.elapsed() >= still;
  });
}

TEST(BackPressure, LargeResponsesPassInBoundedMemory) {
  const std::string piece = pattern(kMiB);
  Backend backend("s1", stream_out(piece, 64));
  Ringmaster ringmaster("[server]\nworkers = 2\n" + backend.toml());
  get(ringmaster.admin(), "/healthz");
  const std::size_t before = largest_worker(ringmaster);

  Client client(ringmaster.endpoint());
  client.send(request_head("GET", "/"));
  Checksum received;
  std::size_t peak = 0;
  const Response response = client.receive_into([&](std::string_view bytes) {
    if (received.size() / kMiB != (received.size() + bytes.size()) / kMiB) {
      peak = std::max(peak, largest_worker(ringmaster));
    }
    received.add(bytes);
  });

  EXPECT_EQ(response.status, 200);
  EXPECT_TRUE(received == checksum_of(piece, 64));
  EXPECT_LT(peak, before + 16 * kMiB);
}

TEST(BackPressure, LargeRequestsPassInBoundedMemory) {
  const std::string piece = pattern(kMiB);
  Checksum received;
  Backend backend(
      "s1", Backend::Script([&](Conversation& conversation) {
        conversation.read_body_into([&](std::string_view bytes) { received.add(bytes); });
        conversation.reply({.body = "thanks"});
      }));
  Ringmaster ringmaster("[server]\nworkers = 2\n" + backend.toml());
  const std::size_t before = largest_worker(ringmaster);

  Client client(ringmaster.endpoint());
  client.send(request_head("POST", "/", "Content-Length: " + std::to_string(64 * kMiB) + "\r\n"));
  std::size_t peak = 0;
  for (int i = 0; i < 64; ++i) {
    client.send(piece);
    peak = std::max(peak, largest_worker(ringmaster));
  }

  EXPECT_EQ(client.receive().body, "thanks");
  EXPECT_TRUE(received == checksum_of(piece, 64));
  EXPECT_LT(peak, before + 16 * kMiB);
}

// Who has sent fast gets a large buffer, and keeps it no longer than he does.
TEST(BackPressure, ManySlowUploadsHoldSmallBuffers) {
  if (binary_is_sanitized()) GTEST_SKIP() << "its runtime keeps what was freed";
  constexpr std::size_t kUploads = 64;
  std::atomic<std::size_t> received = 0;
  Backend backend(
      "s1", Backend::Script([&](Conversation& conversation) {
        conversation.read_body_into([&](std::string_view bytes) { received += bytes.size(); });
      }));
  Ringmaster ringmaster("[server]\nworkers = 1\n" + backend.toml());
  get(ringmaster.admin(), "/healthz");
  const std::size_t before = largest_worker(ringmaster);
  std::vector<Client> clients;
  const std::string piece = pattern(kMiB);
  for (std::size_t i = 0; i < kUploads; ++i) {
    clients.emplace_back(ringmaster.endpoint());
    clients.back().send(request_head("PUT", "/", "Content-Length: 100000000\r\n") + piece);
  }
  ASSERT_TRUE(wait_until([&] { return received == kUploads * piece.size(); }));

  EXPECT_TRUE(wait_until([&] {
    for (Client& client : clients) client.send("x");
    return largest_worker(ringmaster) < before + kUploads * 64 * 1024;
  })) << (largest_worker(ringmaster) - before) / kUploads
      << " bytes each";
}

TEST(BackPressure, ASlowClientSlowsTheBackendDown) {
  const std::string piece = pattern(kMiB);
  std::atomic<std::size_t> sent = 0;
  Backend backend("s1", stream_out(piece, 160, &sent));
  Ringmaster ringmaster("[server]\nworkers = 1\n" + backend.toml());
  const std::size_t before = largest_worker(ringmaster);

  Client client(Stream::connect(ringmaster.endpoint(), "", 64 * 1024));
  client.send(request_head("GET", "/"));
  ASSERT_TRUE(comes_to_rest(sent, milliseconds(500)));
  EXPECT_LT(sent, 128 * kMiB);  // the rest is in the kernel's buffers
  EXPECT_LT(largest_worker(ringmaster), before + 16 * kMiB);

  Checksum received;
  const auto add = [&](std::string_view bytes) { received.add(bytes); };
  EXPECT_EQ(client.receive_into(add).status, 200);
  EXPECT_TRUE(received == checksum_of(piece, 160));
}

TEST(BackPressure, ASlowBackendSlowsTheClientDown) {
  Event may_read;
  Checksum received;
  Backend backend(
      "s1", Backend::Script([&](Conversation& conversation) {
        may_read.wait();
        conversation.read_body_into([&](std::string_view bytes) { received.add(bytes); });
        conversation.reply({});
      }));
  Ringmaster ringmaster("[server]\nworkers = 1\n" + backend.toml());
  const std::size_t before = largest_worker(ringmaster);
  const std::string body = pattern(160 * kMiB);

  Client client(ringmaster.endpoint());
  client.send(request_head("POST", "/", "Content-Length: " + std::to_string(body.size()) + "\r\n"));
  const std::size_t sent = client.stream().send_until_stalled(body, milliseconds(500));
  EXPECT_LT(sent, 128 * kMiB);
  EXPECT_LT(largest_worker(ringmaster), before + 16 * kMiB);

  may_read.set();
  client.send(std::string_view(body).substr(sent));
  EXPECT_EQ(client.receive().status, 200);
  EXPECT_TRUE(received == checksum_of(body, 1));
}

TEST(BackPressure, AClientThatGoesAwayFreesItsBackend) {
  const std::string piece = pattern(kMiB);
  Event backend_knows;
  Backend backend("s1", Backend::Script([&](Conversation& conversation) {
                    try {
                      stream_out(piece, 1000)(conversation);
                    } catch (const StreamError&) {
                      backend_knows.set();
                    }
                  }));
  Ringmaster ringmaster(backend.toml());

  Client client(ringmaster.endpoint());
  client.send(request_head("GET", "/"));
  client.receive_head();
  client.stream().reset();

  EXPECT_TRUE(backend_knows.wait());
  EXPECT_TRUE(wait_until(
      [&] { return ringmaster.metrics().get("active_connections{backend=\"s1\"}") == 0; }));
}

TEST(BackPressure, AClientThatGoesAwayWhileItWaitsFreesItsBackend) {
  Event backend_knows;
  Backend backend("s1", Backend::Script([&](Conversation& conversation) {
                    if (conversation.stream().is_readable(kPatience)) backend_knows.set();
                  }));
  Ringmaster ringmaster("[server]\nworkers = 1\n" + backend.toml());
  // The request is there when the worker comes to accept: so far nothing has to be waited for.
  const pid_t worker = ringmaster.workers().at(0);
  ::kill(worker, SIGSTOP);
  ASSERT_TRUE(wait_until([&] { return is_stopped(worker); }));

  Client client(ringmaster.endpoint());
  client.send(request_head("GET", "/"));
  ::kill(worker, SIGCONT);
  ASSERT_TRUE(wait_until([&] { return backend.in_flight() == 1; }));
  client.stream().reset();

  EXPECT_TRUE(backend_knows.wait());
  EXPECT_TRUE(wait_until(
      [&] { return ringmaster.metrics().get("active_connections{backend=\"s1\"}") == 0; }));
}

}  // namespace
}  // namespace ringmaster::test
