// Which backends may be used: probes them all, verifies what workers report, follows host names,
// and alone decides. Publishes through the segment; the workers read it there. Owner: the Master.
// May be destroyed at any time, except inside its observer's calls.
#pragma once

#include <uv.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "master/health/backend_health.h"
#include "master/health/backend_watch.h"
#include "master/health/resolver.h"
#include "shared/config.h"
#include "shared/memory/segment.h"

namespace ringmaster {

class HealthMonitor final : private BackendWatch::Owner, private Resolver::Observer {
 public:
  // Only takes notes: it is called in the middle of libuv's callbacks.
  class Observer {
   public:
    virtual void on_health_changed() = 0;

   protected:
    ~Observer() = default;
  };

  // `upstreams[i]` is the segment's index of config.backends[i]. All references outlive the
  // monitor.
  HealthMonitor(uv_loop_t* loop, const Config& config, Segment& segment,
                std::vector<std::uint32_t> upstreams, Observer& observer);
  HealthMonitor(const HealthMonitor&) = delete;
  HealthMonitor& operator=(const HealthMonitor&) = delete;

  // Starts lookups and the first round of probes. `serving`: the generation by which requests go
  // until put_in_force(), 0 for none; of backends that it has elsewhere nothing is published
  // before.
  void start(std::uint32_t serving);
  // This config is the one that requests go by from now on.
  void put_in_force();
  // Collects the suspicion board and probes whom it names. Called in each turn of the loop.
  void on_reports();

  // Takes a backend out of use, or puts it back, until told otherwise. False: there is none of that
  // name.
  bool set_drained(std::string_view name, bool drained);

  BackendHealth snapshot(std::size_t backend) const { return watches_[backend]->health(); }
  // Lookups that have not been answered; the process cannot exit() in order before they are.
  bool has_lookups_under_way() const noexcept { return resolver_.has_lookups_under_way(); }
  bool first_round_done() const noexcept { return started_ && awaited_ == 0; }
  std::size_t up_count() const noexcept;  // backends up or suspect, and not drained
  // So few backends are up that all are used (health.panic_threshold).
  bool is_panicking() const noexcept { return panicking_; }

 private:
  bool is_used_by(std::uint32_t generation, std::uint32_t upstream) const noexcept;
  void find_address(std::size_t backend);
  // Of the backends that are no backups and not drained.
  struct Strength {
    std::size_t all = 0;
    std::size_t up = 0;
    bool backup_is_up = false;
  };
  Strength strength() const noexcept;
  bool must_panic(const Strength& strength) const noexcept;
  void go_on_with_panic();
  void reconsider_panic();
  void on_watch_news(BackendWatch& watch, bool state_changed) override;
  std::size_t try_another_address(BackendWatch& watch) override;
  void on_resolved(std::size_t backend, const SocketAddress& address) override;
  void on_unresolved(std::size_t backend, const std::string& why) override;

  // Borrowed.
  const Config& config_;
  Segment& segment_;
  Observer& observer_;
  // Owned.
  std::minstd_rand random_;                             // for jitter, nothing else
  std::vector<std::unique_ptr<BackendWatch>> watches_;  // index: config.backends
  std::array<BackendWatch*, kMaxUpstreams> by_upstream_{};
  Resolver resolver_;
  std::vector<bool> awaited_verdicts_;
  std::size_t awaited_ = 0;  // backends without a first verdict
  bool started_ = false;
  bool panicking_ = false;
};

}  // namespace ringmaster
