// A worker by itself, without a master: what cmake/profile has the compiler watch. It hashes the
// URI, limits clients and forwards like one in production, until SIGTERM.
//
//   bench_worker BACKEND-PORT...    prints the port it listens on, then serves
#include "worker/worker.h"

#include <sys/eventfd.h>

#include <csignal>
#include <string>

#include "master/routing_publisher.h"
#include "shared/control_channel.h"
#include "shared/handover_channel.h"
#include "tests/bench/net.h"

namespace ringmaster::bench {
namespace {

Config config_for(int count, char** ports) {
  Config config;
  config.server.workers = 1;
  config.rate_limit.requests_per_second = config.rate_limit.burst = 1'000'000;
  for (int i = 0; i < count; ++i) {
    BackendConfig& backend = config.backends.emplace_back();
    backend.name = "b" + std::to_string(i);
    backend.host = "127.0.0.1";
    backend.port = port_of(ports[i]);
  }
  return config;
}

// What the master would have done before it forks.
void lay_out(const Config& config, Segment& segment) {
  const std::vector<std::uint32_t> upstreams = *publish_routing(config, segment, 1);
  for (std::size_t i = 0; i < upstreams.size(); ++i) {
    UpstreamState& upstream = segment.upstream(upstreams[i]);
    upstream.publish_address(*SocketAddress::parse(config.backends[i].address()));
    upstream.set_health(HealthState::kUp, HealthCause::kNone);
  }
  segment.generations().put_in_force(1);
  segment.slot(0).assign(1);
  segment.use_slot(0);
}

int serve(const Config& config) {
  Segment segment = *Segment::create();
  lay_out(config, segment);
  ControlChannel control = *ControlChannel::open();
  const HandoverChannel handover = *HandoverChannel::open();
  const UniqueFd report(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
  std::vector<UniqueFd> listeners;
  listeners.emplace_back(listen_on(0));
  std::printf("%u\n", bound_port(listeners.front().get()));
  std::fflush(stdout);
  return run_worker({config, segment, 0, 1, std::move(listeners), std::move(control.worker_end),
                     report.get(), handover.in.get(), handover.out.get()});
}

}  // namespace
}  // namespace ringmaster::bench

int main(int argc, char** argv) {
  using namespace ringmaster;
  log::start("worker", log::Level::kInfo);
  ::signal(SIGPIPE, SIG_IGN);
  return bench::serve(bench::config_for(argc - 1, argv + 1));
}
