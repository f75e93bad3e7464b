#include "master/takeover/config_check.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <cstring>
#include <memory>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

namespace ringmaster {
namespace {

constexpr std::size_t kMostOutput = 64 * 1024;
// What a killed child gets to be gone, in tries a few milliseconds apart.
constexpr int kReapTries = 20;
constexpr std::chrono::milliseconds kBetweenTries{5};
// As waitpid() would say it, where somebody else has taken note of the end: no success.
constexpr int kUnknownStatus = 255 << 8;

bool is_reaped_at_once(pid_t pid) noexcept {
  for (int i = 0; i < kReapTries; ++i) {
    if (::waitpid(pid, nullptr, WNOHANG) != 0) return true;
    std::this_thread::sleep_for(kBetweenTries);
  }
  return false;
}

void say(std::string_view words) noexcept {
  [[maybe_unused]] const ssize_t written = ::write(STDERR_FILENO, words.data(), words.size());
}

// In the child, where a thread of the master's may have held any lock: system calls only.
[[noreturn]] void become(char* const* argv, int output) noexcept {
  for (int signal = 1; signal < NSIG; ++signal) ::signal(signal, SIG_DFL);  // they were the loop's
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  const int nothing = ::open("/dev/null", O_RDWR);
  ::dup2(nothing, STDIN_FILENO);
  ::dup2(output, STDOUT_FILENO);
  ::dup2(output, STDERR_FILENO);
  if (nothing > STDERR_FILENO) ::close(nothing);
  ::execv(argv[0], argv);
  const char* const why = ::strerrordesc_np(errno);
  for (const char* const words :
       {"cannot run ", static_cast<const char*>(argv[0]), ": ", why, "\n"}) {
    say(words);
  }
  ::_exit(127);
}

// uv_spawn() waits until the program runs, and that may be never: its file may lie on a mount that
// hangs, too. -1: errno says why.
pid_t spawn(char* const* argv, int output) noexcept {
  sigset_t all;
  sigset_t before;
  ::sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, &before);
  const pid_t pid = ::fork();
  if (pid == 0) become(argv, output);
  const int error = errno;
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  errno = error;
  return pid;
}

}  // namespace

ConfigCheck::ConfigCheck(uv_loop_t* loop, Owner& owner, std::chrono::milliseconds patience)
    : loop_(loop),
      owner_(owner),
      patience_(patience),
      output_pipe_(open_handle<uv_pipe_t>(this, uv_pipe_init, loop, 0)),
      timer_(open_handle<uv_timer_t>(this, uv_timer_init, loop)) {}

// Nobody waits for its verdict any more: the child ends now, not after us. One that the kernel does
// not let go (its file lies on a mount that hangs) is buried by the loop, and its handle with it.
ConfigCheck::~ConfigCheck() {
  if (!running_) return;
  ::kill(child_->pid, SIGKILL);
  if (is_reaped_at_once(child_->pid)) return;
  child_->data = nullptr;
  child_.release();
}

int ConfigCheck::start(const Launch& launch) {
  std::vector<std::string> words{launch.binary, "--check", "-c", launch.config_file};
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) return uv_translate_sys_error(errno);
  UniqueFd output(ends[0]);
  const UniqueFd input(ends[1]);
  const pid_t pid = spawn(argv.data(), input.get());
  if (pid < 0) return uv_translate_sys_error(errno);
  if (const int error = watch(pid); error != 0) {
    ::kill(pid, SIGKILL);
    is_reaped_at_once(pid);
    return error;
  }
  running_ = true;
  return listen(std::move(output));
}

int ConfigCheck::watch(pid_t pid) {
  UniqueFd pidfd(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
  if (!pidfd.is_open()) return uv_translate_sys_error(errno);
  // Not open_handle(), which throws: whoever asked for the reload learns why there is none.
  auto handle = std::make_unique<Child>();
  if (const int error = uv_poll_init(loop_, handle.get(), pidfd.get()); error != 0) return error;
  child_.reset(handle.release());
  child_->data = this;
  child_->pidfd = std::move(pidfd);
  child_->pid = pid;
  const auto on_end = [](uv_poll_t* poll, int, int) noexcept {
    auto* child = static_cast<Child*>(poll);
    int status = kUnknownStatus;
    if (::waitpid(child->pid, &status, WNOHANG) == 0) return;
    uv_poll_stop(child);
    if (auto* self = owner_of<ConfigCheck>(child)) return self->on_exit(status);
    CloseThenDelete<Child>()(child);  // one that was left to the loop
  };
  return uv_poll_start(child_.get(), UV_READABLE, on_end);
}

// To what it says, for as long as it may take.
int ConfigCheck::listen(UniqueFd output) {
  if (const int error = uv_pipe_open(output_pipe_.get(), output.get()); error != 0) return error;
  output.release();  // the pipe's now
  const auto expire = [](uv_timer_t* timer) noexcept {
    auto* self = owner_of<ConfigCheck>(timer);
    if (self == nullptr) return;
    self->owner_.on_check_done("the new binary did not finish checking the config");
  };
  uv_timer_start(timer_.get(), expire, static_cast<std::uint64_t>(patience_.count()), 0);
  const auto lend = [](uv_handle_t* pipe, std::size_t, uv_buf_t* buffer) noexcept {
    auto* self = owner_of<ConfigCheck>(pipe);
    *buffer = self == nullptr ? uv_buf_init(nullptr, 0)
                              : uv_buf_init(self->room_.data(), sizeof self->room_);
  };
  const auto on_bytes = [](uv_stream_t* pipe, ssize_t size, const uv_buf_t* buffer) noexcept {
    if (auto* self = owner_of<ConfigCheck>(pipe)) self->on_output(size, buffer->base);
  };
  return uv_read_start(as_stream(output_pipe_), lend, on_bytes);
}

void ConfigCheck::on_exit(int status) {
  running_ = false;
  status_ = status;
  conclude_if_done();
}

void ConfigCheck::on_output(ssize_t size, const char* bytes) {
  if (size > 0) {
    if (output_.size() >= kMostOutput) output_.resize(kMostOutput / 2);  // its last word counts
    output_.append(bytes, static_cast<std::size_t>(size));
  }
  if (size >= 0) return;
  output_ended_ = true;
  conclude_if_done();
}

void ConfigCheck::conclude_if_done() {
  if (running_ || !output_ended_) return;
  const std::string words = verdict();
  owner_.on_check_done(words);
}

std::string ConfigCheck::verdict() const {
  if (WIFSIGNALED(status_)) {
    return fmt::format("the new binary died of signal {} while checking the config",
                       WTERMSIG(status_));
  }
  if (status_ == 0) {
    if (output_.ends_with("ok\n")) return {};
    return "the new binary does not say \"ok\" to the config: is it ringmaster?";
  }
  std::string text = output_;
  while (text.ends_with('\n')) text.pop_back();
  return text.empty() ? "the new binary refuses the config and does not say why" : text;
}

}  // namespace ringmaster
