// ObjectPool: memory of short-lived objects, kept for the next one of their kind. One thread, one
// pool a type and worker. Owner: the worker; all objects must be gone before it.
#pragma once

#include <algorithm>
#include <cstddef>
#include <new>
#include <utility>

#include "worker/io/free_list.h"

namespace ringmaster {

template <class T>
class ObjectPool {
 public:
  template <class... Args>
  T* create(Args&&... args) {
    return ::new (memory_.take()) T(std::forward<Args>(args)...);
  }
  void destroy(T* object) noexcept {
    object->~T();
    memory_.put(object);
  }

  FreeList& memory() noexcept { return memory_; }

 private:
  static constexpr std::size_t kKept = 256;
  static constexpr std::size_t kTogether = 16;
  FreeList memory_{std::max(sizeof(T), sizeof(void*)),
                   std::align_val_t{std::max(alignof(T), alignof(void*))}, kKept, kTogether};
};

}  // namespace ringmaster
