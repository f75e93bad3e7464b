// `ringmaster --check -c FILE` of the binary that is to follow, as a child: whether it can use the
// config. Owner: the Reloader, who may destroy it at any time, in on_check_done() too; the child
// ends with it.
#pragma once

#include <sys/types.h>
#include <uv.h>

#include <array>
#include <chrono>
#include <string>

#include "master/launch.h"
#include "shared/base/unique_fd.h"
#include "shared/base/uv_handle.h"

namespace ringmaster {

class ConfigCheck {
 public:
  class Owner {
   public:
    // Once. Empty: the new binary can use the config; else why not.
    virtual void on_check_done(const std::string& verdict) = 0;

   protected:
    ~Owner() = default;
  };

  static constexpr std::chrono::milliseconds kPatience{15'000};

  // `owner` outlives the check. After `patience` that is the verdict.
  ConfigCheck(uv_loop_t* loop, Owner& owner, std::chrono::milliseconds patience = kPatience);
  ConfigCheck(const ConfigCheck&) = delete;
  ConfigCheck& operator=(const ConfigCheck&) = delete;
  ~ConfigCheck();

  // To be called once. An error of libuv's: there is no child, and no verdict comes. That the
  // binary cannot be run is a verdict.
  int start(const Launch& launch);
  pid_t child() const noexcept { return child_->pid; }

 private:
  // Readable once the child has ended.
  struct Child : uv_poll_t {
    UniqueFd pidfd;
    pid_t pid;
  };

  int watch(pid_t pid);
  int listen(UniqueFd output);
  void on_exit(int status);
  void on_output(ssize_t size, const char* bytes);
  void conclude_if_done();
  std::string verdict() const;

  // Borrowed.
  uv_loop_t* const loop_;
  Owner& owner_;
  const std::chrono::milliseconds patience_;
  // Owned.
  OwnedHandle<Child> child_;
  OwnedHandle<uv_pipe_t> output_pipe_;
  OwnedHandle<uv_timer_t> timer_;
  std::string output_;
  std::array<char, 4096> room_{};
  int status_ = 0;  // as waitpid() says it
  bool running_ = false;
  bool output_ended_ = false;
};

}  // namespace ringmaster
