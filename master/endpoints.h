// Where the master answers: reports to whoever asks on the admin endpoint, and orders from whoever
// may open the control socket (`ringmaster ctl`). Owned by the Master. Drains backends itself; what
// else is ordered it passes on, and the Master acts on it between two turns of the loop.
#pragma once

#include <uv.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "master/admin/admin_message.h"
#include "master/admin/admin_server.h"
#include "master/health/health_monitor.h"
#include "master/listeners.h"
#include "master/master_phase.h"
#include "master/reports/report_source.h"
#include "master/reports/ring_report.h"
#include "master/workers/supervisor.h"
#include "shared/base/unique_fd.h"
#include "shared/config.h"
#include "shared/memory/segment.h"

namespace ringmaster {

class Endpoints {
 public:
  // Called from libuv's callbacks.
  class Owner {
   public:
    virtual MasterPhase phase() const noexcept = 0;
    // The answer is to go out on `waiter`, a connected socket, once it is known how it ended.
    virtual void on_reload_ordered(UniqueFd waiter) = 0;
    // The access log was renamed: other workers are to open it anew.
    virtual void on_reopen_ordered() = 0;

   protected:
    ~Owner() = default;
  };

  // What is reported on, and by whom: the master's, all of which outlives us.
  struct Subject {
    const Config& config;
    const std::string& config_text;
    const Segment& segment;
    const std::vector<std::uint32_t>& upstreams;  // the segment's index of config.backends[i]
    std::uint32_t generation;                     // of that config
    HealthMonitor& health;
    const Supervisor& supervisor;
  };
  Endpoints(uv_loop_t* loop, const Subject& subject, Owner& owner);

  // Each begins to serve on sockets that listen, and throws std::runtime_error if libuv will not.
  void serve_admin(UniqueFd listener);
  // As the config in force has it: who asks there sees nothing of a reload that may yet fail.
  // Serves on duplicates, until leave_former_admin().
  void serve_former_admin(const std::vector<Listener>& listeners);
  void serve_control(UniqueFd listener);
  void leave_former_admin() noexcept { former_admin_.clear(); }

  // Nobody has a connection who would lose an answer if the process became another now.
  bool is_quiet() const noexcept;
  int admin_listener() const noexcept { return admin_->listener(); }  // borrowed

 private:
  AdminRoutes reports();
  AdminResponse readiness();  // of /readyz
  AdminResponse order_reload(const AdminRequest& request);
  AdminResponse set_drained(const AdminRequest& request, bool drained);
  AdminResponse reopen(const AdminRequest& request);
  ReportSource report();
  std::string overview();
  bool has_backend_in_use() const noexcept;
  bool is_stopping() const noexcept { return ringmaster::is_stopping(owner_.phase()); }

  // Borrowed.
  uv_loop_t* const loop_;
  const Subject subject_;
  Owner& owner_;
  // Owned.
  const std::vector<double> ring_shares_;  // by upstream
  RingReport ring_report_;
  std::unique_ptr<AdminServer> admin_;
  std::vector<std::unique_ptr<AdminServer>> former_admin_;
  std::unique_ptr<AdminServer> control_;
  // Clients of the rate limiter, and when they were counted: to count walks its table.
  std::uint64_t rate_limit_entries_ = 0;
  std::uint64_t entries_counted_ms_ = 0;
};

}  // namespace ringmaster
