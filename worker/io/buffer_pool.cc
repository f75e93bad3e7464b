#include "worker/io/buffer_pool.h"

#include <new>
#include <utility>

#include "worker/io/object_pool.h"

namespace ringmaster {

BufferPool::BufferPool(std::uint32_t capacity, std::size_t kept) noexcept
    : capacity_(capacity), most_kept_(kPoolKeeps == 0 ? 0 : kept) {}

BufferPool::~BufferPool() {
  while (free_ != nullptr) {
    Buffer* next = free_->next_free;
    ::operator delete(free_);
    free_ = next;
  }
}

BufferLease BufferPool::lend() {
  Buffer* buffer = free_;
  if (buffer != nullptr) {
    free_ = buffer->next_free;
    --kept_;
  } else {
    buffer = ::new (::operator new(sizeof(Buffer) + capacity_)) Buffer{};
    buffer->pool = this;
    buffer->capacity = capacity_;
  }
  buffer->clear();
  return BufferLease(buffer);
}

void BufferPool::take_back(Buffer* buffer) noexcept {
  if (kept_ == most_kept_) {
    ::operator delete(buffer);
    pools_freed_bytes += capacity_;
    return;
  }
  buffer->next_free = free_;
  free_ = buffer;
  ++kept_;
}

}  // namespace ringmaster
