#include "worker/proxy/proxy.h"

#include <sys/random.h>

#include <array>
#include <cstdlib>

#include "shared/base/log.h"
#include "worker/proxy/exchange.h"

namespace ringmaster {
namespace {

// So many answers find room in the outbox, and nobody else waits for long: clients that pipeline
// may have the next request there as soon as one is answered.
constexpr int kMostReadAhead = 64;
// Where so many answers have not come yet, others that were asked for later have hardly either.
constexpr int kMostInVain = 8;

RequestIdSource seeded_by_kernel() {
  std::array<std::uint64_t, 2> seed;
  // So few bytes never come short, and without them the segment could not have been made.
  if (::getrandom(seed.data(), sizeof seed, 0) != sizeof seed) std::abort();
  return {seed[0], seed[1]};
}

}  // namespace

Proxy::Proxy(WorkerContext& the_context)
    : context(the_context),
      balancer(the_context),
      admission(the_context),
      retries(the_context),
      upstreams(the_context),
      request_ids(seeded_by_kernel()),
      access_lines(the_context.access_log ? std::make_unique<AccessLineWriter>() : nullptr) {
  context.outbox.set_pauser(*this);
}

void Proxy::on_routes_changed() {
  balancer.on_routes_changed();
  upstreams.close_unusable();
  for (auto next = active.begin(); next != active.end();) {
    Exchange& exchange = *next++;
    const bool down = context.segment.upstream(exchange.upstream_index_).is_given_up();
    if (down) exchange.on_ejected();
  }
}

void Proxy::look_for_clients() {
  for (auto next = active.begin(); next != active.end();) {
    Exchange& exchange = *next++;
    exchange.look_for_client();  // may be its end
  }
}

void Proxy::tell_of_bad_answer(std::uint32_t upstream, AnswerFault fault) {
  if (!bad_answers_.admits(uv_now(context.loop))) return;
  log::warning("an answer of backend {} was refused: {}{}",
               context.segment.upstream(upstream).name(), describe(fault), bad_answers_.note());
}

// In a long turn the answers to its first requests are there long before its end. Read now, what
// they need is still in the caches, and the next requests find their connections idle.
void Proxy::on_pause() {
  int in_vain = 0;
  for (int left = kMostReadAhead; left != 0 && in_vain != kMostInVain && !asked.empty(); --left) {
    Exchange& oldest = asked.front();
    asked.pop_front();
    if (!oldest.read_ahead()) ++in_vain;
  }
}

}  // namespace ringmaster
