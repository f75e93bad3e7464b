#include "master/admin/admin_server.h"

#include <algorithm>
#include <functional>
#include <numeric>
#include <string>
#include <tuple>
#include <utility>

namespace ringmaster {
namespace {

constexpr int kBacklog = 128;
// Who has not sent a whole head by then makes room for others.
constexpr std::uint64_t kQuickHeadMs = 1'000;

}  // namespace

Result<std::unique_ptr<AdminServer>> AdminServer::start(uv_loop_t* loop, UniqueFd listener,
                                                        AdminRoutes routes,
                                                        const AdminLimits& limits) {
  std::unique_ptr<AdminServer> server(new AdminServer(loop, std::move(routes), limits));
  const int error = server->listen(std::move(listener));
  if (error != 0) return Error{std::string("admin endpoint: ") + uv_strerror(error)};
  return server;
}

AdminServer::AdminServer(uv_loop_t* loop, AdminRoutes routes, const AdminLimits& limits)
    : loop_(loop),
      routes_(std::move(routes)),
      limits_(limits),
      listener_(open_handle<uv_tcp_t>(this, uv_tcp_init, loop)) {}

int AdminServer::listen(UniqueFd listener) {
  if (const int error = uv_tcp_open(listener_.get(), listener.get()); error != 0) return error;
  listener.release();  // the handle closes it
  const auto connected = [](uv_stream_t* stream, int status) noexcept {
    auto* self = owner_of<AdminServer>(stream);
    if (self != nullptr && status == 0) self->on_connection();
  };
  return uv_listen(as_stream(listener_), kBacklog, connected);
}

bool AdminServer::is_quiet() const noexcept {
  return std::all_of(connections_.begin(), connections_.end(),
                     [](const auto& connection) { return connection->is_quiet(); });
}

int AdminServer::listener() const noexcept {
  uv_os_fd_t fd = -1;
  uv_fileno(reinterpret_cast<const uv_handle_t*>(listener_.get()), &fd);
  return fd;
}

void AdminServer::on_connection() {
  const bool has_room = make_room();
  AdminConnection::Owner& owner = *this;
  auto connection = std::make_unique<AdminConnection>(loop_, routes_, limits_, owner);
  // Accepted also where there is no room: only so is it off the listener's queue, and refused.
  if (!connection->accept(as_stream(listener_)) || !has_room) return;
  connections_.push_back(std::move(connection));
}

// At the limit, whoever has been idle for longest goes; where no one idles, who has been at a head
// for longest, unless that has just begun. Else the newcomer must.
bool AdminServer::make_room() {
  if (connections_.size() < limits_.max_connections) return true;
  const auto rank = [](const auto& connection) {
    return std::tuple(!connection->is_idle(), !connection->is_reading(),
                      connection->waits_since_ms());
  };
  const auto first =
      std::min_element(connections_.begin(), connections_.end(),
                       [&](const auto& a, const auto& b) { return rank(a) < rank(b); });
  if (first == connections_.end()) return false;
  const bool is_slow =
      (*first)->is_reading() && uv_now(loop_) - (*first)->waits_since_ms() >= kQuickHeadMs;
  if (!(*first)->is_idle() && !is_slow) return false;
  connections_.erase(first);
  return true;
}

void AdminServer::on_admin_connection_end(AdminConnection& connection) {
  std::erase_if(connections_, [&](const auto& owned) { return owned.get() == &connection; });
}

std::size_t AdminServer::unsent_bytes() const noexcept {
  return std::transform_reduce(connections_.begin(), connections_.end(), std::size_t{0},
                               std::plus<>{},
                               [](const auto& connection) { return connection->unsent_bytes(); });
}

}  // namespace ringmaster
