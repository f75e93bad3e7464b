#include "master/takeover/reloader.h"

#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <utility>

#include "master/admin/admin_message.h"
#include "master/config/config_loader.h"
#include "shared/base/log.h"

namespace ringmaster {
namespace {

constexpr std::uint64_t kCheckPatienceMs = 15'000;
constexpr std::size_t kMostOutput = 64 * 1024;

}  // namespace

// `ringmaster --check -c FILE` of the new binary, with its output. Dies when all three handles have
// closed; its reloader may be gone by then.
struct Reloader::Check {
  Reloader* owner = nullptr;
  uv_process_t process{};
  uv_pipe_t output_pipe{};
  uv_timer_t patience{};
  std::string output;
  std::array<char, 4096> room{};
  std::int64_t exit_status = -1;
  int killed_by = 0;
  bool exited = false;
  bool output_ended = false;
  bool timed_out = false;
  int open_handles = 0;

  // Nobody waits for its verdict any more: it ends now, not after us.
  void end() {
    if (!exited && process.pid > 0) {
      ::kill(process.pid, SIGKILL);
      ::waitpid(process.pid, nullptr, 0);
    }
    close_all();
  }

  void close_all() {
    for (auto* handle :
         {reinterpret_cast<uv_handle_t*>(&process), reinterpret_cast<uv_handle_t*>(&output_pipe),
          reinterpret_cast<uv_handle_t*>(&patience)}) {
      handle->data = this;
      uv_close(handle, [](uv_handle_t* closed) {
        auto* self = static_cast<Check*>(closed->data);
        if (--self->open_handles == 0) delete self;
      });
    }
  }

  static Check* of(void* handle) {
    return static_cast<Check*>(static_cast<uv_handle_t*>(handle)->data);
  }
  void look_whether_done() {
    if (exited && output_ended && owner != nullptr) owner->on_check_done();
  }

