#include "master/takeover/inheritance.h"

#include <algorithm>
#include <iterator>

#include "master/systemd/service_store.h"
#include "shared/base/log.h"

namespace ringmaster {
namespace {

// In the place of memory that this build cannot use: all of it that was handed over as text. Where
// that fails the master will try once more, and say why.
void start_anew(Inheritance& inherited) {
  auto segment = Segment::create();
  if (!segment) return;
  segment->config_archive().keep(inherited.config);
  furnish(*segment, inherited.backends);
  inherited.segment.emplace(*std::move(segment));
}

void adopt_memory(Inheritance& inherited) {
  if (!inherited.memory.is_open()) return;
  if (inherited.config.empty()) inherited.config = Segment::archived_config(inherited.memory.get());
  auto segment = Segment::adopt(std::move(inherited.memory));
  if (segment) {
    inherited.segment.emplace(*std::move(segment));
    return;
  }
  log::warning("{}: starting with a fresh one; counters and rate limits start from zero",
               segment.error());
  if (inherited.is_takeover) start_anew(inherited);
  std::move(inherited.workers.begin(), inherited.workers.end(),
            std::back_inserter(inherited.strangers));
  inherited.workers.clear();
}

Inheritance take_over(Handoff handoff) {
  Inheritance inherited{std::move(handoff), /*is_takeover=*/true};
  const auto unknown = std::stable_partition(
      inherited.workers.begin(), inherited.workers.end(),
      [](const HandedWorker& worker) { return worker.slot < kMaxWorkerSlots; });
  std::move(unknown, inherited.workers.end(), std::back_inserter(inherited.strangers));
  inherited.workers.erase(unknown, inherited.workers.end());
  adopt_memory(inherited);
  return inherited;
}

}  // namespace

Inheritance find_inheritance() {
  auto handoff = read_handoff();
  if (handoff && *handoff) return take_over(**std::move(handoff));
  if (!handoff) log::error("{}", handoff.error());

  Inheritance inherited;
  StoredDescriptors stored = take_from_systemd();
  inherited.listeners = std::move(stored.listeners);
  if (stored.handover.in.is_open() && stored.handover.out.is_open()) {
    inherited.handover = std::move(stored.handover);
  }
  inherited.memory = std::move(stored.memory);
  adopt_memory(inherited);
  return inherited;
}

void Inheritance::take_back(std::vector<Listener> clients, std::vector<Listener> for_admin) {
  std::move(clients.begin(), clients.end(), std::back_inserter(listeners));
  std::move(for_admin.begin(), for_admin.end(), std::back_inserter(admin));
}

}  // namespace ringmaster
