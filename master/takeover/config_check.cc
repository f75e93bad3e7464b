#include "master/takeover/config_check.h"

#include <fmt/format.h>
#include <sys/wait.h>

#include <chrono>
#include <csignal>
#include <cstddef>
#include <thread>
#include <vector>

namespace ringmaster {
namespace {

constexpr std::size_t kMostOutput = 64 * 1024;
// What a killed child gets to be gone, in tries a few milliseconds apart.
constexpr int kReapTries = 20;
constexpr std::chrono::milliseconds kBetweenTries{5};

}  // namespace

ConfigCheck::ConfigCheck(uv_loop_t* loop, Owner& owner, std::chrono::milliseconds patience)
    : loop_(loop),
      owner_(owner),
      patience_(patience),
      process_(new uv_process_t{}),
      output_pipe_(open_handle<uv_pipe_t>(this, uv_pipe_init, loop, 0)),
      timer_(open_handle<uv_timer_t>(this, uv_timer_init, loop)) {}

// Nobody waits for its verdict any more: the child ends now, not after us. One that the kernel does
// not let go (its file lies on a mount that hangs) is libuv's to bury, with its handle.
ConfigCheck::~ConfigCheck() {
  if (!running_) return;
  ::kill(process_->pid, SIGKILL);
  if (is_reaped_at_once()) return;
  process_->data = nullptr;
  process_.release();
}

bool ConfigCheck::is_reaped_at_once() const noexcept {
  for (int i = 0; i < kReapTries; ++i) {
    if (::waitpid(process_->pid, nullptr, WNOHANG) != 0) return true;
    std::this_thread::sleep_for(kBetweenTries);
  }
  return false;
}

int ConfigCheck::start(const Launch& launch) {
  std::vector<std::string> words{launch.binary, "--check", "-c", launch.config_file};
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  uv_stdio_container_t stdio[3]{};  // all ignored but stderr
  stdio[2].flags = static_cast<uv_stdio_flags>(UV_CREATE_PIPE | UV_WRITABLE_PIPE);
  stdio[2].data.stream = as_stream(output_pipe_);
  uv_process_options_t options{};
  options.file = launch.binary.c_str();
  options.args = argv.data();
  options.stdio = stdio;
  options.stdio_count = 3;
  options.exit_cb = [](uv_process_t* child, std::int64_t status, int signal) noexcept {
    if (auto* self = owner_of<ConfigCheck>(child)) return self->on_exit(status, signal);
    CloseThenDelete<uv_process_t>()(child);  // one that was left to libuv
  };
  process_->data = this;
  const int error = uv_spawn(loop_, process_.get(), &options);
  running_ = error == 0;
  return error != 0 ? error : listen();
}

// To what it says, for as long as it may take.
int ConfigCheck::listen() {
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

void ConfigCheck::on_exit(std::int64_t status, int signal) {
  running_ = false;
  exit_status_ = status;
  killed_by_ = signal;
  conclude_if_done();
}

void ConfigCheck::on_output(ssize_t size, const char* bytes) {
  if (size > 0 && output_.size() < kMostOutput) {
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
  if (killed_by_ != 0) {
    return fmt::format("the new binary died of signal {} while checking the config", killed_by_);
  }
  if (exit_status_ == 0) return {};
  std::string text = output_;
  while (text.ends_with('\n')) text.pop_back();
  return text.empty() ? "the new binary refuses the config and does not say why" : text;
}

}  // namespace ringmaster
