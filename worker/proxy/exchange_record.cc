// What the flight recorder is told of the request: who asked, what was decided and why, and how it
// ended; and the line that the access log gets of it. The recorder is told twice as a rule: when
// the request goes to a backend, and before its answer's last byte goes out, so that whoever has
// read the answer finds it recorded.
#include <algorithm>
#include <utility>

#include "worker/proxy/exchange.h"

namespace ringmaster {
namespace {

std::uint32_t recorded_us(std::uint64_t us) noexcept {
  return static_cast<std::uint32_t>(std::min<std::uint64_t>(us, RequestRecord::kNever - 1));
}

// What came of a head that was never complete: method and target, or what stands in their place.
std::string_view first_line(std::string_view bytes) noexcept {
  std::string_view line = bytes.substr(0, bytes.find_first_of("\r\n"));
  for (const std::string_view usual : {" HTTP/1.1", " HTTP/1.0"}) {
    if (line.ends_with(usual)) line.remove_suffix(usual.size());
  }
  return line.substr(0, RequestRecord::kLineBytes);
}

}  // namespace

void Exchange::begin_record() noexcept {
  const WorkerContext& context = proxy_.context;
  record_.started_us = context.wall_clock_us(started_ns_);
  record_.connect_us = record_.first_byte_us = RequestRecord::kNever;
  record_.pid = context.pid;
  record_.generation = context.generation;
  record_.client = client_ip_;
  record_.owner = record_.chosen = RequestRecord::kNoUpstream;
  record_.set_id(id_.text());
  if (phase_ == Phase::kHead) {
    record_.set_line(first_line(client_.input().unread()), {});
  } else {
    record_.set_line(head_.method, head_.target);
  }
}

void Exchange::record_attempt(std::uint32_t upstream, bool reused) noexcept {
  record_.chosen = static_cast<std::uint16_t>(upstream);
  if (record_.attempts < 255) ++record_.attempts;
  record_.clear(RequestRecord::kReused);
  if (reused) record_.set(RequestRecord::kReused);
  record_.connect_us = record_.first_byte_us = RequestRecord::kNever;
  publish_record();
}

void Exchange::record_connect() noexcept {
  record_.connect_us = recorded_us(upstream_->connect_ns() / 1000);
}

void Exchange::record_first_byte() noexcept {
  record_.first_byte_us = recorded_us(age_us());
}

void Exchange::record_failure(RetryCause cause) noexcept {
  constexpr auto kFirst = static_cast<std::size_t>(TrailStep::kConnectFailed);
  static_assert(kFirst + static_cast<std::size_t>(RetryCause::kEjected) ==
                static_cast<std::size_t>(TrailStep::kEjected));
  const auto what = static_cast<TrailStep>(kFirst + static_cast<std::size_t>(cause));
  record_.add_step(upstream_index_, what, age_us());
}

// May be called again: a client that goes away before it took the whole answer changes the outcome.
void Exchange::conclude(RequestOutcome outcome, RejectReason reason) noexcept {
  if (id_.is_empty()) return;  // no request was made of it
  const bool knows_head = phase_ != Phase::kHead;
  record_.outcome = outcome;
  record_.reason = reason;
  if (!record_.has(RequestRecord::kHasHash))
    record_.key_or_fault = static_cast<std::uint8_t>(fault_);
  record_.bytes_in =
      (knows_head ? head_.size : client_.input().unread().size()) + attempt_.received_bytes;
  record_.total_us = age_us();
  publish_record();
}

void Exchange::publish_record() noexcept {
  recorded_as_ = proxy_.context.recorder.publish(recorded_as_, record_);
}

// Once, when all is decided and, as a rule, sent.
void Exchange::log_request() {
  if (!proxy_.access_lines || id_.is_empty() || std::exchange(logged_, true)) return;
  const WorkerContext& context = proxy_.context;
  AccessLine line{.record = record_,
                  .id = id_.text(),
                  .method = {},
                  .target = {},
                  .host = {},
                  .backend = {},
                  .worker = context.slot_index};
  if (has_head_) {
    line.method = head_.method;
    line.target = head_.target;
    line.host = head_.authority;
  } else {  // as much of them as came, and as the record has of it
    const std::string_view first = record_.line();
    const std::size_t space = std::min(first.find(' '), first.size());
    line.method = first.substr(0, space);
    line.target = first.substr(std::min(space + 1, first.size()));
  }
  if (record_.chosen != RequestRecord::kNoUpstream) {
    line.backend = context.segment.upstream(record_.chosen).name();
  }
  context.access_log->write(proxy_.access_lines->write(line));
}

// Its bytes are about to be overwritten by more of the body.
void Exchange::keep_head() {
  if (kept_head_ || !has_head_) return;
  kept_head_ = proxy_.context.buffers.lend();
  const char* const before = std::exchange(head_.bytes, kept_head_->data());
  std::copy_n(before, head_.size, kept_head_->data());
  for (std::string_view* part : {&head_.method, &head_.target, &head_.authority}) {
    if (!part->empty()) *part = {head_.bytes + (part->data() - before), part->size()};
  }
}

}  // namespace ringmaster
