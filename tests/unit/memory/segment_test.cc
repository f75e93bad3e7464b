// What the segment promises: it is ours or refused, every process sees the same, and a worker may
// die at any moment without a counter falling or a gauge leaking.
#include "shared/memory/segment.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <fstream>
#include <sstream>
#include <string>

namespace ringmaster {
namespace {

Segment new_segment() {
  auto segment = Segment::create();
  if (!segment) throw std::runtime_error(segment.error());
  return *std::move(segment);
}

TEST(Segment, CannotBeResizedByAnyone) {
  const Segment segment = new_segment();
  EXPECT_NE(::ftruncate(segment.fd(), 4096), 0);
  EXPECT_NE(::ftruncate(segment.fd(), static_cast<off_t>(segment.header().total_bytes * 2)), 0);
}

TEST(Segment, CostsMemoryOnlyForWhatIsUsed) {
  const Segment segment = new_segment();
  struct stat status;
  ASSERT_EQ(::fstat(segment.fd(), &status), 0);
  EXPECT_LT(status.st_blocks * 512, 1 << 20);
}

std::string flags_of_mapping(std::uintptr_t address) {
  std::ifstream maps("/proc/self/smaps");
  std::ostringstream start;
  start << std::hex << address << '-';
  bool is_it = false;
  for (std::string line; std::getline(maps, line);) {
    if (line.starts_with(start.str())) is_it = true;
    if (is_it && line.starts_with("VmFlags:")) return line + ' ';
  }
  return "";
}

TEST(Segment, IsLeftOutOfCoreDumps) {
  const Segment first = new_segment();
  const auto second = Segment::adopt(UniqueFd(::dup(first.fd())));
  ASSERT_TRUE(second.ok());
  for (const SegmentHeader* header : {&first.header(), &second->header()}) {
    const std::string flags = flags_of_mapping(reinterpret_cast<std::uintptr_t>(header));
    EXPECT_NE(flags.find(" dd "), std::string::npos) << flags;
  }
}

TEST(Segment, IsAdoptedWithAllThatIsInIt) {
  const Segment first = new_segment();
  ASSERT_TRUE(first.add_upstream("s1").ok());
  first.metrics(3).worker.clients_total.add(7);

  auto second = Segment::adopt(UniqueFd(::dup(first.fd())));
  ASSERT_TRUE(second.ok()) << second.error();
  EXPECT_EQ(second->upstream(0).name(), "s1");
  EXPECT_EQ(second->metrics(3).worker.clients_total.get(), 7u);
  EXPECT_EQ(second->header().bucket_seed.k0, first.header().bucket_seed.k0);
}

TEST(Segment, RefusesWhatIsNotOurs) {
  UniqueFd wrong_size(::memfd_create("other", MFD_CLOEXEC));
  ASSERT_EQ(::ftruncate(wrong_size.get(), 4096), 0);
  EXPECT_FALSE(Segment::adopt(std::move(wrong_size)).ok());

  UniqueFd right_size(::memfd_create("other", MFD_CLOEXEC));
  const auto bytes = static_cast<off_t>(new_segment().header().total_bytes);
  ASSERT_EQ(::ftruncate(right_size.get(), bytes), 0);
  EXPECT_FALSE(Segment::adopt(std::move(right_size)).ok());
}

// A later version refuses the memory, but goes back to that config if it has to.
TEST(Segment, TellsTheLastGoodConfigWhateverItsLayout) {
  const Segment segment = new_segment();
  EXPECT_EQ(Segment::archived_config(segment.fd()), "");
  segment.config_archive().keep("[server]");
  EXPECT_EQ(Segment::archived_config(segment.fd()), "[server]");

  const std::uint64_t other_layout = 1;
  ASSERT_EQ(
      ::pwrite(segment.fd(), &other_layout, sizeof other_layout, offsetof(SegmentHeader, layout)),
      ssize_t{sizeof other_layout});
  ASSERT_FALSE(Segment::adopt(UniqueFd(::dup(segment.fd()))).ok());
  EXPECT_EQ(Segment::archived_config(segment.fd()), "[server]");

  const std::uint64_t other_magic = 1;
  ASSERT_EQ(::pwrite(segment.fd(), &other_magic, sizeof other_magic, 0),
            ssize_t{sizeof other_magic});
  EXPECT_EQ(Segment::archived_config(segment.fd()), "");
  EXPECT_EQ(Segment::archived_config(-1), "");
}

TEST(Segment, NumbersBackendsInTheOrderTheyCome) {
  const Segment segment = new_segment();
  EXPECT_EQ(*segment.add_upstream("s1"), 0u);
  EXPECT_EQ(*segment.add_upstream("s2"), 1u);
  EXPECT_EQ(segment.upstream_count(), 2u);
}

TEST(Segment, RunsOutOfNamesWithAnErrorNotACrash) {
  const Segment segment = new_segment();
  for (std::uint32_t i = 0; i < kMaxUpstreams; ++i) {
    ASSERT_TRUE(segment.add_upstream("s" + std::to_string(i)).ok());
  }
  EXPECT_FALSE(segment.add_upstream("one more").ok());
}

TEST(Segment, GenerationsWithWorkersNeverShareARoutingArea) {
  const Segment segment = new_segment();
  for (std::uint32_t generation = 1; generation <= kRoutingAreas; ++generation) {
    ASSERT_EQ(segment.next_generation(), generation);
    ASSERT_TRUE(segment.claim_routing(generation).ok());
    segment.use_slot(generation);
    segment.slot(generation).assign(generation);
    segment.generations().put_in_force(generation);
  }
  EXPECT_NE(&segment.routing(1), &segment.routing(2));
  EXPECT_NE(segment.ring_memory(1, false), segment.ring_memory(2, false));
  EXPECT_NE(segment.ring_memory(1, false), segment.ring_memory(1, true));
  EXPECT_FALSE(segment.claim_routing(segment.next_generation()).ok());

  segment.slot(3).release();
  EXPECT_TRUE(segment.claim_routing(segment.next_generation()).ok());
}

TEST(Segment, GivesTheEntryOfABackendLongGoneToANewOne) {
  const Segment segment = new_segment();
  for (std::uint32_t i = 0; i < kMaxUpstreams; ++i) {
    ASSERT_TRUE(segment.add_upstream("s" + std::to_string(i)).ok());
  }
  segment.use_slot(0);
  segment.upstream(5).set_retired_at_ms(2'000);
  segment.upstream(6).set_retired_at_ms(1'000);
  segment.metrics(0).upstreams[6].in_flight.add();  // not yet done
  segment.metrics(0).upstreams[5].responses[1].add(7);

  EXPECT_EQ(*segment.add_upstream("new"), 5u);
  EXPECT_EQ(segment.metrics(0).upstreams[5].responses[1].get(), 0u);
  EXPECT_FALSE(segment.add_upstream("another").ok());
}

TEST(ConfigArchive, KeepsTheLastTextIfItIsNotTooLong) {
  const Segment segment = new_segment();
  ConfigArchive& archive = segment.config_archive();
  EXPECT_EQ(archive.text(), "");
  ASSERT_TRUE(archive.keep("first"));
  ASSERT_TRUE(archive.keep("second, and longer"));
  EXPECT_EQ(archive.text(), "second, and longer");
  ASSERT_TRUE(archive.keep(""));
  EXPECT_EQ(archive.text(), "");
  ASSERT_TRUE(archive.keep("third"));
  EXPECT_FALSE(archive.keep(std::string(kMaxArchivedConfig + 1, 'x')));
  EXPECT_EQ(archive.text(), "") << "none rather than an older one";
}

// A worker counts requests without end, and says so through a pipe; it is killed wherever it is.
pid_t fork_counting_worker(const Segment& segment, std::uint32_t slot, int started) {
  const pid_t pid = ::fork();
  if (pid != 0) return pid;
  UpstreamMetrics& metrics = segment.metrics(slot).upstreams[0];
  for (std::uint64_t i = 0;; ++i) {
    metrics.in_flight.add();
    metrics.responses[1].add();
    metrics.request_duration.observe(i * 1'000'000);
    metrics.in_flight.subtract();
    if (i == 1000 && ::write(started, "!", 1) != 1) ::_exit(1);
  }
}

TEST(Segment, KilledWorkersLoseNoCountAndLeakNoGauge) {
  const Segment segment = new_segment();
  ASSERT_TRUE(segment.add_upstream("s1").ok());
  UpstreamMetrics& metrics = segment.metrics(0).upstreams[0];
  std::uint64_t before = 0;
  for (int round = 0; round < 100; ++round) {
    int started[2];
    ASSERT_EQ(::pipe2(started, O_CLOEXEC), 0);
    const UniqueFd read_end(started[0]);
    const UniqueFd write_end(started[1]);
    const pid_t pid = fork_counting_worker(segment, 0, write_end.get());
    char note;
    ASSERT_EQ(::read(read_end.get(), &note, 1), 1);
    ::kill(pid, SIGKILL);
    ASSERT_EQ(::waitpid(pid, nullptr, 0), pid);

    EXPECT_LE(metrics.in_flight.get(), 1u);  // the one it was at
    segment.metrics(0).release_gauges(segment.upstream_count());
    EXPECT_EQ(metrics.in_flight.get(), 0u);
    EXPECT_GE(metrics.responses[1].get(), before + 1000);
    before = metrics.responses[1].get();
    std::uint64_t observed = 0;
    for (std::size_t b = 0; b <= kRequestBoundsUs.size(); ++b) {
      observed += metrics.request_duration.bucket(b);
    }
    // At most the one request of each round that was between its two counts.
    EXPECT_LE(before - observed, static_cast<std::uint64_t>(round + 1));
  }
}

TEST(Segment, ReportsOfManyProcessesAreEachSeenOnce) {
  const Segment segment = new_segment();
  std::vector<pid_t> workers;
  for (std::uint32_t w = 0; w < 4; ++w) {
    workers.push_back(::fork());
    if (workers.back() == 0) {
      for (std::uint32_t u = w; u < kMaxUpstreams; u += 4) segment.suspicions().report(u);
      ::_exit(0);
    }
  }
  std::vector<int> seen(kMaxUpstreams, 0);
  const auto collect = [&] { segment.suspicions().collect([&](std::uint32_t u) { ++seen[u]; }); };
  for (const pid_t pid : workers) {
    while (::waitpid(pid, nullptr, WNOHANG) == 0) collect();
  }
  collect();
  EXPECT_EQ(seen, std::vector<int>(kMaxUpstreams, 1));
}

TEST(LatencyHistogram, PutsEachValueUnderTheFirstBoundThatHoldsIt) {
  RequestHistogram histogram{};
  for (const std::uint32_t bound : kRequestBoundsUs) {
    histogram.observe(std::uint64_t{bound} * 1000);
    histogram.observe(std::uint64_t{bound} * 1000 + 1);
  }
  EXPECT_EQ(histogram.bucket(0), 1u);
  for (std::size_t i = 1; i < kRequestBoundsUs.size(); ++i) EXPECT_EQ(histogram.bucket(i), 2u);
  EXPECT_EQ(histogram.bucket(kRequestBoundsUs.size()), 1u);
}

}  // namespace
}  // namespace ringmaster
