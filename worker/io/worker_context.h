// What every part of a worker works with: the loop, the config, its places in shared memory, its
// pools. Owned by Worker, which outlives all that refers to it.
#pragma once

#include <unistd.h>
#include <uv.h>

#include <algorithm>
#include <cstdint>
#include <memory>
#include <string>

#include "shared/base/clock.h"
#include "shared/base/log.h"
#include "shared/config.h"
#include "shared/control_channel.h"
#include "shared/memory/segment.h"
#include "worker/io/access_log.h"
#include "worker/io/buffer_pool.h"
#include "worker/io/date_cache.h"
#include "worker/io/outbox.h"
#include "worker/io/tcp_stream.h"
#include "worker/io/timer_wheel.h"

namespace ringmaster {

// Room behind the longest request head: the byte that shows that a head is too long, and for the
// fields that forwarding adds.
inline constexpr std::uint32_t kHeadSlack = 1024;
inline constexpr std::uint32_t kLeastBuffer = 16 * 1024;
// For long bodies: the more a read and a write carry, the fewer wake-ups it costs either side.
inline constexpr std::uint32_t kBulkBuffer = 256 * 1024;

struct WorkerContext {
  // From kHandingOver on the listeners are closed, and we end with the last client. Between those
  // two it goes back and forth, as a next master comes and a stop is ordered.
  enum class Stage : std::uint8_t {
    kServing,
    kHandingOver,  // what can wait goes to another worker, and none is told to close
    kEnding,       // a connection ends with the answer to the last request that had come on it
  };

  WorkerContext(uv_loop_t* the_loop, const Config& the_config, const Segment& the_segment,
                std::uint32_t the_slot, std::uint32_t the_generation, int the_report_fd,
                int the_hand_over_out)
      : loop(the_loop),
        config(the_config),
        segment(the_segment),
        generation(the_generation),
        slot_index(the_slot),
        slot(the_segment.slot(the_slot)),
        metrics(the_segment.metrics(the_slot)),
        recorder(the_segment.recorder(the_slot)),
        pid(::getpid()),
        report_fd(the_report_fd),
        hand_over_out(the_hand_over_out),
        buffers(std::max(kLeastBuffer, the_config.server.max_header_bytes) + kHeadSlack, 64),
        bulk_buffers(kBulkBuffer, 4),
        timers(the_loop) {
    const auto id = the_segment.header().bucket_seed.k0 ^ the_segment.header().bucket_seed.k1;
    if (config.log.access != "off") {
      access_log =
          std::make_unique<AccessLog>(config.log.access, metrics.worker.access_log_dropped);
    }
    via_name = fmt::format("ringmaster-{:08x}", static_cast<std::uint32_t>(id ^ id >> 32));
  }

  // Tells the master, through shared memory and its eventfd, that a backend could not be reached.
  void report(std::uint32_t upstream) noexcept {
    if (segment.suspicions().report(upstream)) ring_master();
  }
  void ring_master() const noexcept;

  // Borrowed from the process: set up before the worker, torn down after it.
  uv_loop_t* const loop;
  const Config& config;
  const Segment& segment;
  const std::uint32_t generation;
  const std::uint32_t slot_index;
  WorkerSlot& slot;
  MetricsSlab& metrics;
  FlightRecorder& recorder;
  const std::int32_t pid;
  const int report_fd;      // eventfd, non-blocking
  const int hand_over_out;  // of the HandoverChannel
  // Owned.
  std::string via_name;  // our pseudonym in Via, the same in every worker of this instance
  BufferPool buffers;
  BufferPool bulk_buffers;
  Outbox outbox;
  TimerWheel timers;
  DateCache date;
  std::unique_ptr<AccessLog> access_log;  // null: off
  Stage stage = Stage::kServing;

  // From the monotonic clock to the time of day, for people: looked up a few times a second, so
  // that a request costs no second clock.
  std::uint64_t wall_clock_us(std::uint64_t monotonic_ns) const noexcept {
    return (monotonic_ns + wall_clock_offset_ns_) / 1000;
  }
  void look_at_wall_clock() noexcept {
    wall_clock_offset_ns_ = wall_clock_ns() - ::ringmaster::monotonic_ns();
  }

  // For the master, who takes a worker that gives no sign for one that hangs.
  void beat_now_and_then() noexcept {
    if (outbox.turn().is_time_for_a_sign()) slot.beat();
  }

  bool is_draining() const noexcept { return stage != Stage::kServing; }
  bool hands_over() const noexcept { return stage == Stage::kHandingOver; }
  bool ends_connections() const noexcept { return stage == Stage::kEnding; }

 private:
  std::uint64_t wall_clock_offset_ns_ = wall_clock_ns() - ::ringmaster::monotonic_ns();
};

}  // namespace ringmaster
