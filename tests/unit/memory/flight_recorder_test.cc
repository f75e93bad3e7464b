// What the flight recorder promises: the last requests, whole, whoever died when.
#include <gtest/gtest.h>

#include <chrono>
#include <string>

#include "shared/memory/flight_recorder.h"
#include "tests/unit/memory/forked.h"
#include "tests/unit/memory/stepped_process.h"

namespace ringmaster {
namespace {

using test::Shared;
using test::SteppedProcess;

// A record of which every word depends on `n`: a mixture of two is seen.
RequestRecord numbered(std::uint64_t n) {
  std::array<std::uint64_t, sizeof(RequestRecord) / sizeof n> words;
  for (std::size_t i = 0; i < words.size(); ++i) words[i] = n * 1000 + i;
  return std::bit_cast<RequestRecord>(words);
}
bool is_numbered(const RequestRecord& record, std::uint64_t n) {
  const RequestRecord expected = numbered(n);
  return std::memcmp(&record, &expected, sizeof record) == 0;
}

RequestRecord blank() {
  return RequestRecord{};
}

TEST(FlightRecorder, KeepsTheLastOnes) {
  Shared<FlightRecorder> recorder;
  EXPECT_EQ(recorder->count(), 0u);
  EXPECT_FALSE(recorder->read(0));
  constexpr std::uint64_t kAll = kRecordedRequests + 10;
  for (std::uint64_t n = 0; n < kAll; ++n) {
    ASSERT_EQ(recorder->publish(FlightRecorder::kUnpublished, numbered(n)), n);
  }
  EXPECT_EQ(recorder->count(), kAll);
  for (std::uint64_t n = 0; n < 10; ++n) EXPECT_FALSE(recorder->read(n)) << n;
  for (std::uint64_t n = 10; n < kAll; ++n) {
    const auto record = recorder->read(n);
    ASSERT_TRUE(record && is_numbered(*record, n)) << n;
  }
}

TEST(FlightRecorder, CompletesAnEntryInPlaceAnyNumberOfTimes) {
  Shared<FlightRecorder> recorder;
  const std::uint64_t number = recorder->publish(FlightRecorder::kUnpublished, numbered(1));
  for (std::uint64_t n = 2; n < 300; ++n) {
    ASSERT_EQ(recorder->publish(number, numbered(n)), number);
    const auto record = recorder->read(number);
    ASSERT_TRUE(record && is_numbered(*record, n));
  }
  EXPECT_EQ(recorder->count(), 1u);
}

TEST(FlightRecorder, GivesAnotherEntryToWhoeverLostHis) {
  Shared<FlightRecorder> recorder;
  const std::uint64_t old = recorder->publish(FlightRecorder::kUnpublished, numbered(7));
  for (std::uint64_t n = 0; n < kRecordedRequests; ++n) {
    recorder->publish(FlightRecorder::kUnpublished, numbered(100 + n));
  }
  const std::uint64_t now = recorder->publish(old, numbered(8));
  EXPECT_EQ(now, kRecordedRequests + 1);
  EXPECT_TRUE(is_numbered(*recorder->read(now), 8));
  EXPECT_TRUE(is_numbered(*recorder->read(kRecordedRequests), 100 + kRecordedRequests - 1));
}

// Looked at between any two instructions of publish(), as it would be if the worker died there:
// what is read is old, new, or nothing.
TEST(FlightRecorder, IsNeverTornByADeath) {
  if (!SteppedProcess::is_possible()) GTEST_SKIP() << "nobody may trace here";
  Shared<FlightRecorder> recorder;
  const std::uint64_t number = recorder->publish(FlightRecorder::kUnpublished, numbered(1));
  bool was_old = false, was_new = false, was_nothing = false;
  SteppedProcess worker([&] { recorder->publish(number, numbered(2)); });
  do {
    const auto record = recorder->read(number);
    was_nothing |= !record;
    was_old |= record && is_numbered(*record, 1);
    was_new |= record && is_numbered(*record, 2);
    ASSERT_TRUE(!record || is_numbered(*record, 1) || is_numbered(*record, 2));
  } while (worker.step() && !was_new);
  EXPECT_TRUE(was_old && was_nothing && was_new);
}

TEST(FlightRecorder, GoesOnBehindAnEntryThatWasLeftHalfWritten) {
  if (!SteppedProcess::is_possible()) GTEST_SKIP() << "nobody may trace here";
  Shared<FlightRecorder> recorder;
  {
    SteppedProcess worker([&] { recorder->publish(FlightRecorder::kUnpublished, numbered(1)); });
    while (recorder->count() == 0 && worker.step()) {
    }
    worker.step(3);  // and killed
  }
  ASSERT_EQ(recorder->count(), 1u);
  EXPECT_FALSE(recorder->read(0));
  for (std::uint64_t n = 1; n <= kRecordedRequests; ++n) {
    ASSERT_EQ(recorder->publish(FlightRecorder::kUnpublished, numbered(n)), n);
    ASSERT_TRUE(is_numbered(*recorder->read(n), n));
  }
}

TEST(FlightRecorder, IsReadWholeWhileItIsWritten) {
  Shared<FlightRecorder> recorder;
  Shared<std::atomic<bool>> stop;
  recorder->publish(FlightRecorder::kUnpublished, numbered(0));
  const pid_t writer = ::fork();
  if (writer == 0) {
    for (std::uint64_t n = 1; !stop->load(); ++n) {
      recorder->publish(0, numbered(n));
      // Now and then for longer than a reader takes, or none would ever be quick enough.
      for (std::uint64_t wait = n % 64 * 8; wait != 0 && !stop->load(); --wait) continue;
    }
    ::_exit(0);
  }
  std::uint64_t whole = 0;
  // Many times, and on: the writer may have lost its core in the middle of a record.
  const auto patience = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  for (int i = 0; i < 200'000 || (whole == 0 && std::chrono::steady_clock::now() < patience); ++i) {
    const auto record = recorder->read(0);
    if (!record) continue;
    ++whole;
    std::uint64_t n = 0;
    std::memcpy(&n, &*record, sizeof n);
    if (!is_numbered(*record, n / 1000)) {
      ADD_FAILURE() << "torn";
      break;
    }
  }
  stop->store(true);
  ::waitpid(writer, nullptr, 0);
  EXPECT_GT(whole, 0u);
}

TEST(RequestRecord, IsFoundByItsId) {
  for (const std::size_t size : {1u, 32u, 36u, 40u, 41u, 128u}) {
    RequestRecord record = blank();
    std::string id;
    for (std::size_t i = 0; i < size; ++i) id += static_cast<char>('a' + i % 26);
    record.set_id(id);
    EXPECT_TRUE(record.is_called(id)) << size;
    EXPECT_FALSE(record.is_called(id + "a"));
    EXPECT_FALSE(record.is_called(id.substr(1)));
    std::string other = id;
    other.back() = '-';
    EXPECT_FALSE(record.is_called(other)) << size;
    EXPECT_EQ(record.id_text(), id.substr(0, size <= 40 ? size : 32));
  }
}

TEST(RequestRecord, KeepsTheFrontOfALongLine) {
  RequestRecord record = blank();
  record.set_line("GET", "/short");
  EXPECT_EQ(record.line(), "GET /short");
  const std::string target = "/" + std::string(200, 'x');
  record.set_line("DELETE", target);
  EXPECT_EQ(record.line(), ("DELETE " + target).substr(0, RequestRecord::kLineBytes));
  EXPECT_EQ(record.line_bytes, 7 + target.size());
  record.set_line(std::string(100, 'M'), "/");
  EXPECT_EQ(record.line(), std::string(RequestRecord::kLineBytes, 'M'));
}

TEST(RequestRecord, KeepsTheFirstStepsAndTheLast) {
  RequestRecord record = blank();
  record.set_line("GET", "/" + std::string(100, 'x'));
  for (std::uint32_t i = 0; i < 12; ++i) {
    record.add_step(1000 + i, TrailStep::kConnectFailed, i * 1000);
  }
  record.add_step(1023, TrailStep::kEjected, ~std::uint64_t{0});
  EXPECT_EQ(record.steps, 13);
  ASSERT_EQ(record.kept_steps(), RequestRecord::kMostSteps);
  for (std::uint32_t i = 0; i + 1 < RequestRecord::kMostSteps; ++i) {
    EXPECT_EQ(record.step(i).upstream, 1000 + i);
    EXPECT_EQ(record.step(i).at_ms, i);
  }
  const auto last = record.step(RequestRecord::kMostSteps - 1);
  EXPECT_EQ(last.upstream, 1023u);
  EXPECT_EQ(last.what, static_cast<std::uint32_t>(TrailStep::kEjected));
  EXPECT_EQ(last.at_ms, RequestRecord::kLatestStepMs);
  EXPECT_EQ(record.line(), "GET /" + std::string(RequestRecord::kLineBytes - 32 - 5, 'x'));
}

}  // namespace
}  // namespace ringmaster
