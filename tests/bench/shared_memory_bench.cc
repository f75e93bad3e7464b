// What the decisions in shared memory cost, in nanoseconds: ring look-ups by size, token buckets
// alone and with a second process at the same one. Prints a table; judges nothing. Run by ./dev
// bench.
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <string>
#include <vector>

#include "shared/base/clock.h"
#include "shared/memory/segment.h"

namespace ringmaster {
namespace {

template <class Operation>
double ns_per_operation(std::uint64_t count, Operation operation) {
  const std::uint64_t start = monotonic_ns();
  for (std::uint64_t i = 0; i < count; ++i) operation(i);
  return static_cast<double>(monotonic_ns() - start) / static_cast<double>(count);
}

void bench_ring(const Segment& segment, std::uint32_t backends, std::uint32_t virtual_nodes) {
  std::vector<std::string> names;
  for (std::uint32_t i = 0; i < backends; ++i) names.push_back("backend-" + std::to_string(i));
  std::vector<RingMember> members;
  for (std::uint32_t i = 0; i < backends; ++i) members.push_back({names[i], 1, i});
  const std::uint64_t start = monotonic_ns();
  HashRing::build(members, virtual_nodes, segment.ring_memory(1, false));
  const double build_ms = static_cast<double>(monotonic_ns() - start) / 1e6;
  const HashRing ring = segment.ring(1, false);
  std::uint64_t sum = 0;
  const double ns = ns_per_operation(5'000'000, [&](std::uint64_t i) {
    // Spread like a hash, but cheap: the look-up is measured, not the hash.
    sum += ring.walk(i * 0x9e3779b97f4a7c15u, [](std::uint32_t) { return true; });
  });
  std::printf("ring look-up, %4u backends x %4u points   %7.1f ns   (built in %.1f ms)%s\n",
              backends, virtual_nodes, ns, build_ms, sum == 0 ? " " : "");
}

void take_tokens(TokenBucketTable& table, std::uint64_t tag, std::uint64_t count,
                 const char* what) {
  const BucketRate rate = BucketRate::of(1'000'000, 1'000'000);
  const double ns =
      ns_per_operation(count, [&](std::uint64_t) { table.take(tag, rate, monotonic_ns()); });
  std::printf("token bucket, %-32s %7.1f ns   (the clock included)\n", what, ns);
}

void bench_buckets(const Segment& segment) {
  TokenBucketTable table = segment.buckets(1'048'576);
  const std::uint64_t tag = table.tag_of(*IpAddress::parse("192.0.2.1"), 64);
  take_tokens(table, tag, 5'000'000, "one process");
  std::fflush(stdout);
  const pid_t rival = ::fork();
  take_tokens(table, tag, 5'000'000,
              rival == 0 ? "two at one key, the second" : "two at one key, the first");
  if (rival == 0) {
    std::fflush(stdout);
    ::_exit(0);
  }
  ::waitpid(rival, nullptr, 0);
}

void bench_counters(const Segment& segment) {
  UpstreamMetrics& metrics = segment.metrics(0).upstreams[0];
  const double ns = ns_per_operation(20'000'000, [&](std::uint64_t i) {
    metrics.in_flight.add();
    metrics.responses[1].add();
    metrics.request_duration.observe(i % 50 * 1'000'000);
    metrics.in_flight.subtract();
  });
  std::printf("counters of one request                        %7.1f ns\n", ns);
}

// As a request does it: published when it is sent and when it is answered.
void bench_recorder(const Segment& segment) {
  FlightRecorder& recorder = segment.recorder(0);
  RequestRecord record{};
  record.set_id("0123456789abcdef0123456789abcdef");
  record.set_line("GET", "/some/path/of/usual/length");
  const double ns = ns_per_operation(5'000'000, [&](std::uint64_t i) {
    record.started_us = i;
    const std::uint64_t number = recorder.publish(FlightRecorder::kUnpublished, record);
    record.total_us = i;
    recorder.publish(number, record);
  });
  std::printf("flight recorder, one request                   %7.1f ns\n", ns);
}

}  // namespace
}  // namespace ringmaster

int main() {
  using namespace ringmaster;
  const auto segment = Segment::create();
  if (!segment) {
    std::fprintf(stderr, "%s\n", segment.error().c_str());
    return 1;
  }
  if (const auto claimed = segment->claim_routing(1); !claimed) {
    std::fprintf(stderr, "%s\n", claimed.error().c_str());
    return 1;
  }
  for (const std::uint32_t virtual_nodes : {160u, 1000u}) {
    for (const std::uint32_t backends : {10u, 100u, 1000u})
      bench_ring(*segment, backends, virtual_nodes);
  }
  bench_buckets(*segment);
  bench_counters(*segment);
  bench_recorder(*segment);
  return 0;
}
