// A reload, up to the moment of exec: asks a child of the new binary whether it can use the new
// config, and remembers who wants to know how it ends. One at a time; whoever asks meanwhile gets
// the next one. Owner: the Master, who execs when is_accepted().
//
//   kIdle ──request──▶ kChecking ──child says no──▶ kIdle (everyone told why)
//                          └──child says ok──▶ kAccepted ──▶ exec
#pragma once

#include <sys/types.h>
#include <uv.h>

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "master/launch.h"
#include "master/takeover/config_check.h"
#include "master/takeover/handoff.h"
#include "shared/base/unique_fd.h"

namespace ringmaster {

class Reloader final : private ConfigCheck::Owner {
 public:
  // `launch` outlives the reloader.
  Reloader(uv_loop_t* loop, const Launch& launch) noexcept : loop_(loop), launch_(launch) {}
  Reloader(const Reloader&) = delete;
  Reloader& operator=(const Reloader&) = delete;

  // `waiter`: a connection on which an HTTP answer is awaited; not open: nobody waits (SIGHUP).
  void request(UniqueFd waiter);
  // A reload that the image before us began: its outcome is ours to tell.
  void resume(ReloadQueue queue);

  bool is_accepted() const noexcept { return phase_ == Phase::kAccepted; }
  bool is_idle() const noexcept { return phase_ == Phase::kIdle; }
  // The child that checks, which is waited for here; 0: there is none.
  pid_t child() const noexcept;
  // The end of a reload, for everyone who waits for it; then the next begins, if one was asked for.
  void succeed(const std::string& message);
  void fail(const std::string& why);
  // As fail(), of a reload that is not over: the next one waits for succeed() or fail().
  void tell_failure(const std::string& why);
  // The service stops: no reload any more.
  void give_up();
  // Takes a note of the last outcome that was not told yet to the master: a refusal, for its log.
  std::string take_refusal() { return std::exchange(refusal_, {}); }

  // For the next image: duplicates.
  ReloadQueue duplicate_queue() const;

 private:
  enum class Phase : std::uint8_t { kIdle, kChecking, kAccepted };

  void begin();
  void on_check_done(const std::string& verdict) override;
  void answer(std::vector<UniqueFd>& waiters, int status, const std::string& body);
  void next();

  // Borrowed.
  uv_loop_t* const loop_;
  const Launch& launch_;
  // Owned.
  Phase phase_ = Phase::kIdle;
  std::unique_ptr<ConfigCheck> check_;
  ReloadQueue queue_;
  std::string refusal_;
};

}  // namespace ringmaster
