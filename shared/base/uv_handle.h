// OwnedHandle: a libuv handle with one owner. libuv keeps a handle until its close callback and
// still delivers cancelled requests after uv_close; so the handle is freed there and forgets its
// owner at once: an owner may die at any time, inside a callback too. The loop must turn once more
// to free the memory.
#pragma once

#include <uv.h>

#include <chrono>
#include <cstdint>
#include <memory>
#include <system_error>
#include <type_traits>

namespace ringmaster {

// `Handle` is a libuv handle, or a struct derived from one that carries along what must live as
// long as it (requests and the bytes they write).
template <class Handle>
struct CloseThenDelete {  // the handle must have been initialised
  static_assert(!std::is_polymorphic_v<Handle>, "libuv's struct must come first");

  void operator()(Handle* handle) const noexcept {
    handle->data = nullptr;  // late callbacks find no owner
    uv_close(reinterpret_cast<uv_handle_t*>(handle),
             [](uv_handle_t* h) { delete reinterpret_cast<Handle*>(h); });
  }
};

template <class Handle>
using OwnedHandle = std::unique_ptr<Handle, CloseThenDelete<Handle>>;

// What cannot be done without the handle, for the log.
constexpr const char* use_of(const uv_poll_t*) noexcept {
  return "cannot watch a descriptor";
}
constexpr const char* use_of(const uv_signal_t*) noexcept {
  return "cannot watch a signal";
}
constexpr const char* use_of(const void*) noexcept {
  return "cannot open a libuv handle";
}

// open_handle<uv_tcp_t>(owner, uv_tcp_init, loop): a handle that libuv's `init` set up and whose
// callbacks find `owner`. Throws std::system_error where `init` refused, which only those can do
// that take a descriptor or make one: these are opened while a process starts.
template <class Handle, class Init, class... Args>
OwnedHandle<Handle> open_handle(void* owner, Init init, uv_loop_t* loop, Args... args) {
  auto handle = std::make_unique<Handle>();
  if (const int error = init(loop, handle.get(), args...); error != 0) {
    throw std::system_error(-error, std::generic_category(), use_of(handle.get()));
  }
  handle->data = owner;
  return OwnedHandle<Handle>(handle.release());
}

// The owner given to open_handle(), or null if it is gone.
template <class Owner, class Handle>
Owner* owner_of(const Handle* handle) noexcept {
  return static_cast<Owner*>(handle->data);
}

template <class Owner>
void call_owner_of(const uv_timer_t* timer, void (Owner::*method)()) noexcept {
  if (auto* owner = owner_of<Owner>(timer)) (owner->*method)();
}

// start_timer<&Owner::on_timer>(timer, after): has it called on the timer's owner, once, or again
// and again with `every`. Owner must be the very class whose `this` open_handle() was given.
template <auto kMethod>
void start_timer(const OwnedHandle<uv_timer_t>& timer, std::chrono::milliseconds after,
                 std::chrono::milliseconds every = {}) noexcept {
  const auto call = [](uv_timer_t* due) noexcept { call_owner_of(due, kMethod); };
  uv_timer_start(timer.get(), call, static_cast<std::uint64_t>(after.count()),
                 static_cast<std::uint64_t>(every.count()));
}

template <class Handle>
uv_stream_t* as_stream(const OwnedHandle<Handle>& handle) noexcept {
  return reinterpret_cast<uv_stream_t*>(handle.get());
}

}  // namespace ringmaster
