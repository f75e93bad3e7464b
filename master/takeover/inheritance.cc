#include "master/takeover/inheritance.h"

#include <algorithm>
#include <iterator>

#include "master/systemd/service_store.h"
#include "shared/base/log.h"

namespace ringmaster {
namespace {

// In the place of memory that this build cannot use: all of it that was handed over as text. Where
// that fails the master will try once more, and say why.
void start_anew(Inheritance& inherited, const std::vector<HandedBackend>& backends) {
  auto segment = Segment::create();
  if (!segment) return;
  segment->config_archive().keep(inherited.config);
  furnish(*segment, backends);
  inherited.segment.emplace(*std::move(segment));
}

void adopt_memory(Inheritance& inherited, UniqueFd memory,
                  const std::vector<HandedBackend>& backends) {
  if (!memory.is_open()) return;
  if (inherited.config.empty()) inherited.config = Segment::archived_config(memory.get());
  auto segment = Segment::adopt(std::move(memory));
  if (segment) {
    inherited.segment.emplace(*std::move(segment));
    return;
  }
  log::warning("{}: starting with a fresh one; counters and rate limits start from zero",
               segment.error());
  if (inherited.is_takeover) start_anew(inherited, backends);
  std::move(inherited.workers.begin(), inherited.workers.end(),
            std::back_inserter(inherited.strangers));
  inherited.workers.clear();
}

Inheritance take_over(Handoff handoff) {
  Inheritance inherited;
  inherited.is_takeover = true;
  inherited.listeners = std::move(handoff.listeners);
  inherited.admin = std::move(handoff.admin);
  inherited.control = std::move(handoff.control);
  inherited.report = std::move(handoff.report);
  inherited.handover = {std::move(handoff.hand_over_in), std::move(handoff.hand_over_out)};
  for (HandedWorker& worker : handoff.workers) {
    const bool is_known = worker.slot < kMaxWorkerSlots;
    (is_known ? inherited.workers : inherited.strangers).push_back(std::move(worker));
  }
  inherited.reloads = std::move(handoff.reloads);
  inherited.renews = handoff.renews;
  inherited.calls_orphans = handoff.calls_orphans;
  inherited.config = std::move(handoff.config);
  inherited.failure = std::move(handoff.failure);
  adopt_memory(inherited, std::move(handoff.memory), handoff.backends);
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
  adopt_memory(inherited, std::move(stored.memory), {});
  return inherited;
}

void Inheritance::take_back(std::vector<Listener> clients, std::vector<Listener> for_admin) {
  std::move(clients.begin(), clients.end(), std::back_inserter(listeners));
  std::move(for_admin.begin(), for_admin.end(), std::back_inserter(admin));
}

}  // namespace ringmaster
