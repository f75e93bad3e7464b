// One backend under watch: decides when to probe it, feeds its state machine, and publishes what
// comes out: to the workers (UpstreamState), to the counters (MasterUpstreamMetrics), to the log.
// Where the config moves a backend, the workers learn nothing before it is settled: until then they
// serve by the config before, and the verdict there is not the verdict here. Owner: the
// HealthMonitor.
// Invariant: once started, and while the backend has an address, either a probe is under way or the
// timer runs towards the next.
#pragma once

#include <uv.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <random>
#include <string>

#include "master/health/backend_health.h"
#include "master/health/health_probe.h"
#include "master/health/health_state_machine.h"
#include "master/health/slow_start.h"
#include "shared/base/line_limit.h"
#include "shared/base/uv_handle.h"
#include "shared/config.h"
#include "shared/memory/master_slab.h"
#include "shared/memory/upstream_state.h"

namespace ringmaster {

// What stands for a backend's configured address in UpstreamState. Never UpstreamState::kNowhere.
std::uint64_t place_of(const BackendConfig& backend);

class BackendWatch final : private HealthProbe::Owner, private SlowStart::Owner {
 public:
  class Owner {
   public:
    // Something was learned. Nothing happens in the watch after this call.
    virtual void on_watch_news(BackendWatch& watch, bool state_changed) = 0;
    // The backend does not answer where it is: have it looked for (look_at) at another address of
    // its name, if there is one. Returns how many addresses there are.
    virtual std::size_t try_another_address(BackendWatch& watch) = 0;

   protected:
    ~Owner() = default;
  };

  // What a watch is given; all of it outlives the watch.
  struct Subject {
    std::size_t index;       // in Config::backends
    std::uint32_t upstream;  // in the segment
    const HealthConfig& config;
    const BackendConfig& backend;
    UpstreamState& shared;
    MasterUpstreamMetrics& metrics;
  };

  BackendWatch(uv_loop_t* loop, const Subject& subject, std::minstd_rand& random, Owner& owner);
  BackendWatch(const BackendWatch&) = delete;
  BackendWatch& operator=(const BackendWatch&) = delete;

  // What the workers know is of this backend's place from now on: publishes address and verdict.
  // Nothing, where that was so from the beginning.
  void settle();
  // The first probe follows after `delay`, or as soon as there is an address.
  void start(Duration delay);
  // A worker could not reach the backend: probes at once, and one failure is enough.
  void on_report();
  // The backend is at a new address: publishes it and probes at once.
  void on_resolved(const SocketAddress& address);
  // Its name could not be resolved, and never was.
  void on_unresolved(const std::string& why);
  // The next probe goes to this address; it is published once the backend answers there.
  void look_at(const SocketAddress& address) { address_ = address; }
  // An operator takes the backend out of use (`ctl drain`), or puts it back.
  void set_drained(bool drained);
  // Whether it is used although it is down, for nearly all are (health.panic_threshold).
  void ignore_health(bool ignored);
  // Moves to an address, without a probe.
  void move_to(const SocketAddress& address);

  std::size_t index() const noexcept { return subject_.index; }
  std::uint32_t upstream() const noexcept { return subject_.upstream; }
  const SocketAddress& address() const noexcept { return address_; }  // empty: not known
  bool has_verdict() const noexcept { return has_verdict_; }
  bool is_up() const noexcept;  // answers its probes, and no operator has drained it
  bool is_drained() const noexcept { return subject_.shared.is_drained(); }
  BackendHealth health() const;

 private:
  void on_probe_done(const ProbeResult& result) override;
  void probe_now(bool verifies_report);
  void probe_after(Duration delay);
  void on_timer();
  void verify_report();
  void retry_for_want(const ProbeResult& result);
  bool is_tried_elsewhere(const ProbeResult& result);
  void schedule_next(bool had_verdict);
  Duration on_common_tick(Duration delay) const noexcept;
  void publish(bool changed, const std::string& what);
  void show() noexcept;  // the health word, as things stand
  void publish_address() noexcept;
  void log_change(HealthState before);
  void log_what_was_left_out();
  bool answers() const noexcept;
  HealthState effective_state() const noexcept;
  KeyShare keys() const noexcept;

  void begin_slow_start();
  void end_slow_start() noexcept;
  void on_share_grown() override;

  // Borrowed.
  const Subject subject_;
  uv_loop_t* const loop_;
  std::minstd_rand& random_;
  Owner& owner_;
  // Constant after construction.
  const std::string request_;
  const std::uint64_t place_;  // where the config has it
  // Owned.
  bool settled_;  // what the workers know is of that place
  HealthStateMachine machine_;
  OwnedHandle<uv_timer_t> timer_;  // towards the next probe
  SlowStart slow_start_;
  std::unique_ptr<HealthProbe> probe_;  // under way, or the last one
  SocketAddress address_;               // probed
  std::string reason_;                  // of the latest change
  std::int64_t drained_ms_ = 0;         // when an operator did so; 0: not, or before this image
  std::string last_result_;             // of the latest probe
  log::LineLimit lines_{10, 60'000};    // of changes: a backend that flaps fills no log
  double last_duration_ms_ = 0;
  std::uint64_t probe_began_ns_ = 0;
  std::uint64_t first_probe_began_ns_ = 0;
  std::uint64_t verification_began_ns_ = 0;
  std::size_t addresses_tried_ = 0;  // before the first verdict
  bool verifies_ = false;            // the probe under way, or the next, answers a report
  bool reported_again_ = false;      // while such a probe was under way
  bool has_verdict_ = false;
  bool health_ignored_ = false;
  bool short_of_means_ = false;  // and so logged
};

}  // namespace ringmaster
