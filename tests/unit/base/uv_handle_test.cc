// What open_handle() promises: an owner never meets a handle that libuv did not set up.
#include "shared/base/uv_handle.h"

#include <fcntl.h>
#include <gtest/gtest.h>

#include <cerrno>
#include <system_error>

#include "shared/base/event_loop.h"

namespace ringmaster {
namespace {

TEST(UvHandle, ThatCannotBeOpenedThrowsAndSaysWhy) {
  EventLoop loop;
  try {
    open_handle<uv_poll_t>(this, uv_poll_init, loop.get(), -1);
    FAIL() << "a descriptor that is not open cannot be watched";
  } catch (const std::system_error& error) {
    EXPECT_EQ(error.code().value(), EBADF);
    EXPECT_STREQ(error.what(), "cannot watch a descriptor: Bad file descriptor");
  }
}

}  // namespace
}  // namespace ringmaster
