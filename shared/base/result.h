// Result<T>: a value, or why there is none. For everything that a peer, an operator or the kernel
// can cause (what only a bug can cause ends the process instead).
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <variant>

namespace ringmaster {

// Why something failed, in words for an operator: what was tried, what happened.
struct Error {
  std::string message;
};

template <class T>
class [[nodiscard]] Result {
 public:
  Result(T value) : content_(std::in_place_index<0>, std::move(value)) {}
  Result(Error error) : content_(std::in_place_index<1>, std::move(error)) {}

  bool ok() const noexcept { return content_.index() == 0; }
  explicit operator bool() const noexcept { return ok(); }

  // Precondition of both: ok().
  T& operator*() & { return std::get<0>(content_); }
  const T& operator*() const& { return std::get<0>(content_); }
  T&& operator*() && { return std::get<0>(std::move(content_)); }
  T* operator->() { return &std::get<0>(content_); }
  const T* operator->() const { return &std::get<0>(content_); }

  // Precondition: !ok().
  const std::string& error() const { return std::get<1>(content_).message; }

 private:
  std::variant<T, Error> content_;
};

// That it was done, or why not.
template <>
class [[nodiscard]] Result<void> {
 public:
  Result() = default;
  Result(Error error) : error_(std::move(error)) {}

  bool ok() const noexcept { return !error_; }
  explicit operator bool() const noexcept { return ok(); }
  // Precondition: !ok().
  const std::string& error() const { return error_->message; }

 private:
  std::optional<Error> error_;
};

}  // namespace ringmaster
