#include "master/takeover/handed_backends.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <string_view>

namespace ringmaster {
namespace {

using Json = nlohmann::json;

// By its label: numbers may mean something else in another version. The first one where it is
// unknown.
template <class Enum, std::size_t kCount>
Enum from_label(const std::array<std::string_view, kCount>& labels, const std::string& label) {
  const auto at = std::find(labels.begin(), labels.end(), label);
  return static_cast<Enum>(at == labels.end() ? 0 : at - labels.begin());
}

HandedBackend from_json(const Json& entry) {
  HandedBackend backend;
  backend.name = entry.at("name").get<std::string>();
  backend.drained = entry.value("drained", false);
  backend.place = entry.value("place", UpstreamState::kNowhere);
  const auto address = SocketAddress::parse(entry.value("address", std::string()));
  if (address) backend.address = *address;
  backend.state = from_label<HealthState>(kHealthStateLabels, entry.value("state", std::string()));
  backend.cause = from_label<HealthCause>(kHealthCauseLabels, entry.value("cause", std::string()));
  backend.keys = std::min(entry.value("keys", kAllKeys), kAllKeys);
  backend.ramp_began_ms = entry.value("ramp_began_ms", std::uint64_t{0});
  backend.since_ms = entry.value("since_ms", std::int64_t{0});
  backend.reason = entry.value("reason", std::string());
  backend.retired_at_ms = entry.value("retired_at_ms", std::uint64_t{0});
  return backend;
}

void restore(UpstreamState& upstream, const HandedBackend& backend) {
  upstream.set_drained(backend.drained);
  upstream.set_retired_at_ms(backend.retired_at_ms);
  upstream.set_ramp_began_ms(backend.ramp_began_ms);
  upstream.explain(backend.since_ms, backend.reason);
  if (!backend.address.is_empty()) upstream.publish_address(backend.address);
  upstream.set_health(backend.state, backend.cause, backend.keys);
  upstream.set_place(backend.place);
}

}  // namespace

std::vector<HandedBackend> describe_backends(const Segment& segment) {
  std::vector<HandedBackend> backends;
  for (std::uint32_t i = 0; i < segment.upstream_count(); ++i) {
    const UpstreamState& upstream = segment.upstream(i);
    backends.push_back({std::string(upstream.name()), upstream.is_drained(), upstream.place(),
                        upstream.address(), upstream.health(), upstream.cause(), upstream.keys(),
                        upstream.ramp_began_ms(), upstream.changed_at_ms(),
                        std::string(upstream.reason()), upstream.retired_at_ms()});
  }
  return backends;
}

void furnish(const Segment& segment, const std::vector<HandedBackend>& backends) {
  for (const HandedBackend& backend : backends) {
    if (backend.name.empty() || backend.name.size() >= UpstreamState::kNameBytes) continue;
    if (const auto at = segment.add_upstream(backend.name)) restore(segment.upstream(*at), backend);
  }
}

Json backends_to_json(const std::vector<HandedBackend>& backends) {
  Json list = Json::array();
  for (const HandedBackend& backend : backends) {
    list.push_back({{"name", backend.name},
                    {"drained", backend.drained},
                    {"place", backend.place},
                    {"address", backend.address.is_empty() ? "" : backend.address.to_string()},
                    {"state", label(backend.state)},
                    {"cause", label(backend.cause)},
                    {"keys", backend.keys},
                    {"ramp_began_ms", backend.ramp_began_ms},
                    {"since_ms", backend.since_ms},
                    {"reason", backend.reason},
                    {"retired_at_ms", backend.retired_at_ms}});
  }
  return list;
}

std::vector<HandedBackend> backends_from_json(const Json& list) {
  std::vector<HandedBackend> backends;
  for (const Json& entry : list) backends.push_back(from_json(entry));
  return backends;
}

}  // namespace ringmaster
