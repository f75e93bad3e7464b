#include "worker/proxy/admission.h"

#include <algorithm>
#include <optional>

#include "worker/http/grammar.h"

namespace ringmaster {
namespace {

// "192.0.2.1", "2001:db8::1" or "[2001:db8::1]"; some proxies add the client's port.
std::optional<IpAddress> address_in(std::string_view member) noexcept {
  if (const auto address = IpAddress::parse(member)) return address;
  const auto with_port = SocketAddress::parse(member);
  return with_port ? std::optional(with_port->ip()) : std::nullopt;
}

bool contains(const std::vector<IpPrefix>& prefixes, const IpAddress& address) noexcept {
  return std::any_of(prefixes.begin(), prefixes.end(),
                     [&](const IpPrefix& prefix) { return prefix.contains(address); });
}

}  // namespace

Admission::Admission(WorkerContext& context) noexcept
    : context_(context),
      buckets_(context.segment.buckets(context.config.rate_limit.table_entries)),
      rate_(BucketRate::of(context.config.rate_limit.requests_per_second,
                           context.config.rate_limit.burst)) {}

bool Admission::is_trusted(const IpAddress& peer) const noexcept {
  return contains(context_.config.server.trusted_proxies, peer);
}

IpAddress Admission::client_of(const RequestHead& head, const IpAddress& peer) const noexcept {
  if (!is_trusted(peer)) return peer;
  IpAddress client = peer;
  // From the end: each trusted proxy vouches for the address that it appended.
  for (std::uint32_t i = head.field_count; i-- > 0;) {
    if (head.fields[i].id != FieldId::kXForwardedFor) continue;
    std::string_view list = head.value(head.fields[i]);
    while (!list.empty()) {
      const auto comma = list.rfind(',');
      const auto member = trim_blanks(comma == list.npos ? list : list.substr(comma + 1));
      list = comma == list.npos ? std::string_view() : list.substr(0, comma);
      if (member.empty()) continue;  // RFC 9110 section 5.6.1.2
      const auto address = address_in(member);
      if (!address) return client;
      client = *address;
      if (!is_trusted(client)) return client;
    }
  }
  return client;
}

Admission::Verdict Admission::ask_limiter(const IpAddress& client, std::uint64_t now_ns) noexcept {
  const RateLimitConfig& limit = context_.config.rate_limit;
  if (limit.requests_per_second == 0) return {LimitDecision::kNotAsked, 0};
  if (is_exempt(client)) return {LimitDecision::kExempt, 0};
  const auto tag = buckets_.tag_of(client, limit.ipv6_prefix);
  const BucketDecision decision = buckets_.take(tag, rate_, now_ns);
  if (decision.overflow) context_.metrics.worker.rate_limit_overflow.add();
  if (decision.admitted) {
    return {decision.overflow ? LimitDecision::kAdmittedByOverflow : LimitDecision::kAdmitted, 0};
  }
  constexpr std::uint64_t kSecond = 1'000'000'000;
  const std::uint64_t seconds = (decision.retry_in_ns + kSecond - 1) / kSecond;
  return {LimitDecision::kRefused, static_cast<std::uint32_t>(std::max<std::uint64_t>(1, seconds))};
}

bool Admission::is_exempt(const IpAddress& client) const noexcept {
  return contains(context_.config.rate_limit.exempt, client);
}

}  // namespace ringmaster
