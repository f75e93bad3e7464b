// curl: what everybody tries first.
#include <gtest/gtest.h>

#include "tests/clients/tool.h"
#include "tests/support/backend.h"
#include "tests/support/files.h"
#include "tests/support/ringmaster.h"

namespace ringmaster::test {
namespace {

Finished curl(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), {"--silent", "--show-error", "--max-time", "25"});
  return run(tool("curl", std::move(arguments)));
}

std::string url(const Ringmaster& ringmaster, const std::string& path) {
  return "http://" + ringmaster.endpoint().to_string() + path;
}

Reply echo(const Request& request) {
  return {.body = request.body, .fields = {{"X-Method", request.method}}};
}

TEST(Curl, KeepsOneConnectionForManyRequests) {
  Backend backend("s1");
  Ringmaster ringmaster(backend.toml());
  const Finished finished = curl({"--write-out", "%{http_code} %{num_connects}\n", "--output",
                                  "/dev/null", url(ringmaster, "/[1-20]")});
  EXPECT_EQ(finished.exit, kFine) << finished.log;
  EXPECT_EQ(count_lines(finished.output, "200 1"), 1u) << finished.output;
  EXPECT_EQ(count_lines(finished.output, "200 0"), 19u) << finished.output;
}

TEST(Curl, SendsEveryMethod) {
  Backend backend("s1", echo);
  Ringmaster ringmaster(backend.toml());
  for (const std::string method :
       {"GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PURGE"}) {
    const Finished finished =
        curl({"--request", method, "--write-out", "\n%header{x-method}", url(ringmaster, "/")});
    EXPECT_EQ(finished.exit, kFine) << finished.log;
    EXPECT_EQ(finished.output, "\n" + method);
    ASSERT_EQ(backend.requests().back().method, method);
  }
}

TEST(Curl, HeadTellsTheLengthAndEndsThere) {
  Backend backend("s1", [](const Request&) { return Reply{.body = "hello"}; });
  Ringmaster ringmaster(backend.toml());
  const Finished finished =
      curl({"--head", "--write-out", "%{http_code} %{num_connects}", url(ringmaster, "/[1-2]")});
  EXPECT_EQ(finished.exit, kFine) << finished.log;
  EXPECT_EQ(count_lines(finished.output, "Content-Length: 5\r"), 2u) << finished.output;
  EXPECT_TRUE(finished.output.ends_with("200 0")) << finished.output;
}

// curl would wait half a minute for 100 (Continue), longer than it may take: it must have come.
TEST(Curl, WaitsForContinueAndGetsIt) {
  Backend backend("s1", echo);
  Ringmaster ringmaster(backend.toml());
  const TempDir dir;
  const std::string body = pattern(100'000);
  write_whole_file(dir.path("body"), body);
  const Finished finished = curl({"--header", "Expect: 100-continue", "--expect100-timeout", "30",
                                  "--data-binary", "@" + dir.path("body"), url(ringmaster, "/")});
  EXPECT_EQ(finished.exit, kFine) << finished.log;
  EXPECT_TRUE(finished.output == body) << finished.output.size();
}

TEST(Curl, UploadsAndDownloadsWhatIsLarge) {
  Backend backend("s1", echo);
  Ringmaster ringmaster(backend.toml());
  const TempDir dir;
  const std::string body = pattern(8 << 20);
  write_whole_file(dir.path("body"), body);
  for (const std::string framing : {"X-Framed: by length", "Transfer-Encoding: chunked"}) {
    const Finished finished = curl({"--header", framing, "--upload-file", dir.path("body"),
                                    "--output", dir.path("answer"), url(ringmaster, "/")});
    EXPECT_EQ(finished.exit, kFine) << finished.log;
    EXPECT_TRUE(read_whole_file(dir.path("answer")) == body) << framing;
    EXPECT_TRUE(backend.requests().back().body == body) << framing;
  }
}

TEST(Curl, OfHttp10GetsWhatItUnderstands) {
  Backend backend("s1",
                  [](const Request&) { return Reply{.body = "in two chunks", .chunked = true}; });
  Ringmaster ringmaster(backend.toml());
  const Finished finished = curl({"--http1.0", "--include", url(ringmaster, "/")});
  EXPECT_EQ(finished.exit, kFine) << finished.log;
  EXPECT_TRUE(finished.output.ends_with("\r\n\r\nin two chunks")) << finished.output;
  EXPECT_EQ(finished.output.find("chunked"), std::string::npos) << finished.output;
}

TEST(Curl, OfHttp10UploadsToo) {
  Backend backend("s1", echo);
  Ringmaster ringmaster(backend.toml());
  const TempDir dir;
  const std::string body = pattern(1 << 20);
  write_whole_file(dir.path("body"), body);
  const Finished finished =
      curl({"--http1.0", "--upload-file", dir.path("body"), url(ringmaster, "/")});
  EXPECT_EQ(finished.exit, kFine) << finished.log;
  EXPECT_TRUE(finished.output == body) << finished.output.size();
  EXPECT_EQ(backend.requests().back().method, "PUT");
}

TEST(Curl, ManyAtOnceAreAllAnswered) {
  Backend backend("s1");
  Backend other("s2");
  Ringmaster ringmaster("[server]\nworkers = 2\n" + toml_of(backend, other));
  const Finished finished =
      curl({"--parallel", "--parallel-immediate", "--parallel-max", "40", "--write-out",
            "%{http_code}\n", "--output", "/dev/null", url(ringmaster, "/[1-200]")});
  EXPECT_EQ(finished.exit, kFine) << finished.log;
  EXPECT_EQ(count_lines(finished.output, "200"), 200u) << finished.output;
  EXPECT_EQ(ringmaster.metrics().sum("requests_total"), 200);
}

TEST(Curl, SpeaksTheProxyProtocol) {
  Backend backend("s1");
  Ringmaster ringmaster("[server]\nproxy_protocol = true\n" + backend.toml());
  const std::string from = own_loopback();
  const Finished finished =
      curl({"--haproxy-protocol", "--interface", from, url(ringmaster, "/[1-2]")});
  EXPECT_EQ(finished.exit, kFine) << finished.log;
  ASSERT_EQ(backend.request_count(), 2u);
  EXPECT_EQ(backend.requests()[1].field("X-Forwarded-For"), from);
}

}  // namespace
}  // namespace ringmaster::test
