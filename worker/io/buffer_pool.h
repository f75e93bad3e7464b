// Buffers for bytes on their way through, lent from a pool a worker. The pool hands out the buffer
// that was given back last, so while answers are small one cache-warm buffer serves all
// connections, and an idle connection holds none.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <new>
#include <span>
#include <string_view>

#include "worker/io/free_list.h"

namespace ringmaster {

class BufferPool;

// Bytes [begin, end) are unread, [end, capacity) is room.
struct Buffer {
  BufferPool* pool;
  std::uint32_t capacity;
  std::uint32_t begin;
  std::uint32_t end;

  char* data() noexcept { return reinterpret_cast<char*>(this + 1); }
  std::string_view unread() noexcept { return {data() + begin, end - begin}; }
  std::span<char> pending() noexcept { return {data() + begin, end - begin}; }  // unread, to change
  std::span<char> room() noexcept { return {data() + end, capacity - end}; }
  bool is_empty() const noexcept { return begin == end; }
  void consume(std::size_t n) noexcept { begin += static_cast<std::uint32_t>(n); }
  void commit(std::size_t n) noexcept { end += static_cast<std::uint32_t>(n); }
  void clear() noexcept { begin = end = 0; }
  // Moves what is unread to the beginning, so that all the room is behind it.
  void compact() noexcept {
    std::memmove(data(), data() + begin, end - begin);
    end -= begin;
    begin = 0;
  }
};

struct ReturnToPool {
  void operator()(Buffer* buffer) const noexcept;
};
using BufferLease = std::unique_ptr<Buffer, ReturnToPool>;

class BufferPool {
 public:
  // Buffers of `capacity` bytes, of which `kept` lie ready for good once they were used.
  BufferPool(std::uint32_t capacity, std::size_t kept) noexcept
      : capacity_(capacity),
        memory_(sizeof(Buffer) + capacity, std::align_val_t{alignof(Buffer)}, kept) {}

  BufferLease lend() { return BufferLease(::new (memory_.take()) Buffer{this, capacity_, 0, 0}); }
  std::uint32_t capacity() const noexcept { return capacity_; }
  FreeList& memory() noexcept { return memory_; }

 private:
  friend struct ReturnToPool;

  const std::uint32_t capacity_;
  FreeList memory_;
};

inline void ReturnToPool::operator()(Buffer* buffer) const noexcept {
  buffer->pool->memory_.put(buffer);
}

}  // namespace ringmaster
