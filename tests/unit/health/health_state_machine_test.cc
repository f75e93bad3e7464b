// The rules of health, without sockets or clock.
#include "master/health/health_state_machine.h"

#include <gtest/gtest.h>

namespace ringmaster {
namespace {

using State = HealthState;
using Cause = HealthCause;

constexpr HealthStateMachine::Rules kRules{.rise = 2, .fall = 3};

HealthStateMachine fresh() {
  return {kRules, State::kUnknown, Cause::kNone, 100};
}

HealthStateMachine up() {
  HealthStateMachine machine = fresh();
  machine.on_probe(Cause::kNone, false, 200);
  return machine;
}

HealthStateMachine down() {
  HealthStateMachine machine = fresh();
  machine.on_probe(Cause::kConnect, false, 200);
  return machine;
}

TEST(HealthStateMachine, FirstSuccessDecidesAlone) {
  HealthStateMachine machine = fresh();
  EXPECT_EQ(machine.state(), State::kUnknown);
  EXPECT_TRUE(machine.on_probe(Cause::kNone, false, 200));
  EXPECT_EQ(machine.state(), State::kUp);
  EXPECT_EQ(machine.since_ms(), 200);
  EXPECT_EQ(machine.grounds(), "first probe");
}

TEST(HealthStateMachine, FirstFailureDecidesAlone) {
  HealthStateMachine machine = fresh();
  EXPECT_TRUE(machine.on_probe(Cause::kStatus, false, 200));
  EXPECT_EQ(machine.state(), State::kDown);
  EXPECT_EQ(machine.cause(), Cause::kStatus);
  EXPECT_EQ(machine.grounds(), "first probe");
}

TEST(HealthStateMachine, AFailureMakesSuspectAndASuccessClears) {
  HealthStateMachine machine = up();
  EXPECT_TRUE(machine.on_probe(Cause::kTimeout, false, 300));
  EXPECT_EQ(machine.state(), State::kSuspect);
  EXPECT_EQ(machine.cause(), Cause::kTimeout);
  EXPECT_EQ(machine.since_ms(), 300);
  EXPECT_TRUE(machine.is_in_doubt());
  EXPECT_TRUE(machine.on_probe(Cause::kNone, false, 400));
  EXPECT_EQ(machine.state(), State::kUp);
  EXPECT_EQ(machine.cause(), Cause::kNone);
  EXPECT_EQ(machine.since_ms(), 200) << "it never was out of use";
  EXPECT_FALSE(machine.is_in_doubt());
}

TEST(HealthStateMachine, OnlyFallFailuresInARowTakeDown) {
  HealthStateMachine machine = up();
  machine.on_probe(Cause::kConnect, false, 300);
  EXPECT_FALSE(machine.on_probe(Cause::kConnect, false, 301));
  machine.on_probe(Cause::kNone, false, 302);
  machine.on_probe(Cause::kConnect, false, 303);
  machine.on_probe(Cause::kConnect, false, 304);
  EXPECT_EQ(machine.state(), State::kSuspect) << "the row was broken";
  EXPECT_TRUE(machine.on_probe(Cause::kConnect, false, 305));
  EXPECT_EQ(machine.state(), State::kDown);
  EXPECT_EQ(machine.grounds(), "3 of 3");
  EXPECT_EQ(machine.since_ms(), 305);
}

TEST(HealthStateMachine, FallOfOneTakesDownWithoutSuspicion) {
  HealthStateMachine machine({.rise = 1, .fall = 1}, State::kUnknown, Cause::kNone, 0);
  machine.on_probe(Cause::kNone, false, 1);
  EXPECT_TRUE(machine.on_probe(Cause::kConnect, false, 2));
  EXPECT_EQ(machine.state(), State::kDown);
  EXPECT_TRUE(machine.on_probe(Cause::kNone, false, 3));
  EXPECT_EQ(machine.state(), State::kUp);
}

TEST(HealthStateMachine, OnlyRiseSuccessesInARowBringUp) {
  HealthStateMachine machine = down();
  EXPECT_FALSE(machine.is_in_doubt());
  EXPECT_FALSE(machine.on_probe(Cause::kNone, false, 300));
  EXPECT_TRUE(machine.is_in_doubt()) << "the second probe shall follow soon";
  EXPECT_FALSE(machine.on_probe(Cause::kConnect, false, 301));
  EXPECT_FALSE(machine.is_in_doubt());
  EXPECT_FALSE(machine.on_probe(Cause::kNone, false, 302));
  EXPECT_TRUE(machine.on_probe(Cause::kNone, false, 303));
  EXPECT_EQ(machine.state(), State::kUp);
  EXPECT_EQ(machine.grounds(), "2 of 2");
  EXPECT_EQ(machine.since_ms(), 303);
}

TEST(HealthStateMachine, AReportMakesSuspectAndOneFailedVerificationTakesDown) {
  HealthStateMachine machine = up();
  EXPECT_TRUE(machine.on_report(300));
  EXPECT_EQ(machine.state(), State::kSuspect);
  EXPECT_FALSE(machine.on_report(301)) << "already known";
  EXPECT_TRUE(machine.on_probe(Cause::kConnect, true, 302));
  EXPECT_EQ(machine.state(), State::kDown);
  EXPECT_EQ(machine.grounds(), "after a worker's report");
}

TEST(HealthStateMachine, AReportThatIsNotConfirmedChangesNothing) {
  HealthStateMachine machine = up();
  machine.on_report(300);
  EXPECT_TRUE(machine.on_probe(Cause::kNone, true, 301));
  EXPECT_EQ(machine.state(), State::kUp);
  EXPECT_EQ(machine.since_ms(), 200);
}

TEST(HealthStateMachine, ReportsDoNotTouchWhatIsDownOrUnknown) {
  HealthStateMachine unknown = fresh();
  EXPECT_FALSE(unknown.on_report(300));
  EXPECT_EQ(unknown.state(), State::kUnknown);
  HealthStateMachine out = down();
  EXPECT_FALSE(out.on_report(300));
  EXPECT_EQ(out.state(), State::kDown);
}

TEST(HealthStateMachine, WhatIsDownShowsItsLatestCause) {
  HealthStateMachine machine = down();
  EXPECT_FALSE(machine.on_probe(Cause::kStatus, false, 300));
  EXPECT_EQ(machine.cause(), Cause::kStatus);
  EXPECT_EQ(machine.since_ms(), 200);
}

TEST(HealthStateMachine, AfterANameIsFoundTheFirstProbeStillDecidesAlone) {
  HealthStateMachine machine = fresh();
  EXPECT_TRUE(machine.on_unresolved(150));
  EXPECT_EQ(machine.state(), State::kDown);
  EXPECT_EQ(machine.cause(), Cause::kResolve);
  EXPECT_FALSE(machine.on_unresolved(160));
  EXPECT_FALSE(machine.is_probed());
  EXPECT_TRUE(machine.on_probe(Cause::kNone, false, 200));
  EXPECT_EQ(machine.state(), State::kUp);
  EXPECT_EQ(machine.grounds(), "first probe");
}

TEST(HealthStateMachine, TakesOverWhatAnEarlierGenerationKnew) {
  HealthStateMachine was_up(kRules, State::kUp, Cause::kNone, 100);
  EXPECT_TRUE(was_up.on_probe(Cause::kConnect, false, 200));
  EXPECT_EQ(was_up.state(), State::kSuspect) << "one failure is not enough";

  // Or a dead backend would outlive reloads that come in quick succession.
  HealthStateMachine was_suspect(kRules, State::kSuspect, Cause::kNone, 100);
  EXPECT_EQ(was_suspect.state(), State::kSuspect);
  EXPECT_TRUE(was_suspect.is_in_doubt());
  EXPECT_TRUE(was_suspect.on_probe(Cause::kTimeout, false, 200));
  EXPECT_EQ(was_suspect.state(), State::kDown);

  HealthStateMachine was_down(kRules, State::kDown, Cause::kTimeout, 100);
  EXPECT_EQ(was_down.cause(), Cause::kTimeout);
  EXPECT_FALSE(was_down.on_probe(Cause::kNone, false, 200)) << "nor one success";
  EXPECT_TRUE(was_down.on_probe(Cause::kNone, false, 201));

  EXPECT_EQ(HealthStateMachine(kRules, State::kDraining, Cause::kNone, 100).state(),
            State::kUnknown);
}

}  // namespace
}  // namespace ringmaster
