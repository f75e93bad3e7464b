// The master: reads as its life does. Opens what is shared, starts workers and probes, then waits,
// reaps, replaces and retires until there is nothing left to keep. Callbacks only take notes; the
// loop acts on them between two turns, so that a fork never happens inside a callback.
#pragma once

#include <uv.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "master/admin_server.h"
#include "master/health_monitor.h"
#include "master/listeners.h"
#include "master/report_source.h"
#include "master/service_notifier.h"
#include "master/supervisor.h"
#include "shared/base/event_loop.h"
#include "shared/config.h"
#include "shared/memory/segment.h"
#include "shared/worker_birth.h"

namespace ringmaster {

// Exit codes of the program: part of its interface.
inline constexpr int kExitOk = 0;
inline constexpr int kExitUsage = 1;
inline constexpr int kExitCannotStart = 2;
inline constexpr int kExitCut = 3;

class Master final : private HealthMonitor::Observer {
 public:
  // Opens sockets and shared memory. The error says what could not be had.
  static Result<std::unique_ptr<Master>> create(Config config);
  ~Master();

  // Either the master has come to its end and this is the exit code, or this process is a worker
  // that was just born: the caller runs it and must not destroy the master.
  struct Outcome {
    int exit_code = kExitOk;
    std::optional<WorkerBirth> birth;
  };
  Outcome run();

 private:
  Master(Config config, Segment segment, std::vector<Listener> listeners, Listener admin,
         UniqueFd report_fd, std::vector<std::uint32_t> upstreams);

  // Where the master is in its life; only ever forward.
  enum class Phase : std::uint8_t {
    kStarting,  // workers and first probes under way
    kServing,   // READY=1 was said
    kPreDrain,  // told to stop, not closing yet: /readyz fails
    kDraining,  // listeners closed
    kCutting,   // out of patience: requests in flight end now
    kKilling,   // so do workers that do not react
  };

  void watch_signals();
  void start_timers();
  void serve_admin();
  ReportSource report();

  void on_health_changed(std::uint32_t) override { health_changed_ = true; }
  void on_first_round_done() override {}

  // What the loop does between two turns.
  void act_on_notes();
  void become_ready();
  void stop_step();
  void begin_drain();
  void report_status();
  int exit_code() const noexcept;
  bool is_stopping() const noexcept { return phase_ >= Phase::kPreDrain; }

  static constexpr std::uint32_t kGeneration = 1;

  // Owned, in the order in which they need each other.
  const Config config_;
  Segment segment_;
  std::vector<Listener> listeners_;
  Listener admin_listener_;
  UniqueFd report_fd_;
  const std::vector<std::uint32_t> upstreams_;
  EventLoop loop_;
  Supervisor supervisor_;
  ServiceNotifier notifier_;
  HealthMonitor health_;
  std::unique_ptr<AdminServer> admin_;
  OwnedHandle<uv_poll_t> report_poll_;
  OwnedHandle<uv_timer_t> tick_;
  std::vector<OwnedHandle<uv_signal_t>> signals_;
  const std::uint64_t started_at_ms_;  // wall clock, since 1970
  const std::vector<double> ring_shares_;
  std::uint64_t rate_limit_entries_ = 0;
  std::uint64_t entries_counted_ms_ = 0;
  // Notes for the loop.
  Phase phase_ = Phase::kStarting;
  std::uint32_t stop_requests_ = 0;
  std::uint32_t interrupts_ = 0;
  std::uint64_t deadline_ms_ = 0;  // of the present phase of stopping
  std::uint64_t last_look_ms_ = 0;
  bool health_changed_ = false;
  bool reported_ = false;
};

}  // namespace ringmaster
