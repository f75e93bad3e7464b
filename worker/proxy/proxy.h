// What all exchanges of a worker share: who chooses, admits, retries and lends connections for
// them; and the lists of those that it must reach when something happens that is no event of
// theirs. Owned by Worker, and outlives every exchange. Owns the exchanges' memory; each exchange's
// life is its ClientConnection's to begin and end.
#pragma once

#include <boost/intrusive/list.hpp>
#include <cstdint>
#include <memory>

#include "shared/answer_fault.h"
#include "shared/base/line_limit.h"
#include "worker/http/message_head.h"
#include "worker/http/request_id.h"
#include "worker/io/object_pool.h"
#include "worker/io/outbox.h"
#include "worker/io/worker_context.h"
#include "worker/proxy/access_line.h"
#include "worker/proxy/admission.h"
#include "worker/proxy/balancer.h"
#include "worker/proxy/retry_budget.h"
#include "worker/upstream/upstream_pool.h"

namespace ringmaster {

class Exchange;

// What the proxy's lists hold exchanges by. An exchange that ends leaves them.
using ActiveHook =
    boost::intrusive::list_base_hook<boost::intrusive::tag<struct Active>,
                                     boost::intrusive::link_mode<boost::intrusive::auto_unlink>>;
using AskedHook =
    boost::intrusive::list_base_hook<boost::intrusive::tag<struct Asked>,
                                     boost::intrusive::link_mode<boost::intrusive::auto_unlink>>;
template <class Hook>
using ExchangeList = boost::intrusive::list<Exchange, boost::intrusive::base_hook<Hook>,
                                            boost::intrusive::constant_time_size<false>>;

struct Proxy final : private Outbox::Pauser {
  explicit Proxy(WorkerContext& the_context);

  // Has what a request at `place` will as a rule need of its backend brought near.
  void prefetch_backend(const Balancer::Place& place) const noexcept {
    const std::uint32_t owner = balancer.prefetch_state(place);
    if (owner != HashRing::kNone) upstreams.prefetch(owner);
  }
  // The master changed some backend's state: requests that wait on one that is down are asked again
  // elsewhere.
  void on_routes_changed();
  // Notices clients who have gone where nothing that comes from them is waited for: they have ended
  // their side, or their input is full. Called now and then.
  void look_for_clients();
  // Logs it, now and then.
  void tell_of_bad_answer(std::uint32_t upstream, AnswerFault fault);

  WorkerContext& context;
  Balancer balancer;
  Admission admission;
  RetryBudget retries;
  UpstreamPool upstreams;
  RequestIdSource request_ids;
  const std::unique_ptr<AccessLineWriter> access_lines;  // null: no access log
  ObjectPool<Exchange> exchanges;
  // Of the response that is being dealt with: nobody needs more than that of it afterwards which
  // its exchange notes.
  ResponseHead response;
  ExchangeList<ActiveHook> active;  // those that have a backend
  // Those that asked their backend in a long turn of the loop, the first one first, until they are
  // read ahead, ask anew or end.
  ExchangeList<AskedHook> asked;

 private:
  void on_pause() override;

  log::LineLimit bad_answers_{5, 60'000};
};

}  // namespace ringmaster
