// The access log: lines go from the worker's loop through a ring of bytes to a thread of their own,
// which writes them. A disk that is slow or full, or a pipe that nobody reads, costs lines, never
// time: what finds no room is dropped and counted.
//
// Owner: the worker, if log.access asks for one. All but the writing happens on the loop. A worker
// that is killed loses what the thread has not taken up yet: a few milliseconds' worth.
#pragma once

#include <sys/types.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <thread>

#include "shared/base/unique_fd.h"
#include "shared/memory/metrics_slab.h"

namespace ringmaster {

class AccessLog {
 public:
  // `destination`: "stderr", or a path that is opened for appending and created if need be, and
  // again and again until that succeeds. Each worker opens it anew, so a reload after a rename
  // (logrotate) goes on in a new file.
  AccessLog(std::string destination, Counter& dropped);
  AccessLog(const AccessLog&) = delete;
  AccessLog& operator=(const AccessLog&) = delete;
  ~AccessLog() { finish(); }

  // Whole lines, each with its end. Copies them, and wakes the thread if it sleeps.
  void write(std::string_view lines) noexcept;
  // A few times a second: counts what the thread lost, and tells the operator of its troubles.
  void on_beat();
  // Before the process ends: waits until all is written, but not for long. May be called again.
  void finish();

 private:
  static constexpr std::size_t kRoom = std::size_t{2} << 20;  // a power of two
  static constexpr std::size_t kMostAtOnce = 256 * 1024;

  // On the thread.
  void run() noexcept;
  void open_early() noexcept;
  bool open() noexcept;
  void end_torn_line(off_t size) const noexcept;
  void write_out(std::uint64_t from, std::uint64_t to) noexcept;
  std::uint64_t end_of_batch(std::uint64_t from, std::uint64_t to) const noexcept;
  bool await_writable() noexcept;
  void lose(std::uint64_t from, std::uint64_t to, int error) noexcept;
  void sleep_until_woken() noexcept;
  // On the loop.
  void wake() noexcept;

  // Constant after construction.
  const std::string destination_;
  const std::unique_ptr<char[]> bytes_;
  // Borrowed: of the worker's slot, written on the loop alone.
  Counter& dropped_;
  // On the loop alone.
  int told_error_ = 0;
  std::uint64_t told_at_ms_ = 0;
  std::uint64_t untold_lines_ = 0;  // lost since
  // On the thread alone.
  UniqueFd file_;            // not open: stderr, or to be opened
  bool is_regular_ = false;  // else lines of several workers keep apart only in small writes
  // Between the two.
  alignas(kCacheLine) std::atomic<std::uint64_t> head_{0};  // bytes ever put in; by the loop
  alignas(kCacheLine) std::atomic<std::uint64_t> tail_{0};  // bytes done with; by the thread
  std::atomic<std::uint64_t> lost_lines_{0};  // by the thread (adds) and the loop (takes)
  std::atomic<int> error_{0};                 // why the last write failed; by the thread
  alignas(kCacheLine) std::atomic<std::uint32_t> sleeps_{0};  // by both; the loop wakes the thread
  std::atomic<bool> finishing_{false};                        // by the loop
  std::atomic<bool> finished_{false};                         // by the thread
  std::thread thread_;
};

}  // namespace ringmaster
