// The service's own log never makes the service wait.
#include "shared/base/log.h"

#include <fcntl.h>
#include <gtest/gtest.h>

#include <string>

#include "shared/base/unique_fd.h"
#include "tests/unit/memory/forked.h"

namespace ringmaster::log {
namespace {

std::string read_all(int fd) {
  std::string text;
  char bytes[4096];
  for (ssize_t n; (n = ::read(fd, bytes, sizeof bytes)) > 0;) {
    text.append(bytes, static_cast<std::size_t>(n));
  }
  return text;
}

// In processes of their own: a process has one log.
TEST(Log, APipeThatNobodyReadsCostsLinesAndNeverTime) {
  int ends[2];
  ASSERT_EQ(::pipe(ends), 0);
  const UniqueFd in(ends[0]);
  UniqueFd out(ends[1]);
  const auto write_lines = [&](int count) {
    ::dup2(out.get(), STDERR_FILENO);
    start("test", Level::kInfo);
    for (int i = 0; i < count; ++i) info("line {}", i);
  };
  int status = 0;
  const pid_t first = test::fork_child([&] { write_lines(10'000); });
  ASSERT_EQ(::waitpid(first, &status, 0), first) << "it waited for a reader";

  const pid_t second = test::fork_child([&] {
    write_lines(10);  // the pipe is full: all are lost
    ::fcntl(in.get(), F_SETFL, O_NONBLOCK);
    read_all(in.get());
    info("there is room again");
  });
  ASSERT_EQ(::waitpid(second, &status, 0), second);
  out.reset();
  const std::string text = read_all(in.get());
  EXPECT_NE(text.find("(10 lines were lost here: nobody read them)"), std::string::npos) << text;
  EXPECT_NE(text.find("there is room again"), std::string::npos) << text;
}

}  // namespace
}  // namespace ringmaster::log
