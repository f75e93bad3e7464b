// HEAD, 204 and 304 have no body. A backend that sends one all the same must not have it taken for
// the answer to the request that comes next on the pooled connection, whoever makes it.
#include <gtest/gtest.h>

#include <csignal>
#include <cstring>
#include <tuple>

#include "tests/support/backend.h"
#include "tests/support/ringmaster.h"

namespace ringmaster::test {
namespace {

struct Bodiless {
  const char* name;
  const char* method;
  int status;
  const char* head;
};

// What the heads take of the worker's buffer, which has room for a head of max_header_bytes and a
// KiB more: so little that the surplus is read with them, all but one byte, or all of it, so that
// the surplus is left in the kernel and nothing tells yet that it is there.
enum class Fill { kLittle, kAllButOne, kAll };
constexpr std::size_t kBuffer = 16384 + 1024;

class Surplus : public ::testing::TestWithParam<std::tuple<Bodiless, Fill>> {
 protected:
  const std::string method_ = std::get<0>(GetParam()).method;
  Event may_speak_, has_spoken_;
  Backend backend_{"s1", Backend::Script([this](Conversation& conversation) {
                     do {
                       conversation.read_body();
                       if (conversation.request().target == "/bodiless") {
                         may_speak_.wait();
                         conversation.stream().send(bytes());
                         has_spoken_.set();
                       } else {
                         conversation.reply({.body = conversation.request().target});
                       }
                     } while (conversation.next());
                   })};
  Ringmaster ringmaster_{"[server]\nworkers = 1\n[health]\ninterval = \"60s\"\n" + backend_.toml()};

 private:
  static std::string hints(std::size_t size) {
    const std::string begin = "HTTP/1.1 103 Early Hints\r\nLink: ";
    return begin + std::string(size - begin.size() - 4, 'x') + "\r\n\r\n";
  }

  // The bodiless answer, behind interim ones that fill the buffer (each within its limit), and what
  // nobody asked for.
  static std::string bytes() {
    const auto& [kind, fill] = GetParam();
    std::string bytes;
    if (fill != Fill::kLittle) {
      const std::size_t all = fill == Fill::kAll ? kBuffer : kBuffer - 1;
      bytes = hints(kBuffer / 2) + hints(all - kBuffer / 2 - std::strlen(kind.head));
    }
    return bytes + kind.head + "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison";
  }
};

INSTANTIATE_TEST_SUITE_P(
    Behind, Surplus,
    ::testing::Combine(
        ::testing::Values(Bodiless{"Head", "HEAD", 200,
                                   "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n"},
                          Bodiless{"HeadOfChunks", "HEAD", 200,
                                   "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"},
                          Bodiless{"NoContent", "GET", 204, "HTTP/1.1 204 No Content\r\n\r\n"},
                          Bodiless{"NotModified", "GET", 304,
                                   "HTTP/1.1 304 Not Modified\r\nContent-Length: 6\r\n\r\n"}),
        ::testing::Values(Fill::kLittle, Fill::kAllButOne, Fill::kAll)),
    [](const auto& row) {
      const Fill fill = std::get<1>(row.param);
      std::string name = std::get<0>(row.param).name;
      if (fill == Fill::kAllButOne) name += "ThatFillsTheBufferButForAByte";
      if (fill == Fill::kAll) name += "ThatFillsTheBuffer";
      return name;
    });

TEST_P(Surplus, IsNoAnswerToWhatIsPipelinedBehindIt) {
  may_speak_.set();
  Client client(ringmaster_.endpoint());
  client.send(request_head(method_, "/bodiless") + request_head("GET", "/mine"));
  EXPECT_EQ(client.receive(method_).status, std::get<0>(GetParam()).status);
  const Response mine = client.receive();
  EXPECT_EQ(mine.status, 200);
  EXPECT_EQ(mine.body, "/mine");
  EXPECT_EQ(backend_.connection_count(), 2u) << "the first is of no use any more";
}

// Its request waits for the worker together with the surplus.
TEST_P(Surplus, IsNoAnswerToAnotherClient) {
  Client client(ringmaster_.endpoint()), other(ringmaster_.endpoint());
  ASSERT_EQ(client.get("/first").body, "/first");
  ASSERT_EQ(other.get("/first").body, "/first");
  client.send(request_head(method_, "/bodiless"));
  ASSERT_TRUE(wait_until([&] { return backend_.request_count() == 3; }));
  const pid_t worker = ringmaster_.workers().at(0);
  ::kill(worker, SIGSTOP);
  ASSERT_TRUE(wait_until([&] { return is_stopped(worker); }));
  may_speak_.set();
  ASSERT_TRUE(has_spoken_.wait());
  other.send(request_head("GET", "/theirs"));
  ::kill(worker, SIGCONT);

  EXPECT_EQ(client.receive(method_).status, std::get<0>(GetParam()).status);
  const Response theirs = other.receive();
  EXPECT_EQ(theirs.status, 200);
  EXPECT_EQ(theirs.body, "/theirs");
  EXPECT_EQ(client.get("/mine").body, "/mine");
  EXPECT_EQ(backend_.connection_count(), 2u) << "the first is of no use any more";
}

}  // namespace
}  // namespace ringmaster::test
