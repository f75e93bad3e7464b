// FreeList: blocks of memory of one size, kept for whoever needs the next one, the last given back
// first, so that it is still in the cache. One thread, no locks; after warm-up nothing is
// allocated. What a burst left behind goes back to the allocator once nobody needs it
// (release_surplus(), which Housekeeping calls). ObjectPool and BufferPool own one each.
#pragma once

#include <algorithm>
#include <cstddef>
#include <new>

namespace ringmaster {

class FreeList {
 public:
  // Keeps `kept` blocks for good once they were used, and more for as long as they are needed.
  // Allocates `together` of them at a time, so that small ones lie side by side: scattered among
  // larger ones, each that is still in use would keep the kernel from having a page of those back.
  FreeList(std::size_t block_bytes, std::align_val_t alignment, std::size_t kept,
           std::size_t together = 1) noexcept
      : block_bytes_(block_bytes), alignment_(alignment), kept_(kept), together_(together) {}
  FreeList(const FreeList&) = delete;
  FreeList& operator=(const FreeList&) = delete;
  ~FreeList() { release(size_); }

  void* take() {
    if (first_ == nullptr) return allocate();
    Block* block = first_;
    first_ = block->next;
    least_ = std::min(least_, --size_);
    ++takes_;
    return block;
  }
  void put(void* memory) noexcept {
#if defined(__SANITIZE_ADDRESS__)
    ::operator delete(memory, alignment_);  // so that every use after the end is seen
#else
    first_ = ::new (memory) Block{first_};
    ++size_;
#endif
  }

  std::size_t size() const noexcept {
    return size_;
  }
  bool has_surplus() const noexcept {
    return size_ > kept_;
  }
  // One step of giving back what lay unused, in bytes: all of that in a quiet step, in which fewer
  // blocks were taken than lay unused; else, at a round's end, what the whole round did not need.
  std::size_t release_surplus(bool ends_round) noexcept;

 private:
  struct Block {
    Block* next;
  };
  [[gnu::cold]] void* allocate();
  void release(std::size_t count) noexcept;

  const std::size_t block_bytes_;
  const std::align_val_t alignment_;
  const std::size_t kept_;
  const std::size_t together_;
  Block* first_ = nullptr;
  std::size_t size_ = 0;
  std::size_t least_ = 0;  // of size_, since blocks were last released
  std::size_t takes_ = 0;  // in this step
};

}  // namespace ringmaster
