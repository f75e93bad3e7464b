#include "master/takeover/reloader.h"

#include <fmt/format.h>
#include <sys/socket.h>

#include <utility>

#include "master/admin/admin_message.h"
#include "master/config/config_loader.h"

namespace ringmaster {

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
  return check_ != nullptr ? check_->child() : 0;
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
  check_ = std::make_unique<ConfigCheck>(loop_, static_cast<ConfigCheck::Owner&>(*this));
  const int error = check_->start(launch_);
  if (error == 0) return;
  check_.reset();
  fail(fmt::format("cannot run {}: {}", launch_.binary, uv_strerror(error)));
}

void Reloader::on_check_done(const std::string& verdict) {
  check_.reset();
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
  check_.reset();
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
