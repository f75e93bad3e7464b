// The master: reads as its life does. Opens what is shared, or takes it over, starts workers and
// probes, then waits, reaps, replaces and retires until there is nothing left to keep, or until its
// next image takes over (exec). Callbacks only take notes; the loop acts on them between two turns,
// so that a fork or an exec never happens inside a callback.
//
// The parts of its work: master_parts.cc opens what it needs; master.cc starts, serves and stops;
// master_reload.cc changes over to a new config or binary.
#pragma once

#include <uv.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "master/admin/control_socket.h"
#include "master/config/start_config.h"
#include "master/endpoints.h"
#include "master/health/health_monitor.h"
#include "master/listeners.h"
#include "master/master_parts.h"
#include "master/master_phase.h"
#include "master/systemd/service_notifier.h"
#include "master/takeover/inheritance.h"
#include "master/takeover/reloader.h"
#include "master/workers/supervisor.h"
#include "shared/base/event_loop.h"
#include "shared/config.h"
#include "shared/handover_channel.h"
#include "shared/memory/segment.h"
#include "shared/worker_birth.h"

namespace ringmaster {

// Exit codes of the program: part of its interface.
inline constexpr int kExitOk = 0;
inline constexpr int kExitUsage = 1;
inline constexpr int kExitCannotStart = 2;
inline constexpr int kExitCut = 3;

class Master final : private HealthMonitor::Observer, private Endpoints::Owner {
 public:
  // Opens sockets and shared memory, or takes what it needs of them out of `inherited`. The error
  // says what could not be had; `inherited` is whole then, so that it can be tried with another
  // config.
  static Result<std::unique_ptr<Master>> create(const StartConfig& start, const Launch& launch,
                                                Inheritance& inherited);
  ~Master();

  // Either the master has come to its end and this is the exit code, or this process is a worker
  // that was just born: the caller runs it and must not destroy the master.
  struct Outcome {
    int exit_code = kExitOk;
    std::optional<WorkerBirth> birth;
  };
  Outcome run();
  // After run(): threads are at work that the process' exit() would wait for.
  bool has_lookups_under_way() const noexcept { return health_.has_lookups_under_way(); }

 private:
  Master(const StartConfig& start, const Launch& launch, MasterParts parts, Inheritance& inherited);

  // master.cc
  void begin_phase(Inheritance& inherited);
  bool note_start(bool is_takeover);
  void announce_addresses() const;
  void warn_of_unserved() const;
  void watch_signals();
  void start_timers();

  // Notes for the loop, and orders that only wait for it.
  void on_health_changed() override { health_changed_ = true; }
  MasterPhase phase() const noexcept override { return phase_; }
  void on_reload_ordered(UniqueFd waiter) override;
  void on_reopen_ordered() override { renews_ = true; }

  // What the loop does between two turns.
  void act_on_notes();
  void become_ready();
  void begin_serving();
  void tell_ready();
  bool serves_nobody() const noexcept { return health_.up_count() == 0 && !health_.is_panicking(); }
  std::string strength(std::size_t workers) const;
  void announce(const std::string& state) const;
  void call_in_orphans();
  void begin_stop();
  void stop_step();
  void begin_drain();
  void close_listeners();
  bool has_stopped() const noexcept;
  void report_status();
  int conclude();
  bool is_stopping() const noexcept { return ringmaster::is_stopping(phase_); }
  bool may_spawn() const noexcept;

  // master_reload.cc
  void reload_step();
  void reload_unfinished_start(std::uint64_t now);
  void give_config_up();
  void put_in_force();
  void archive_config();
  void complete_reload();
  void fail_reload(const std::string& why);
  void exec_next_image(const std::string& failure);
  bool hear_last_signals();
  void exec_with_all(const std::string& failure);
  Handoff build_handoff(const std::string& failure);

  static constexpr std::string_view kServesNobody = "no backend is up: every request gets 503";

  // Borrowed: main's.
  const Launch& launch_;
  // Owned, in the order in which they need each other.
  const Config config_;
  const std::string config_text_;
  const std::vector<std::string> config_warnings_;  // of StartConfig
  std::string config_in_force_;  // its text: ours, or until then that of the config before
  Segment segment_;
  std::vector<Listener> listeners_;
  // Inherited, and no listeners of this config: of the one before, to go back to until this one is
  // in force; of systemd, for a config that names them again.
  std::vector<Listener> unclaimed_;
  std::vector<Listener> former_admin_;  // likewise
  SocketAddress admin_address_;
  SocketAddress admin_configured_;
  ControlSocket control_;
  const std::string former_control_;  // where the image before listened, if elsewhere
  UniqueFd report_fd_;
  HandoverChannel handover_;
  const std::vector<std::uint32_t> upstreams_;
  const std::uint32_t generation_;
  EventLoop loop_;
  Supervisor supervisor_;
  ServiceNotifier notifier_;
  HealthMonitor health_;
  Reloader reloader_;
  Endpoints endpoints_;
  OwnedHandle<uv_poll_t> report_poll_;
  OwnedHandle<uv_timer_t> tick_;
  std::vector<OwnedHandle<uv_signal_t>> signals_;
  std::string reload_failure_;  // why we went back to the last good config; told when we serve
  // Notes for the loop.
  MasterPhase phase_ = MasterPhase::kStarting;
  std::uint32_t stop_requests_ = 0;
  bool out_of_patience_ = false;  // interrupted while stopping
  std::uint32_t reload_requests_ = 0;
  std::uint64_t deadline_ms_ = 0;  // of the present phase; 0: none
  std::uint64_t accepted_ms_ = 0;  // since when a reload could begin; 0: none is to
  std::uint64_t last_look_ms_ = 0;
  bool health_changed_ = false;
  bool reported_ = false;
  bool child_ended_ = true;     // maybe while there was no handler yet
  bool renews_ = false;         // the workers, when we serve
  bool calls_orphans_ = false;  // once, when our workers serve
  bool goes_back_ = false;      // this image keeps the generation that serves
  bool has_served_ = false;     // somebody has: by this image's config or the one before it
};

}  // namespace ringmaster
