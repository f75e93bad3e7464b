// What workers make of the load of all of them together: fair shares and the retry budget. Two
// workers are two contexts over one segment.
#include <gtest/gtest.h>

#include <cmath>

#include "shared/base/event_loop.h"
#include "worker/proxy/in_flight.h"
#include "worker/proxy/load_bound.h"
#include "worker/proxy/retry_budget.h"

namespace ringmaster {
namespace {

class SharedLoad : public testing::Test {
 protected:
  SharedLoad() : segment_(*Segment::create()) {
    for (const char* name : {"s1", "s2", "s3", "s4"}) (void)*segment_.add_upstream(name);
    segment_.use_slot(1);
  }
  WorkerContext context(std::uint32_t slot) {
    return {loop_.get(), config_, segment_, slot, 1, -1, -1};
  }
  static void use_all(LoadBound& bound, std::vector<double> weights) {
    bound.begin_shares();
    for (std::uint32_t i = 0; i < weights.size(); ++i) bound.set_weight(i, weights[i]);
    bound.end_shares();
  }

  EventLoop loop_;
  Config config_;
  Segment segment_;
};

TEST_F(SharedLoad, NoBackendGetsMoreThanItsBoundOverAllWorkers) {
  config_.hash.balance_factor = 1.25;
  WorkerContext contexts[]{context(0), context(1)};
  InFlightCounts counts[]{InFlightCounts(contexts[0]), InFlightCounts(contexts[1])};
  LoadBound bounds[]{LoadBound(contexts[0]), LoadBound(contexts[1])};
  for (int w = 0; w < 2; ++w) {
    for (std::uint32_t i = 0; i < 4; ++i) counts[w].set_in_use(i, true);
    use_all(bounds[w], {1, 1, 1, 1});
  }
  std::vector<InFlight> held;
  for (std::uint64_t n = 1; n <= 200; ++n) {
    const std::uint64_t w = n % 2;
    std::uint32_t chosen = 0;  // everyone wants the first
    while (chosen < 4 && !bounds[w].has_room(chosen)) ++chosen;
    ASSERT_LT(chosen, 4u) << "all together have places for all";
    held.push_back(counts[w].count(chosen));
    const auto most = static_cast<std::uint64_t>(std::ceil(1.25 * static_cast<double>(n) / 4));
    ASSERT_LE(segment_.in_flight(chosen), most) << "of " << n;
  }
  EXPECT_EQ(segment_.requests_in_flight(), 200u);
  held.clear();
  EXPECT_EQ(segment_.requests_in_flight(), 0u);
}

TEST_F(SharedLoad, AFairShareGoesByWeight) {
  config_.hash.balance_factor = 1.0;
  WorkerContext worker = context(0);
  InFlightCounts counts(worker);
  LoadBound bound(worker);
  for (std::uint32_t i = 0; i < 2; ++i) counts.set_in_use(i, true);
  use_all(bound, {3, 1, 0, 0});
  std::vector<InFlight> held;
  for (int i = 0; i < 40; ++i) held.push_back(counts.count(bound.has_room(0) ? 0 : 1));
  EXPECT_EQ(segment_.in_flight(0), 30u);
  EXPECT_EQ(segment_.in_flight(1), 10u);
  EXPECT_TRUE(bound.has_room(2)) << "who is not in use is not bounded";
}

TEST_F(SharedLoad, WhatIsInFlightAtABackendOutOfUseCountsForNothing) {
  WorkerContext worker = context(0);
  InFlightCounts counts(worker);
  counts.set_in_use(0, true);
  counts.set_in_use(1, true);
  std::vector<InFlight> held;
  for (int i = 0; i < 5; ++i) held.push_back(counts.count(0));
  held.push_back(counts.count(1));
  counts.set_in_use(0, false);
  EXPECT_EQ(segment_.requests_in_flight(), 1u);
  held.pop_back();
  held.pop_back();
  EXPECT_EQ(segment_.requests_in_flight(), 0u);
  counts.set_in_use(0, true);
  EXPECT_EQ(segment_.requests_in_flight(), 4u);
  held.clear();
  EXPECT_EQ(segment_.requests_in_flight(), 0u);
}

TEST_F(SharedLoad, RetriesAreBoundedOverAllWorkersAndGivenBack) {
  config_.upstream.retry_budget = 0.2;
  WorkerContext contexts[]{context(0), context(1)};
  RetryBudget budgets[]{RetryBudget(contexts[0]), RetryBudget(contexts[1])};
  std::vector<RetryPermit> permits;
  const auto ask_often = [&] {
    for (int i = 0; i < 40; ++i) {
      if (RetryPermit permit = budgets[i % 2].ask()) permits.push_back(std::move(permit));
    }
    return permits.size();
  };
  EXPECT_EQ(ask_often(), RetryBudget::kLeast) << "whatever the load";
  contexts[0].metrics.worker.requests_in_flight.set(30);
  contexts[1].metrics.worker.requests_in_flight.set(20);
  EXPECT_EQ(ask_often(), 10u);
  EXPECT_EQ(segment_.retries_in_flight(), 10u);
  permits.resize(4);
  EXPECT_EQ(ask_often(), 10u);

  // A worker that dies takes no part of the budget along.
  const std::uint64_t left = contexts[0].metrics.worker.retries_in_flight.get();
  ASSERT_LT(left, 10u);
  contexts[1].metrics.release_gauges(segment_.upstream_count());
  EXPECT_EQ(segment_.retries_in_flight(), left);
}

}  // namespace
}  // namespace ringmaster
