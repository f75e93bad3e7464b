// What timeouts promise: never early, late by no more than a tick or two, and free to be moved.
#include "worker/io/timer_wheel.h"

#include <gtest/gtest.h>

#include <memory>
#include <vector>

#include "shared/base/event_loop.h"

namespace ringmaster {
namespace {

class Alarm final : public Timer::Owner {
 public:
  Alarm(EventLoop& loop, TimerWheel& wheel) : loop_(loop), timer(wheel, *this) {}
  void on_timeout() override { fired_at.push_back(uv_now(loop_.get())); }

 private:
  EventLoop& loop_;

 public:
  Timer timer;
  std::vector<std::uint64_t> fired_at;
};

struct Fixture {
  EventLoop loop;
  TimerWheel wheel{loop.get()};

  // The wheel sleeps while nobody waits; the test's own timer ends each turn of the loop.
  void run_until(std::uint64_t time) {
    auto end = open_handle<uv_timer_t>(this, uv_timer_init, loop.get());
    uv_timer_start(
        end.get(), [](uv_timer_t*) {}, time - uv_now(loop.get()), 0);
    while (uv_now(loop.get()) < time) {
      uv_run(loop.get(), UV_RUN_ONCE);
      ++turns;
    }
  }

  int turns = 0;
};

TEST(TimerWheel, FiresOnceNeverEarly) {
  Fixture f;
  Alarm alarm(f.loop, f.wheel);
  const std::uint64_t start = uv_now(f.loop.get());
  alarm.timer.arm(std::chrono::milliseconds(50));
  f.run_until(start + 300);
  ASSERT_EQ(alarm.fired_at.size(), 1u);
  EXPECT_GE(alarm.fired_at[0], start + 50);
}

TEST(TimerWheel, ADeadlineMayMoveEitherWay) {
  Fixture f;
  Alarm later(f.loop, f.wheel);
  Alarm sooner(f.loop, f.wheel);
  const std::uint64_t start = uv_now(f.loop.get());
  later.timer.arm(std::chrono::milliseconds(40));
  later.timer.arm(std::chrono::milliseconds(300));
  sooner.timer.arm(std::chrono::milliseconds(60'000));
  sooner.timer.arm(std::chrono::milliseconds(40));
  f.run_until(start + 250);
  EXPECT_TRUE(later.fired_at.empty());
  EXPECT_EQ(sooner.fired_at.size(), 1u);
  f.run_until(start + 700);
  ASSERT_EQ(later.fired_at.size(), 1u);
  EXPECT_GE(later.fired_at[0], start + 300);
}

TEST(TimerWheel, WhatIsDisarmedOrDestroyedStaysSilent) {
  Fixture f;
  Alarm disarmed(f.loop, f.wheel);
  auto destroyed = std::make_unique<Alarm>(f.loop, f.wheel);
  const std::uint64_t start = uv_now(f.loop.get());
  disarmed.timer.arm(std::chrono::milliseconds(20));
  disarmed.timer.disarm();
  destroyed->timer.arm(std::chrono::milliseconds(20));
  destroyed.reset();
  f.run_until(start + 400);
  EXPECT_TRUE(disarmed.fired_at.empty());
}

// The hardest case for a list that is being walked.
class Killer final : public Timer::Owner {
 public:
  Killer(TimerWheel& wheel, std::unique_ptr<Alarm>& victim)
      : timer(wheel, *this), victim_(victim) {}
  void on_timeout() override { victim_.reset(); }
  Timer timer;

 private:
  std::unique_ptr<Alarm>& victim_;
};

TEST(TimerWheel, ATimeOutMayEndOthersOfTheSameMoment) {
  Fixture f;
  auto victim = std::make_unique<Alarm>(f.loop, f.wheel);
  Alarm bystander(f.loop, f.wheel);
  Killer killer(f.wheel, victim);
  const std::uint64_t start = uv_now(f.loop.get());
  bystander.timer.arm(std::chrono::milliseconds(40));
  victim->timer.arm(std::chrono::milliseconds(40));
  killer.timer.arm(std::chrono::milliseconds(40));  // linked last, so first to fire
  f.run_until(start + 300);
  EXPECT_EQ(victim, nullptr);
  EXPECT_EQ(bystander.fired_at.size(), 1u);
}

TEST(TimerWheel, LongTimesTakeMoreThanOneTurn) {
  Fixture f;
  Alarm alarm(f.loop, f.wheel);
  alarm.timer.arm(std::chrono::milliseconds(3'600'000));
  const std::uint64_t start = uv_now(f.loop.get());
  f.run_until(start + 150);
  EXPECT_TRUE(alarm.fired_at.empty());
}

TEST(TimerWheel, LongTimesAreKeptExactlyAllTheSame) {
  Fixture f;
  Alarm alarm(f.loop, f.wheel);
  const std::uint64_t start = uv_now(f.loop.get());
  alarm.timer.arm(std::chrono::milliseconds(2'500));  // far enough to be looked at once before
  f.run_until(start + 2'900);
  ASSERT_EQ(alarm.fired_at.size(), 1u);
  EXPECT_GE(alarm.fired_at[0], start + 2'500);
  EXPECT_LE(alarm.fired_at[0], start + 2'500 + 4 * TimerWheel::kTickMs);
}

// One is looked at when its slot comes up the first time, and one has moved closer after that.
TEST(TimerWheel, ATimeLongerThanARoundOfTheWheelIsKept) {
  Fixture f;
  Alarm alarm(f.loop, f.wheel);
  Alarm moved(f.loop, f.wheel);
  const std::uint64_t start = uv_now(f.loop.get());
  alarm.timer.arm(std::chrono::milliseconds(17'000));
  moved.timer.arm(std::chrono::hours(24));
  f.run_until(start + 16'500);
  EXPECT_TRUE(alarm.fired_at.empty());
  const std::uint64_t now = uv_now(f.loop.get());
  moved.timer.arm(std::chrono::milliseconds(300));
  f.run_until(now + 800);
  ASSERT_EQ(alarm.fired_at.size(), 1u);
  EXPECT_GE(alarm.fired_at[0], start + 17'000);
  ASSERT_EQ(moved.fired_at.size(), 1u);
  EXPECT_GE(moved.fired_at[0], now + 300);
}

// A worker without connections has no timers, and nothing turns its wheel.
TEST(TimerWheel, OneThatStoodStillForLongKeepsTimesAgain) {
  for (const std::uint64_t still_ms : {100u, 16'000u, 17'000u, 100'000u, 3'600'000u}) {
    EventLoop loop;
    loop.get()->time -= still_ms;  // so long ago the wheel is made
    TimerWheel wheel{loop.get()};
    uv_update_time(loop.get());
    Alarm soon(loop, wheel);
    Alarm later(loop, wheel);
    const std::uint64_t start = uv_now(loop.get());
    later.timer.arm(std::chrono::milliseconds(100));
    soon.timer.arm(std::chrono::milliseconds(50));
    auto end = open_handle<uv_timer_t>(&loop, uv_timer_init, loop.get());
    uv_timer_start(
        end.get(), [](uv_timer_t*) {}, 10'000, 0);
    while (later.fired_at.empty() && uv_now(loop.get()) < start + 10'000) {
      uv_run(loop.get(), UV_RUN_ONCE);
    }
    ASSERT_EQ(soon.fired_at.size(), 1u) << still_ms;
    EXPECT_GE(soon.fired_at[0], start + 50);
    ASSERT_EQ(later.fired_at.size(), 1u) << still_ms;
    EXPECT_GE(later.fired_at[0], start + 100);
    EXPECT_LT(later.fired_at[0], start + 10'000);
  }
}

TEST(TimerWheel, ManyThatWaitLongDoNotWakeTheLoop) {
  Fixture f;
  std::vector<std::unique_ptr<Alarm>> alarms;
  for (std::uint64_t i = 0; i < 1000; ++i) {
    alarms.push_back(std::make_unique<Alarm>(f.loop, f.wheel));
    alarms.back()->timer.arm(std::chrono::milliseconds(60'000 + i * 10));
  }
  f.run_until(uv_now(f.loop.get()) + 1'000);
  EXPECT_LE(f.turns, 4);  // one tick of the grid, and the end
}

TEST(TimerWheel, ABusyTimerIsMovedWithoutWakingTheLoop) {
  Fixture f;
  Alarm alarm(f.loop, f.wheel);
  const std::uint64_t start = uv_now(f.loop.get());
  for (int i = 0; i < 10'000; ++i) {
    alarm.timer.arm(std::chrono::milliseconds(10'000));
    alarm.timer.disarm();
    alarm.timer.arm(std::chrono::milliseconds(75'000));
  }
  f.run_until(start + 500);
  EXPECT_LE(f.turns, 4);
  EXPECT_TRUE(alarm.fired_at.empty());
}

}  // namespace
}  // namespace ringmaster
