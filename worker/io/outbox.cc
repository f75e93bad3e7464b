#include "worker/io/outbox.h"

#include <utility>

#include "worker/io/tcp_stream.h"

namespace ringmaster {

// More may come meanwhile: a request that waited behind its connection's answer.
void Outbox::send_held() {
  for (std::uint32_t i = 0; i < count_; ++i) {
    Held& held = held_[i];
    if (TcpStream* stream = std::exchange(held.stream, nullptr)) {
      stream->send_held(held.bytes, std::move(held.hold));
    }
  }
  count_ = passed_ = 0;
}

void Outbox::pause() {
  send_held();
  if (!turn_.may_get_long() || pauser_ == nullptr) return;
  pauser_->on_pause();
  send_held();
}

bool Outbox::hold_back(TcpStream& stream, const uv_buf_t& bytes, BufferLease& hold) noexcept {
  if (count_ == kMost) return false;
  held_[count_++] = {&stream, bytes, std::move(hold)};
  return true;
}

void Outbox::take_back(const TcpStream& stream) noexcept {
  for (std::uint32_t i = 0; i < count_; ++i) {
    if (held_[i].stream != &stream) continue;
    held_[i].stream = nullptr;
    held_[i].hold.reset();
  }
}

}  // namespace ringmaster
