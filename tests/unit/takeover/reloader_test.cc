// Who waits for a reload hears how their own ends, not another.
#include "master/takeover/reloader.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <array>
#include <string>

#include "tests/support/files.h"
#include "tests/unit/master/test_loop.h"

namespace ringmaster::test {
namespace {

// A connection to the control socket on which an answer is awaited.
class Waiter {
 public:
  Waiter() {
    std::array<int, 2> ends{};
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends.data()), 0);
    ours_.reset(ends[0]);
    theirs_.reset(ends[1]);
  }
  UniqueFd take() { return std::move(theirs_); }
  // The status, 0 as long as there is no answer.
  int heard() {
    std::array<char, 1024> bytes;
    const ssize_t size = ::recv(ours_.get(), bytes.data(), bytes.size(), 0);
    if (size < 0) return 0;
    const std::string text(bytes.data(), static_cast<std::size_t>(size));
    return text.starts_with("HTTP/1.1 ") ? std::stoi(text.substr(9, 3)) : -1;
  }

 private:
  UniqueFd ours_;
  UniqueFd theirs_;
};

TEST(Reloader, TheNextOneBeginsOnlyWhenTheOneThatFailedIsOver) {
  TestLoop loop;
  const test::TempDir dir;
  const std::string content = dir.path("content");  // with any config
  test::write_whole_file(content, "#!/bin/sh\necho ok\n");
  ::chmod(content.c_str(), 0755);
  const Launch launch{content, {content}, "any.toml"};
  Reloader reloader(loop.get(), launch);
  Waiter first;
  Waiter second;
  ReloadQueue queue;
  queue.waiters.push_back(first.take());
  reloader.resume(std::move(queue));

  reloader.tell_failure("it cannot be executed");
  reloader.request(second.take());
  EXPECT_EQ(first.heard(), 409);
  EXPECT_EQ(reloader.child(), 0);

  reloader.succeed("its workers serve after all");
  EXPECT_EQ(second.heard(), 0) << "the other reload ended, not this one";
  EXPECT_TRUE(loop.run_until([&] { return reloader.is_accepted(); })) << "this one is under way";
  reloader.succeed("done");
  EXPECT_EQ(second.heard(), 200);
}

}  // namespace
}  // namespace ringmaster::test
