// The admin endpoint: a small HTTP/1.1 server on the master's own loop, for /metrics, /status and
// the like, and for the control socket: GET and HEAD, there POST too. It trusts no client: heads,
// connections and the time for each step are bounded, a response waits in memory for a slow reader,
// never the loop. Owner: the Master. May be destroyed at any time, except inside a handler.
#pragma once

#include <uv.h>

#include <cstddef>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "master/admin/admin_connection.h"
#include "master/admin/admin_message.h"
#include "shared/base/result.h"
#include "shared/base/unique_fd.h"
#include "shared/base/uv_handle.h"

namespace ringmaster {

class AdminServer final : private AdminConnection::Owner {
 public:
  // `listener`: a TCP or Unix stream socket that is bound and listens. Handlers run inside libuv's
  // callbacks.
  static Result<std::unique_ptr<AdminServer>> start(uv_loop_t* loop, UniqueFd listener,
                                                    AdminRoutes routes,
                                                    const AdminLimits& limits = {});
  AdminServer(const AdminServer&) = delete;
  AdminServer& operator=(const AdminServer&) = delete;

  std::size_t connection_count() const noexcept { return connections_.size(); }
  // Every client has its answers, and none is about to ask: to close them all now harms nobody.
  bool is_quiet() const noexcept;
  int listener() const noexcept;  // the descriptor, borrowed

 private:
  AdminServer(uv_loop_t* loop, AdminRoutes routes, const AdminLimits& limits);
  int listen(UniqueFd listener);
  void on_connection();
  bool make_room();
  void on_admin_connection_end(AdminConnection& connection) override;
  std::size_t unsent_bytes() const noexcept override;
  std::size_t& last_size(const std::string& route) override { return last_sizes_[route]; }

  // Borrowed.
  uv_loop_t* const loop_;
  // Constant after construction.
  const AdminRoutes routes_;
  const AdminLimits limits_;
  // Owned.
  OwnedHandle<uv_tcp_t> listener_;
  std::map<std::string, std::size_t> last_sizes_;  // by route
  std::vector<std::unique_ptr<AdminConnection>> connections_;
};

}  // namespace ringmaster
