#include "worker/io/free_list.h"

namespace ringmaster {

// Precondition: none is left. The others of its lot are as if they had been there before.
void* FreeList::allocate() {
#if !defined(__SANITIZE_ADDRESS__)
  Block** last = &first_;
  for (std::size_t i = 1; i < together_; ++i, ++size_) {
    *last = ::new (::operator new(block_bytes_, alignment_)) Block{nullptr};
    last = &(*last)->next;
  }
#endif
  return ::operator new(block_bytes_, alignment_);
}

std::size_t FreeList::release_surplus(bool ends_round) noexcept {
  const bool is_quiet = takes_ <= least_;
  takes_ = 0;
  if (!is_quiet && !ends_round) return 0;
  const std::size_t count = has_surplus() ? std::min(least_, size_ - kept_) : 0;
  release(count);
  least_ = size_;
  return count * block_bytes_;
}

void FreeList::release(std::size_t count) noexcept {
  for (; count != 0; --count, --size_) {
    Block* block = first_;
    first_ = block->next;
    ::operator delete(static_cast<void*>(block), alignment_);
  }
}

}  // namespace ringmaster
