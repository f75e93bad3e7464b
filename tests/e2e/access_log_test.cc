// The access log: every request, one line each, and none of them ever waits for it.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <sstream>

#include "tests/support/backend.h"
#include "tests/support/behaviour.h"
#include "tests/support/files.h"
#include "tests/support/load.h"
#include "tests/support/places.h"
#include "tests/support/ringmaster.h"

namespace ringmaster::test {
namespace {

using Json = nlohmann::json;

constexpr const char* kDropped = "ringmaster_access_log_dropped_total";

std::string logging_to(const std::string& path) {
  return "[server]\nworkers = 1\n[log]\naccess = \"" + path + "\"\n";
}

// The whole lines that are in the text.
std::vector<Json> lines_of(const std::string& text) {
  std::vector<Json> lines;
  std::istringstream stream(text.substr(0, text.rfind('\n') + 1));
  for (std::string line; std::getline(stream, line);) lines.push_back(Json::parse(line));
  return lines;
}
std::vector<Json> wait_for_lines(const std::string& path, std::size_t count) {
  std::vector<Json> lines;
  EXPECT_TRUE(wait_until([&] {
    if (::access(path.c_str(), R_OK) == 0) lines = lines_of(read_whole_file(path));
    return lines.size() >= count;
  }));
  return lines;
}

TEST(AccessLog, CountsWhatChunkingAdds) {
  TempDir dir;
  const std::string path = dir.path("access.log");
  Backend backend("s1");
  Ringmaster ringmaster(logging_to(path) + backend.toml());
  Client client(ringmaster.endpoint());
  const std::string request = request_head("POST", "/", "Transfer-Encoding: chunked\r\n") +
                              "3;note\r\nabc\r\n1\r\nd\r\n0\r\nA: trailer\r\n\r\n";
  client.send(request);
  EXPECT_EQ(client.receive().status, 200);
  EXPECT_EQ(wait_for_lines(path, 1).at(0).at("bytes_in"), request.size());
}

TEST(AccessLog, HasALineForEveryRequest) {
  TempDir dir;
  const std::string path = dir.path("access.log");
  Backend backend("s1");
  Ringmaster ringmaster(logging_to(path) + backend.toml());
  Client client(ringmaster.endpoint(), "127.0.0.7");
  const Response answered = client.get("/a?\"b\"");
  // Longer than a buffer: the head has made room for it when the line is written.
  const Response uploaded = client.post("/upload", pattern(300'000));
  client.send("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n");
  const Response refused = client.receive();
  EXPECT_EQ(refused.status, 400);

  const std::vector<Json> lines = wait_for_lines(path, 3);
  ASSERT_EQ(lines.size(), 3u);
  EXPECT_EQ(lines[0].at("id"), answered.field("X-Request-Id"));
  EXPECT_EQ(lines[0].at("client"), "127.0.0.7");
  EXPECT_EQ(lines[0].at("method"), "GET");
  EXPECT_EQ(lines[0].at("host"), "test.example");
  EXPECT_EQ(lines[0].at("target"), "/a?\"b\"");
  EXPECT_EQ(lines[0].at("status"), 200);
  EXPECT_EQ(lines[0].at("outcome"), "answered");
  EXPECT_EQ(lines[0].at("backend"), "s1");
  EXPECT_EQ(lines[0].at("retries"), 0);
  EXPECT_EQ(lines[0].at("bytes_out"), answered.head.raw.size() + answered.body.size());
  EXPECT_EQ(lines[1].at("method"), "POST");
  EXPECT_EQ(lines[1].at("target"), "/upload");
  EXPECT_EQ(lines[1].at("host"), "test.example");
  EXPECT_GT(lines[1].at("bytes_in").get<std::uint64_t>(), 300'000u);
  EXPECT_EQ(lines[2].at("id"), refused.field("X-Request-Id"));
  EXPECT_EQ(lines[2].at("outcome"), "refused");
  EXPECT_EQ(lines[2].at("reason"), "bad_request");
  EXPECT_EQ(lines[2].at("detail"), "Bad Request: there is more than one Host header");
  EXPECT_EQ(refused.body, "Bad Request: there is more than one Host header\n");
  EXPECT_EQ(lines[2].at("method"), "GET");
  EXPECT_EQ(lines[2].at("target"), "/");
  EXPECT_TRUE(lines[2].at("host").is_null());
  EXPECT_TRUE(lines[1].at("detail").is_null());
  EXPECT_EQ(ringmaster.metrics().get(kDropped), 0);
}

TEST(AccessLog, GoesOnInANewFileAfterAReload) {
  TempDir dir;
  const std::string path = dir.path("access.log");
  Backend backend("s1");
  Ringmaster ringmaster(logging_to(path) + backend.toml());
  EXPECT_EQ(get(ringmaster.endpoint(), "/before").status, 200);
  EXPECT_EQ(wait_for_lines(path, 1).at(0).at("target"), "/before");
  ASSERT_EQ(std::rename(path.c_str(), dir.path("access.log.1").c_str()), 0);
  ASSERT_EQ(ringmaster.ctl({"reload"}).exit, (Exit{0, 0}));
  EXPECT_EQ(get(ringmaster.endpoint(), "/after").status, 200);
  EXPECT_EQ(wait_for_lines(path, 1).at(0).at("target"), "/after");
  EXPECT_EQ(lines_of(read_whole_file(dir.path("access.log.1"))).size(), 1u);

  // What a stop finds unwritten is written.
  EXPECT_EQ(get(ringmaster.endpoint(), "/last").status, 200);
  EXPECT_EQ(ringmaster.stop(SIGTERM), (Exit{0, 0}));
  EXPECT_EQ(lines_of(read_whole_file(path)).size(), 2u);
}

TEST(AccessLog, IsOpenedAnewWithoutAReload) {
  TempDir dir;
  const std::string path = dir.path("access.log");
  const std::string rotated = dir.path("access.log.1");
  Backend backend("s1");
  Ringmaster ringmaster(logging_to(path) + backend.toml());
  const std::vector<pid_t> before = ringmaster.workers();
  Load load(ringmaster.endpoint(), 4);
  ASSERT_TRUE(load.wait_for_more(20));
  ringmaster.write_config("[server]\nworkers = \"work in progress\"\n");
  ASSERT_EQ(std::rename(path.c_str(), rotated.c_str()), 0);

  const Finished reopen = ringmaster.ctl({"reopen"});

  EXPECT_EQ(reopen.exit, (Exit{0, 0})) << reopen.log;
  EXPECT_TRUE(wait_until([&] {
    const std::vector<pid_t> now = ringmaster.workers();
    return now.size() == before.size() && std::none_of(now.begin(), now.end(), [&](pid_t pid) {
             return std::count(before.begin(), before.end(), pid) != 0;
           });
  }));
  const std::size_t last_of_before = lines_of(read_whole_file(rotated)).size();
  ASSERT_TRUE(load.wait_for_more(20));
  const Load::Outcome outcome = load.stop();
  EXPECT_TRUE(outcome.is_flawless()) << ::testing::PrintToString(outcome);
  EXPECT_EQ(wait_for_lines(path, outcome.answered - last_of_before).size(),
            outcome.answered - last_of_before);
  EXPECT_EQ(lines_of(read_whole_file(rotated)).size(), last_of_before);
  const Metrics metrics = ringmaster.metrics();
  EXPECT_EQ(metrics.get("ringmaster_config_generation"), 1);
  EXPECT_EQ(metrics.sum("ringmaster_worker_restarts_total"), 0);
  EXPECT_EQ(metrics.get("ringmaster_client_connections_total"), 4) << "all were handed over";
}

// There are twice as many places as workers: who lingers in one is in the way of the next renewal.
TEST(AccessLog, IsOpenedAnewAgainThoughRequestsLinger) {
  if (binary_is_sanitized())
    GTEST_SKIP() << "256 processes of it are more than a machine has room for";
  TempDir dir;
  Event go_on;
  Backend backend("s1", answers_after(go_on));
  Ringmaster ringmaster("[server]\nworkers = 128\ndrain_timeout = \"300ms\"\n[log]\naccess = \"" +
                        dir.path("access.log") + "\"\n" + backend.toml());
  Client client(ringmaster.endpoint());
  client.send(request_head("GET", "/"));
  ASSERT_TRUE(wait_until([&] { return backend.request_count() == 1; }));
  for (int i = 0; i < 2; ++i) {
    const std::vector<pid_t> before = ringmaster.workers();
    ASSERT_EQ(ringmaster.ctl({"reopen"}).exit, (Exit{0, 0}));
    ASSERT_TRUE(wait_until([&] {
      const std::vector<pid_t> now = ringmaster.workers();
      const auto left = std::count_if(now.begin(), now.end(), [&](pid_t pid) {
        return std::count(before.begin(), before.end(), pid) != 0;
      });
      return left <= 1 - i && now.size() == 128u + static_cast<std::size_t>(left);
    })) << i;
  }
  go_on.set();
  EXPECT_EQ(ringmaster.ctl({"reload"}).exit, (Exit{0, 0}));
}

TEST(AccessLog, DelaysNobodyWhoseLinesNobodyTakes) {
  constexpr std::size_t kRequests = 500;
  TempDir dir;
  const std::string path = dir.path("pipe");
  ASSERT_EQ(::mkfifo(path.c_str(), 0600), 0);
  Backend backend("s1");
  Ringmaster ringmaster(logging_to(path) + backend.toml());
  Client client(ringmaster.endpoint());
  const std::string target = "/" + std::string(8000, 'x');
  for (std::size_t i = 0; i < kRequests; ++i) ASSERT_EQ(client.get(target).status, 200);
  const auto dropped = [&] { return ringmaster.metrics().get(kDropped); };
  EXPECT_GT(dropped(), 0);
  EXPECT_LT(dropped(), kRequests);

  // Whoever comes to read gets the others, whole. The last one's line follows its answer.
  const UniqueFd reader(::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
  std::string text;
  EXPECT_TRUE(wait_until([&] {
    std::array<char, 65'536> bytes;
    for (ssize_t n; (n = ::read(reader.get(), bytes.data(), bytes.size())) > 0;) {
      text.append(bytes.data(), static_cast<std::size_t>(n));
    }
    const auto kept = static_cast<double>(std::count(text.begin(), text.end(), '\n'));
    return kept + dropped() == kRequests;
  }));
  const std::vector<Json> lines = lines_of(text);
  EXPECT_EQ(static_cast<double>(lines.size()) + dropped(), kRequests);
  for (const Json& line : lines) EXPECT_EQ(line.at("target"), target);
}

TEST(AccessLog, ServesAndCountsWhereItCannotBeWritten) {
  TempDir dir;
  Backend backend("s1");
  Ringmaster ringmaster(logging_to(dir.path("missing") + "/access.log") + backend.toml());
  // Told before the first line is lost.
  EXPECT_TRUE(wait_until([&] {
    return ringmaster.process().log().find("access log " + dir.path("missing")) !=
           std::string::npos;
  }));
  EXPECT_EQ(get(ringmaster.endpoint(), "/lost").status, 200);
  EXPECT_TRUE(wait_until([&] { return ringmaster.metrics().get(kDropped) == 1; }));
  // As soon as it can be written, it is.
  ASSERT_EQ(::mkdir(dir.path("missing").c_str(), 0700), 0);
  EXPECT_EQ(get(ringmaster.endpoint(), "/kept").status, 200);
  EXPECT_EQ(wait_for_lines(dir.path("missing") + "/access.log", 1).at(0).at("target"), "/kept");
}

// The next line does not go on in it.
TEST(AccessLog, EndsALineThatFoundNoRoom) {
  TempDir dir;
  const std::string path = dir.path("access.log");
  Backend backend("s1");
  Ringmaster ringmaster(logging_to(path) + backend.toml());
  const pid_t worker = ringmaster.workers().at(0);
  EXPECT_EQ(get(ringmaster.endpoint(), "/first").status, 200);
  wait_for_lines(path, 1);
  const std::size_t size = read_whole_file(path).size();
  rlimit limit{size + 50, RLIM_INFINITY};
  ASSERT_EQ(::prlimit(worker, RLIMIT_FSIZE, &limit, nullptr), 0);
  EXPECT_EQ(get(ringmaster.endpoint(), "/torn").status, 200);
  EXPECT_TRUE(wait_until([&] { return ringmaster.metrics().get(kDropped) == 1; }));
  EXPECT_EQ(read_whole_file(path).size(), size + 50);

  limit.rlim_cur = RLIM_INFINITY;
  ASSERT_EQ(::prlimit(worker, RLIMIT_FSIZE, &limit, nullptr), 0);
  EXPECT_EQ(get(ringmaster.endpoint(), "/last").status, 200);
  EXPECT_TRUE(wait_until([&] { return read_whole_file(path).ends_with("}\n"); }));
  const std::string text = read_whole_file(path);
  EXPECT_EQ(lines_of(text.substr(0, size)).at(0).at("target"), "/first");
  EXPECT_EQ(text.at(size + 50), '\n');
  EXPECT_EQ(lines_of(text.substr(size + 51)).at(0).at("target"), "/last");
}

}  // namespace
}  // namespace ringmaster::test
