// Buffers for bytes on their way through, lent from a pool a worker. The pool hands out the buffer
// that was given back last, so while answers are small one cache-warm buffer serves all
// connections, and an idle connection holds none.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

namespace ringmaster {

class BufferPool;

// Bytes [begin, end) are unread, [end, capacity) is room.
struct Buffer {
  BufferPool* pool;
  Buffer* next_free;
  std::uint32_t capacity;
  std::uint32_t begin;
  std::uint32_t end;

  char* data() noexcept { return reinterpret_cast<char*>(this + 1); }
  std::string_view unread() noexcept { return {data() + begin, end - begin}; }
  std::span<char> room() noexcept { return {data() + end, capacity - end}; }
  bool is_empty() const noexcept { return begin == end; }
  void consume(std::size_t n) noexcept { begin += static_cast<std::uint32_t>(n); }
  void commit(std::size_t n) noexcept { end += static_cast<std::uint32_t>(n); }
  void clear() noexcept { begin = end = 0; }
};

struct ReturnToPool {
  void operator()(Buffer* buffer) const noexcept;
};
using BufferLease = std::unique_ptr<Buffer, ReturnToPool>;

class BufferPool {
 public:
  // Buffers of `capacity` bytes, of which at most `kept` lie idle for reuse.
  BufferPool(std::uint32_t capacity, std::size_t kept) noexcept;
  BufferPool(const BufferPool&) = delete;
  BufferPool& operator=(const BufferPool&) = delete;
  ~BufferPool();

  BufferLease lend();
  std::uint32_t capacity() const noexcept { return capacity_; }

 private:
  friend struct ReturnToPool;
  void take_back(Buffer* buffer) noexcept;

  const std::uint32_t capacity_;
  const std::size_t most_kept_;
  std::size_t kept_ = 0;
  Buffer* free_ = nullptr;
};

inline void ReturnToPool::operator()(Buffer* buffer) const noexcept {
  buffer->pool->take_back(buffer);
}

}  // namespace ringmaster