  int start(uv_loop_t* loop, const Launch& launch);
  int listen();
  std::string verdict() const;
};

int Reloader::Check::start(uv_loop_t* loop, const Launch& launch) {
  uv_pipe_init(loop, &output_pipe, 0);
  uv_timer_init(loop, &patience);
  process.data = output_pipe.data = patience.data = this;
  open_handles = 3;

  std::vector<std::string> words{launch.binary, "--check", "-c", launch.config_file};
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  uv_stdio_container_t stdio[3]{};  // all ignored but stderr
  stdio[2].flags = static_cast<uv_stdio_flags>(UV_CREATE_PIPE | UV_WRITABLE_PIPE);
  stdio[2].data.stream = reinterpret_cast<uv_stream_t*>(&output_pipe);
  uv_process_options_t options{};
  options.file = launch.binary.c_str();
  options.args = argv.data();
  options.stdio = stdio;
  options.stdio_count = 3;
  options.exit_cb = [](uv_process_t* child, std::int64_t status, int signal) {
    Check* self = of(child);
    self->exited = true;
    self->exit_status = status;
    self->killed_by = signal;
    self->look_whether_done();
  };
  const int error = uv_spawn(loop, &process, &options);
  return error != 0 ? error : listen();
}

// To what it says, for as long as it may take.
int Reloader::Check::listen() {
  uv_timer_start(
      &patience,
      [](uv_timer_t* timer) {
        of(timer)->timed_out = true;
        uv_process_kill(&of(timer)->process, SIGKILL);
      },
      kCheckPatienceMs, 0);
  return uv_read_start(
      reinterpret_cast<uv_stream_t*>(&output_pipe),
      [](uv_handle_t* pipe, std::size_t, uv_buf_t* buffer) {
        *buffer = uv_buf_init(of(pipe)->room.data(), sizeof room);
      },
      [](uv_stream_t* pipe, ssize_t n, const uv_buf_t* buffer) {
        Check* self = of(pipe);
        if (n > 0 && self->output.size() < kMostOutput) {
          self->output.append(buffer->base, static_cast<std::size_t>(n));
        }
        if (n >= 0) return;
        self->output_ended = true;
        self->look_whether_done();
      });
}

// Empty: the new binary can use the config.
std::string Reloader::Check::verdict() const {
  if (timed_out) return "the new binary did not finish checking the config";
  if (killed_by != 0) {
    return fmt::format("the new binary died of signal {} while checking the config", killed_by);
  }
  if (exit_status == 0) return {};
  std::string text = output;
  while (text.ends_with('\n')) text.pop_back();
  return text.empty() ? "the new binary refuses the config and does not say why" : text;
}

Reloader::~Reloader() {
  if (check_ == nullptr) return;
  check_->owner = nullptr;
  check_->end();
}

void Reloader::request(UniqueFd waiter) {
  if (phase_ == Phase::kIdle) {
    if (waiter.is_open()) queue_.waiters.push_back(std::move(waiter));
    return begin();
  }
  // What was checked already may be older than what is asked for now.
  queue_.again = true;
  if (waiter.is_open()) queue_.later.push_back(std::move(waiter));
}

void Reloader::resume(ReloadQueue queue) {
  queue_ = std::move(queue);
  phase_ = Phase::kAccepted;
}

pid_t Reloader::child() const noexcept {
  return check_ != nullptr ? check_->process.pid : 0;
}

ReloadQueue Reloader::duplicate_queue() const {
  ReloadQueue copy;
  for (const UniqueFd& waiter : queue_.waiters)
    copy.waiters.push_back(duplicate_for_exec(waiter.get()));
  for (const UniqueFd& waiter : queue_.later)
    copy.later.push_back(duplicate_for_exec(waiter.get()));
  copy.again = queue_.again;
  return copy;
}

void Reloader::begin() {
  if (launch_.config_file.empty()) return fail("the demo has no config file to reload");
  // The check would take the text away from the image that it is for.
  if (can_be_read_but_once(launch_.config_file)) {
    return fail(launch_.config_file + ": " + kReadButOnce);
  }
  phase_ = Phase::kChecking;
  check_ = new Check{};
  check_->owner = this;
  const int error = check_->start(loop_, launch_);
  if (error == 0) return;
  std::exchange(check_, nullptr)->close_all();
  fail(fmt::format("cannot run {}: {}", launch_.binary, uv_strerror(error)));
}

void Reloader::on_check_done() {
  const std::string verdict = check_->verdict();
  std::exchange(check_, nullptr)->close_all();
  if (!verdict.empty()) return fail(verdict);
  phase_ = Phase::kAccepted;
}

void Reloader::succeed(const std::string& message) {
  answer(queue_.waiters, 200, message);
  next();
}

void Reloader::fail(const std::string& why) {
  tell_failure(why);
  next();
}

void Reloader::tell_failure(const std::string& why) {
  refusal_ = why;
  answer(queue_.waiters, 409, why);
}

void Reloader::next() {
  phase_ = Phase::kIdle;
  queue_.waiters = std::exchange(queue_.later, {});
  if (std::exchange(queue_.again, false)) begin();
}

void Reloader::give_up() {
  queue_.again = false;
  for (auto* waiting : {&queue_.waiters, &queue_.later})
    answer(*waiting, 409, "the service is stopping");
  if (check_ != nullptr) {
    check_->owner = nullptr;
    std::exchange(check_, nullptr)->end();
  }
  phase_ = Phase::kIdle;
}

// Short answers to a local client: what its socket does not take at once, it does not want.
void Reloader::answer(std::vector<UniqueFd>& waiters, int status, const std::string& body) {
  AdminResponse response{.status = status, .body = body + "\n"};
  const std::string bytes =
      write_admin_head(response, {.keep_alive = false, .http_1_0 = false}) + response.body;
  for (const UniqueFd& waiter : waiters) {
    [[maybe_unused]] const ssize_t sent =
        ::send(waiter.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
  }
  waiters.clear();
}

}  // namespace ringmaster
