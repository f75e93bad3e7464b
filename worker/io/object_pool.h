// ObjectPool: memory of short-lived objects, kept for the next one of their kind. One thread, one
// pool a type and worker: after warm-up nothing is allocated. Owner: the worker; all objects must
// be gone before it.
#pragma once

#include <cstddef>
#include <new>
#include <utility>

namespace ringmaster {

#if defined(__SANITIZE_ADDRESS__)
inline constexpr std::size_t kPoolKeeps =
    0;  // so that AddressSanitizer sees every use after the end
#else
inline constexpr std::size_t kPoolKeeps = 256;
#endif

// What the pools of this process have ever freed, in bytes: a worker that sees it stand still again
// after a burst gives the memory back to the kernel.
inline std::size_t pools_freed_bytes = 0;

template <class T>
class ObjectPool {
 public:
  ObjectPool() = default;
  ObjectPool(const ObjectPool&) = delete;
  ObjectPool& operator=(const ObjectPool&) = delete;
  ~ObjectPool() {
    while (free_ != nullptr) ::operator delete(std::exchange(free_, free_->next), kAlignment);
  }

  template <class... Args>
  T* create(Args&&... args) {
    void* memory = free_;
    if (memory != nullptr) {
      free_ = free_->next;
      --kept_;
    } else {
      memory = ::operator new(kSize, kAlignment);
    }
    return ::new (memory) T(std::forward<Args>(args)...);
  }

  void destroy(T* object) noexcept {
    object->~T();
    if (kept_ == kPoolKeeps) {
      ::operator delete(static_cast<void*>(object), kAlignment);
      pools_freed_bytes += kSize;
      return;
    }
    free_ = ::new (static_cast<void*>(object)) Free{free_};
    ++kept_;
  }

 private:
  struct Free {
    Free* next;
  };
  static constexpr std::size_t kSize = sizeof(T) < sizeof(Free) ? sizeof(Free) : sizeof(T);
  static constexpr std::align_val_t kAlignment{alignof(T) < alignof(Free) ? alignof(Free)
                                                                          : alignof(T)};
  Free* free_ = nullptr;
  std::size_t kept_ = 0;
};

}  // namespace ringmaster
