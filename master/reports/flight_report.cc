#include "master/reports/flight_report.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>
#include <vector>

#include "shared/base/rfc3339.h"
#include "shared/base/text.h"

namespace ringmaster {
namespace {

using Json = nlohmann::ordered_json;

struct Recorded {
  std::uint32_t slot;
  RequestRecord record;
};

// Numbers of the entries that a slot still has: [first, end).
struct Numbers {
  std::uint64_t first;
  std::uint64_t end;
};
Numbers numbers_of(const FlightRecorder& recorder, std::uint64_t most) {
  const std::uint64_t end = recorder.count();
  return {end - std::min({end, most, std::uint64_t{kRecordedRequests}}), end};
}

// Entries of all slots, at most `most` of each, for which `wanted(slot, record)` holds.
template <class Wanted>
std::vector<Recorded> collect(const Segment& segment, std::uint64_t most, Wanted&& wanted) {
  std::vector<Recorded> found;
  for (std::uint32_t slot = 0; slot < segment.slots_used(); ++slot) {
    const FlightRecorder& recorder = segment.recorder(slot);
    const Numbers numbers = numbers_of(recorder, most);
    for (std::uint64_t number = numbers.first; number != numbers.end; ++number) {
      const auto record = recorder.read(number);
      if (record && wanted(slot, *record)) found.push_back({slot, *record});
    }
  }
  std::stable_sort(found.begin(), found.end(), [](const Recorded& a, const Recorded& b) {
    return a.record.started_us < b.record.started_us;
  });
  return found;
}

// Begun by a worker that is no more: whoever lives ends what it began.
bool has_died(const Segment& segment, std::uint32_t slot, const RequestRecord& record) {
  if (record.outcome != RequestOutcome::kInProgress) return false;
  const WorkerSlot& worker = segment.slot(slot);
  return worker.state() == WorkerState::kFree || worker.pid() != record.pid;
}

// Whatever a client sent, a terminal is shown visible ASCII alone.
std::string ascii_only(std::string_view text) {
  return escaped(text, [](char c) { return c < ' ' || c > '~'; });
}

Json milliseconds(std::uint64_t us, bool is_known) {
  if (!is_known) return nullptr;
  return static_cast<double>(us) / 1000;
}

Json backend_name(const Segment& segment, std::uint32_t upstream) {
  if (upstream >= segment.upstream_count()) return nullptr;
  return std::string(segment.upstream(upstream).name());
}

// Where on its generation's ring the key lies; null once that ring has made room for another.
Json ring_point(const Segment& segment, const RequestRecord& record) {
  if (!record.has(RequestRecord::kHasHash) || !segment.is_laid_out(record.generation)) {
    return nullptr;
  }
  const HashRing ring = segment.ring(record.generation, record.has(RequestRecord::kBackup));
  if (ring.is_empty()) return nullptr;
  return {{"point", ring.locate(record.hash)}, {"points", ring.point_count()}};
}

Json trail(const Segment& segment, const RequestRecord& record) {
  Json steps = Json::array();
  for (std::size_t i = 0; i < record.kept_steps(); ++i) {
    const RequestRecord::Step step = record.step(i);
    const std::size_t what = step.what;
    steps.push_back({{"backend", backend_name(segment, step.upstream)},
                     {"what", what < kTrailStepLabels.size() ? kTrailStepLabels[what] : "?"},
                     {"at_ms", std::uint32_t{step.at_ms}}});
  }
  return steps;
}

template <class Enum, std::size_t kCount>
std::string_view label(const std::array<std::string_view, kCount>& labels, Enum value) {
  const auto index = static_cast<std::size_t>(value);
  return index < kCount ? labels[index] : "?";
}

Json reason(const RequestRecord& record) {
  const bool is_known = static_cast<std::size_t>(record.reason) < kRejectReasonCount;
  if (!record.has_reason() || !is_known) return nullptr;
  const std::string_view fault = describe(record.answer_fault());
  return {{"label", describe(record.reason).label},
          {"text", client_text(record.reason, record.fault())},
          {"answer_fault", fault.empty() ? Json(nullptr) : Json(fault)}};
}

Json describe(const Segment& segment, const Recorded& recorded) {
  const RequestRecord& r = recorded.record;
  const std::string_view line = r.line();
  const std::size_t space = line.find(' ');
  const bool has_target = space != std::string_view::npos;
  const bool has_hash = r.has(RequestRecord::kHasHash);
  const bool is_over = r.outcome != RequestOutcome::kInProgress;
  return {
      {"id", ascii_only(r.id_text())},
      {"id_complete", r.id_bytes <= RequestRecord::kIdBytes},
      {"id_given", r.has(RequestRecord::kTrustedId)},
      {"time", rfc3339_from_us(r.started_us)},
      {"worker", recorded.slot},
      {"pid", r.pid},
      {"generation", r.generation},
      {"died", has_died(segment, recorded.slot, r)},
      {"client", r.client.to_string()},
      {"method", ascii_only(line.substr(0, space))},
      {"target", has_target ? ascii_only(line.substr(space + 1)) : ""},
      {"target_complete", line.size() == r.line_bytes},
      {"outcome", label(kRequestOutcomeLabels, r.outcome)},
      {"reason", reason(r)},
      {"status", r.status == 0 ? Json() : Json(r.status)},
      {"limit", label(kLimitDecisionLabels, r.limit)},
      {"key", has_hash ? Json(label(kRecordedKeyLabels, r.key())) : Json()},
      {"hash", has_hash ? Json(fmt::format("{:016x}", r.hash)) : Json()},
      {"ring", ring_point(segment, r)},
      {"owner", backend_name(segment, r.owner)},
      {"trail", trail(segment, r)},
      {"steps", r.steps},
      {"attempts", r.attempts},
      {"backend", backend_name(segment, r.chosen)},
      {"backup", r.has(RequestRecord::kBackup)},
      {"reused", r.has(RequestRecord::kReused)},
      {"tunnel", r.has(RequestRecord::kTunnel)},
      {"taken_over", r.has(RequestRecord::kTakenOver)},
      {"connect_ms", milliseconds(r.connect_us, r.connect_us != RequestRecord::kNever)},
      {"first_byte_ms", milliseconds(r.first_byte_us, r.first_byte_us != RequestRecord::kNever)},
      {"total_ms", milliseconds(r.total_us, is_over)},
      {"bytes_in", r.bytes_in},
      {"bytes_out", r.bytes_out}};
}

std::string to_json(const Segment& segment, std::vector<Recorded> found, std::size_t last) {
  if (found.size() > last) {
    found.erase(found.begin(), found.end() - static_cast<std::ptrdiff_t>(last));
  }
  Json list = Json::array();
  for (const Recorded& recorded : found) list.push_back(describe(segment, recorded));
  return list.dump(1) + "\n";
}

}  // namespace

std::string render_recorder(const Segment& segment, std::size_t last, bool dead_only) {
  last = std::min(last, kMostReportedRequests);
  if (!dead_only) {
    return to_json(segment, collect(segment, last, [](auto&&...) { return true; }), last);
  }
  auto found = collect(segment, kRecordedRequests, [&](std::uint32_t slot, const auto& record) {
    return has_died(segment, slot, record);
  });
  return to_json(segment, std::move(found), last);
}

std::string render_requests_called(const Segment& segment, std::string_view id) {
  auto found = collect(segment, kRecordedRequests,
                       [&](std::uint32_t, const auto& record) { return record.is_called(id); });
  return found.empty() ? std::string() : to_json(segment, std::move(found), kMostReportedRequests);
}

}  // namespace ringmaster
