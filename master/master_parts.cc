#include "master/master_parts.h"

#include <sys/eventfd.h>

#include <utility>

#include "master/routing_publisher.h"

namespace ringmaster {
namespace {

struct Sockets {
  std::vector<Listener> listeners;
  std::vector<Listener> admin;  // one
  ControlSocket control;
  bool keeps_control;  // the inherited one is in its place, and `control` not open yet
};

Result<Sockets> find_sockets(const Config& config, const std::string& control_path,
                             Inheritance& inherited) {
  auto listeners = match_listeners(config.server.listen, inherited.listeners, inherited.admin);
  if (!listeners) return Error{listeners.error()};
  auto admin = match_listeners({config.admin.listen}, inherited.admin, inherited.listeners);
  if (!admin) {
    inherited.take_back(*std::move(listeners), {});
    return Error{"admin: " + admin.error()};
  }
  const bool keeps_control = lies_at(inherited.control, control_path);
  auto control = keeps_control ? ControlSocket{} : open_control_socket(control_path);
  if (!control) {
    inherited.take_back(*std::move(listeners), *std::move(admin));
    return Error{control.error()};
  }
  return Sockets{*std::move(listeners), *std::move(admin), *std::move(control), keeps_control};
}

Result<void> furnish_memory(Inheritance& inherited) {
  if (inherited.segment) return {};
  auto fresh = Segment::create();
  if (!fresh) return Error{fresh.error()};
  // It may serve for long by a config that is in no file any more, and die once more.
  if (!inherited.config.empty()) fresh->config_archive().keep(inherited.config);
  inherited.segment.emplace(*std::move(fresh));
  return {};
}

struct Routing {
  std::uint32_t generation;
  std::vector<std::uint32_t> upstreams;
  bool goes_back;
};

Result<Routing> lay_out_routing(const StartConfig& start, const Inheritance& inherited,
                                Segment& segment) {
  // In memory that another layout of it has brought, no generation serves: the old config gets a
  // new one.
  const std::uint32_t in_force = segment.generations().in_force();
  const bool goes_back = inherited.is_takeover && !start.failure.empty() && in_force != 0;
  const std::uint32_t generation = goes_back ? in_force : segment.next_generation();
  auto upstreams = goes_back ? find_upstreams(start.config, segment)
                             : publish_routing(start.config, segment, generation);
  if (!upstreams) return Error{upstreams.error()};
  return Routing{generation, *std::move(upstreams), goes_back};
}

// Of the image before, or ours, whoever uses them then.
Result<void> furnish_lines(Inheritance& inherited) {
  if (!inherited.report.is_open()) inherited.report.reset(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
  if (!inherited.report.is_open()) return Error{"cannot create an eventfd"};
  if (inherited.handover.in.is_open()) return {};
  auto channel = HandoverChannel::open();
  if (!channel) return Error{channel.error()};
  inherited.handover = *std::move(channel);
  return {};
}

}  // namespace

Result<MasterParts> gather_parts(const StartConfig& start, Inheritance& inherited) {
  const std::string path = control_socket_path(start.config.admin.socket);
  auto sockets = find_sockets(start.config, path, inherited);
  if (!sockets) return Error{sockets.error()};
  const auto failed = [&](const std::string& why) {
    inherited.take_back(std::move(sockets->listeners), std::move(sockets->admin));
    return Error{why};
  };
  const bool has_orphans_channel =
      inherited.is_takeover ? inherited.calls_orphans : inherited.handover.in.is_open();
  if (auto memory = furnish_memory(inherited); !memory) return failed(memory.error());
  auto routing = lay_out_routing(start, inherited, *inherited.segment);
  if (!routing) return failed(routing.error());
  if (auto lines = furnish_lines(inherited); !lines) return failed(lines.error());

  // Nothing fails from here on.
  const bool keeps_control = sockets->keeps_control;
  if (keeps_control) sockets->control = {std::move(inherited.control.socket), path};
  return MasterParts{.listeners = std::move(sockets->listeners),
                     .admin = std::move(sockets->admin.front()),
                     .control = std::move(sockets->control),
                     .former_control = keeps_control ? std::string() : inherited.control.path,
                     .segment = *std::move(inherited.segment),
                     .generation = routing->generation,
                     .upstreams = std::move(routing->upstreams),
                     .goes_back = routing->goes_back,
                     .report = std::move(inherited.report),
                     .handover = std::move(inherited.handover),
                     .has_orphans_channel = has_orphans_channel};
}

}  // namespace ringmaster
