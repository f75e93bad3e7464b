// UniqueFd: owns one file descriptor and closes it.
#pragma once

#include <fcntl.h>
#include <unistd.h>

#include <utility>

namespace ringmaster {

class UniqueFd {
 public:
  UniqueFd() noexcept = default;
  explicit UniqueFd(int fd) noexcept : fd_(fd) {}
  UniqueFd(UniqueFd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  UniqueFd& operator=(UniqueFd&& other) noexcept {
    if (this != &other) reset(std::exchange(other.fd_, -1));
    return *this;
  }
  ~UniqueFd() { reset(); }

  int get() const noexcept { return fd_; }
  bool is_open() const noexcept { return fd_ >= 0; }
  // Gives the descriptor away; the caller closes it.
  int release() noexcept { return std::exchange(fd_, -1); }
  void reset(int fd = -1) noexcept {
    if (fd_ >= 0) ::close(fd_);
    fd_ = fd;
  }

 private:
  int fd_ = -1;
};

// Another one for the same file, closed by an exec and never one of the standard three; not open if
// there are none left.
inline UniqueFd duplicate_of(int fd) noexcept {
  return UniqueFd(::fcntl(fd, F_DUPFD_CLOEXEC, 3));
}

// Likewise, but one that survives an exec.
inline UniqueFd duplicate_for_exec(int fd) noexcept {
  return UniqueFd(::fcntl(fd, F_DUPFD, 3));
}

}  // namespace ringmaster
