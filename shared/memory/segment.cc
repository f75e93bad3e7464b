#include "shared/memory/segment.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <xxhash.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <iterator>
#include <memory>
#include <new>
#include <utility>

#include "shared/base/clock.h"

namespace ringmaster {
namespace {

namespace bip = boost::interprocess;

constexpr std::uint64_t kMagic = 0x524d'5345'474d'4e54;  // "RMSEGMNT"
// Raised when the meaning of some bytes changes and their size does not.
constexpr std::uint64_t kLayoutVersion = 8;
// Tests build a program with another one: it takes ours for a layout that it does not know.
#ifndef RINGMASTER_LAYOUT_SALT
#define RINGMASTER_LAYOUT_SALT 0
#endif

constexpr std::size_t round_up(std::size_t bytes, std::size_t to) {
  return (bytes + to - 1) / to * to;
}
constexpr std::size_t kPage = 4096;
// In every layout, of whatever version: see archived_config().
constexpr std::size_t kConfigArchiveAt = 2 * kPage;
static_assert(sizeof(SegmentHeader) <= kPage && sizeof(GenerationTable) <= kPage);

// The table of contents. Each part starts on a page of its own: no two writers share one by
// accident.
struct Layout {
  std::size_t generations, config_archive, upstreams, suspicions, master, slots, metrics, recorders;
  std::size_t routing[kRoutingAreas], ring[kRoutingAreas], backup_ring[kRoutingAreas];
  std::size_t buckets, total;
};

Layout layout() {
  Layout l{};
  std::size_t at = round_up(sizeof(SegmentHeader), kPage);
  const auto place = [&at](std::size_t bytes) {
    const std::size_t here = at;
    at = round_up(at + bytes, kPage);
    return here;
  };
  l.generations = place(sizeof(GenerationTable));
  l.config_archive = place(sizeof(ConfigArchive));
  l.upstreams = place(sizeof(UpstreamState) * kMaxUpstreams);
  l.suspicions = place(sizeof(SuspicionBoard));
  l.master = place(sizeof(MasterSlab));
  l.slots = place(sizeof(WorkerSlot) * kMaxWorkerSlots);
  l.metrics = place(sizeof(MetricsSlab) * kMaxWorkerSlots);
  l.recorders = place(sizeof(FlightRecorder) * kMaxWorkerSlots);
  for (std::uint32_t i = 0; i < kRoutingAreas; ++i) {
    l.routing[i] = place(sizeof(RoutingTable));
    l.ring[i] = place(HashRing::bytes_for(kMaxRingPoints));
    l.backup_ring[i] = place(HashRing::bytes_for(kMaxRingPoints));
  }
  l.buckets = place(TokenBucketTable::bytes_for(kMaxRateLimitEntries));
  l.total = at;
  return l;
}

const Layout& contents() {
  static const Layout l = layout();
  return l;
}

std::uint64_t layout_digest() {
  const std::uint64_t sizes[] = {kLayoutVersion + RINGMASTER_LAYOUT_SALT,
                                 sizeof(GenerationTable),
                                 sizeof(ConfigArchive),
                                 sizeof(UpstreamState),
                                 sizeof(MasterSlab),
                                 sizeof(WorkerSlot),
                                 sizeof(UpstreamMetrics),
                                 sizeof(WorkerMetrics),
                                 sizeof(RoutingTable),
                                 kRejectReasonCount,
                                 sizeof(FlightRecorder),
                                 contents().total};
  return XXH3_64bits(sizes, sizeof sizes);
}

// What Boost.Interprocess maps: a memfd, which it knows no class for.
struct MemfdHandle {
  int fd;
  bip::mapping_handle_t get_mapping_handle() const noexcept { return {fd, false}; }
};

Error system_error(const char* what) {
  return {std::string("shared memory: ") + what + ": " + std::strerror(errno)};
}

Result<bip::mapped_region> map(int fd) {
  try {
    bip::mapped_region region(MemfdHandle{fd}, bip::read_write, 0, contents().total);
    // A core dump would make every page of it that was never touched: more than a gigabyte.
    ::madvise(region.get_address(), region.get_size(), MADV_DONTDUMP);
    return region;
  } catch (const bip::interprocess_exception& e) {
    return Error{std::string("shared memory: cannot map it: ") + e.what()};
  }
}

}  // namespace

Result<Segment> Segment::create() {
  UniqueFd memfd(::memfd_create("ringmaster", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!memfd.is_open()) return system_error("memfd_create");
  if (::ftruncate(memfd.get(), static_cast<off_t>(contents().total)) != 0) {
    return system_error("cannot size it");
  }
  // No process can shrink it under the others and have them killed by SIGBUS.
  if (::fcntl(memfd.get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0) {
    return system_error("cannot seal it");
  }
  auto region = map(memfd.get());
  if (!region) return Error{region.error()};

  Segment segment(std::move(memfd), *std::move(region));
  auto& header = segment.at<SegmentHeader>(0);
  if (::getrandom(&header.bucket_seed, sizeof header.bucket_seed, 0) !=
      static_cast<ssize_t>(sizeof header.bucket_seed)) {
    return system_error("no random numbers");
  }
  header.layout = layout_digest();
  header.total_bytes = contents().total;
  header.created_at_ns = monotonic_ns();
  header.magic = kMagic;
  return segment;
}

Result<Segment> Segment::adopt(UniqueFd memfd) {
  struct stat status;
  if (::fstat(memfd.get(), &status) != 0) return system_error("fstat");
  if (static_cast<std::size_t>(status.st_size) != contents().total) {
    return Error{"shared memory: its size is not this version's"};
  }
  auto region = map(memfd.get());
  if (!region) return Error{region.error()};
  Segment segment(std::move(memfd), *std::move(region));
  const SegmentHeader& header = segment.header();
  if (header.magic != kMagic || header.layout != layout_digest() ||
      header.total_bytes != contents().total) {
    return Error{"shared memory: its layout is not this version's"};
  }
  if (header.created_at_ns > monotonic_ns()) return Error{"shared memory: from an earlier boot"};
  return segment;
}

std::string Segment::archived_config(int memfd) {
  std::uint64_t magic = 0;
  if (::pread(memfd, &magic, sizeof magic, 0) != sizeof magic || magic != kMagic) return {};
  const auto archive = std::make_unique<ConfigArchive>();
  const ssize_t size = ::pread(memfd, archive.get(), sizeof *archive, kConfigArchiveAt);
  return size == sizeof *archive ? std::string(archive->text()) : std::string();
}

template <class T>
T& Segment::at(std::size_t offset) const noexcept {
  return *std::launder(
      reinterpret_cast<T*>(static_cast<std::byte*>(region_.get_address()) + offset));
}

const SegmentHeader& Segment::header() const noexcept {
  return at<SegmentHeader>(0);
}

GenerationTable& Segment::generations() const noexcept {
  return at<GenerationTable>(contents().generations);
}

UpstreamState& Segment::upstream(std::uint32_t index) const noexcept {
  return at<UpstreamState>(contents().upstreams + index * sizeof(UpstreamState));
}

std::uint32_t Segment::upstream_count() const noexcept {
  // acquire: pairs with the release in add_upstream(); a counted entry is named.
  return generations().upstream_count.load(std::memory_order_acquire);
}

Result<std::uint32_t> Segment::add_upstream(std::string_view name) const {
  const std::uint32_t count = upstream_count();
  if (count == kMaxUpstreams) return recycle_upstream(name);
  upstream(count).claim(name);
  generations().upstream_count.store(count + 1, std::memory_order_release);
  return count;
}

// Its counters go on under another name: a series that has been gone for long begins anew.
Result<std::uint32_t> Segment::recycle_upstream(std::string_view name) const {
  std::uint32_t oldest = kMaxUpstreams;
  std::uint64_t since = ~std::uint64_t{0};
  for (std::uint32_t i = 0; i < kMaxUpstreams; ++i) {
    const std::uint64_t retired = upstream(i).retired_at_ms();
    if (retired == 0 || retired >= since || in_flight(i) != 0) continue;
    const bool routed =
        std::any_of(std::begin(generations().laid_out), std::end(generations().laid_out),
                    [&](const auto& area) {
                      const std::uint32_t generation = area.load(std::memory_order_relaxed);
                      return has_workers(generation) && routing(generation).routes[i].weight != 0;
                    });
    if (routed) continue;
    oldest = i;
    since = retired;
  }
  if (oldest == kMaxUpstreams) return Error{"shared memory: no room for another backend name"};
  for (std::uint32_t slot = 0; slot < slots_used(); ++slot) {
    new (&metrics(slot).upstreams[oldest]) UpstreamMetrics{};
  }
  new (&master().upstreams[oldest]) MasterUpstreamMetrics{};
  upstream(oldest).claim(name);
  return oldest;
}

ConfigArchive& Segment::config_archive() const noexcept {
  return at<ConfigArchive>(contents().config_archive);
}

SuspicionBoard& Segment::suspicions() const noexcept {
  return at<SuspicionBoard>(contents().suspicions);
}

MasterSlab& Segment::master() const noexcept {
  return at<MasterSlab>(contents().master);
}

WorkerSlot& Segment::slot(std::uint32_t index) const noexcept {
  return at<WorkerSlot>(contents().slots + index * sizeof(WorkerSlot));
}

MetricsSlab& Segment::metrics(std::uint32_t slot) const noexcept {
  return at<MetricsSlab>(contents().metrics + slot * sizeof(MetricsSlab));
}

FlightRecorder& Segment::recorder(std::uint32_t slot) const noexcept {
  return at<FlightRecorder>(contents().recorders + slot * sizeof(FlightRecorder));
}

bool Segment::has_workers(std::uint32_t generation) const noexcept {
  if (generation == 0) return false;
  for (std::uint32_t i = 0; i < slots_used(); ++i) {
    if (slot(i).state() != WorkerState::kFree && slot(i).generation() == generation) return true;
  }
  return false;
}

std::uint32_t Segment::next_generation() const noexcept {
  std::uint32_t last = generations().in_force();
  for (std::uint32_t i = 0; i < slots_used(); ++i) {
    if (slot(i).state() != WorkerState::kFree) last = std::max(last, slot(i).generation());
  }
  return last + 1;
}

// relaxed throughout: who reads an area's owner was forked after it was written.
Result<void> Segment::claim_routing(std::uint32_t generation) const {
  for (auto& area : generations().laid_out) {
    const std::uint32_t holder = area.load(std::memory_order_relaxed);
    const bool is_used = holder != 0 && (holder == generations().in_force() || has_workers(holder));
    if (is_used) continue;
    area.store(generation, std::memory_order_relaxed);
    return {};
  }
  return Error{
      "too many earlier configurations still have requests in flight; wait for them to "
      "drain, or lower server.drain_timeout"};
}

bool Segment::is_laid_out(std::uint32_t generation) const noexcept {
  const auto& areas = generations().laid_out;
  return generation != 0 && std::any_of(areas.begin(), areas.end(), [&](const auto& area) {
           return area.load(std::memory_order_relaxed) == generation;
         });
}

std::size_t Segment::routing_area(std::uint32_t generation) const noexcept {
  const auto& areas = generations().laid_out;
  for (std::size_t i = 0; i < areas.size(); ++i) {
    if (areas[i].load(std::memory_order_relaxed) == generation) return i;
  }
  std::abort();  // a generation that was never laid out
}

RoutingTable& Segment::routing(std::uint32_t generation) const noexcept {
  return at<RoutingTable>(contents().routing[routing_area(generation)]);
}

std::byte* Segment::ring_memory(std::uint32_t generation, bool backup) const noexcept {
  const Layout& l = contents();
  const std::size_t area = routing_area(generation);
  return &at<std::byte>(backup ? l.backup_ring[area] : l.ring[area]);
}

HashRing Segment::ring(std::uint32_t generation, bool backup) const noexcept {
  return HashRing(ring_memory(generation, backup));
}

void Segment::populate(std::byte* begin, std::size_t bytes) const noexcept {
  ::madvise(begin, bytes, MADV_POPULATE_WRITE);  // older kernels refuse: they are made as touched
}

TokenBucketTable Segment::buckets(std::uint32_t entries) const noexcept {
  return TokenBucketTable(&at<std::byte>(contents().buckets), entries, header().bucket_seed);
}

std::uint32_t Segment::slots_used() const noexcept {
  // relaxed: a worker's own slot was counted before its fork; one counted late holds nothing yet.
  return generations().slots_used.load(std::memory_order_relaxed);
}

void Segment::use_slot(std::uint32_t index) const noexcept {
  if (index >= slots_used()) generations().slots_used.store(index + 1, std::memory_order_relaxed);
}

// The slabs lie one after the other: found once, then walked.
template <class Count>
std::uint64_t Segment::sum_over_slots(Count&& count) const noexcept {
  const MetricsSlab* const slabs = &metrics(0);
  const std::uint32_t slots = slots_used();
  std::uint64_t sum = 0;
  for (std::uint32_t i = 0; i < slots; ++i) sum += count(slabs[i]);
  return sum;
}

std::uint64_t Segment::in_flight(std::uint32_t upstream) const noexcept {
  return sum_over_slots(
      [upstream](const MetricsSlab& slab) { return slab.upstreams[upstream].in_flight.get(); });
}

std::uint64_t Segment::requests_in_flight() const noexcept {
  return sum_over_slots(
      [](const MetricsSlab& slab) { return slab.worker.requests_in_flight.get(); });
}

std::uint64_t Segment::retries_in_flight() const noexcept {
  return sum_over_slots(
      [](const MetricsSlab& slab) { return slab.worker.retries_in_flight.get(); });
}

}  // namespace ringmaster
