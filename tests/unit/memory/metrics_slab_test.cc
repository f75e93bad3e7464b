// What a worker counts with: cheap enough for every request, and fine enough for the quantiles that
// people read off it.
#include "shared/memory/metrics_slab.h"

#include <gtest/gtest.h>
#include <time.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <limits>
#include <memory>
#include <random>
#include <string>
#include <vector>

namespace ringmaster {
namespace {

// What PromQL's histogram_quantile() makes of a histogram, in milliseconds: linear within a bucket.
double promql_quantile_ms(double q, const RequestHistogram& histogram) {
  std::uint64_t total = 0;
  for (std::size_t i = 0; i <= RequestHistogram::kBounds; ++i) total += histogram.bucket(i);
  const double rank = q * static_cast<double>(total);
  double below = 0;
  for (std::size_t i = 0; i < RequestHistogram::kBounds; ++i) {
    const auto count = static_cast<double>(histogram.bucket(i));
    if (below + count >= rank && count > 0) {
      const double low = i == 0 ? 0 : kRequestBoundsUs[i - 1];
      return (low + (kRequestBoundsUs[i] - low) * (rank - below) / count) / 1000;
    }
    below += count;
  }
  return kRequestBoundsUs.back() / 1000.0;
}

double true_quantile_ms(double q, std::vector<double>& sorted_ms) {
  const auto rank = static_cast<std::size_t>(std::ceil(q * static_cast<double>(sorted_ms.size())));
  return sorted_ms[std::max<std::size_t>(rank, 1) - 1];
}

void expect_within_a_tenth(const std::string& what, std::vector<double> latencies_ms) {
  const auto histogram = std::make_unique<RequestHistogram>();
  for (const double ms : latencies_ms) histogram->observe(static_cast<std::uint64_t>(ms * 1e6));
  std::sort(latencies_ms.begin(), latencies_ms.end());
  for (const double q : {0.5, 0.9, 0.99}) {
    const double truth = true_quantile_ms(q, latencies_ms);
    if (truth < 1 || truth > 1000) continue;
    EXPECT_NEAR(promql_quantile_ms(q, *histogram), truth, truth / 10) << what << ", quantile " << q;
  }
}

TEST(RequestHistogramBounds, StepByATenthAtMostBetweenAMillisecondAndASecond) {
  EXPECT_EQ(kRequestBoundsUs.front(), 500u);
  EXPECT_EQ(kRequestBoundsUs.back(), 30'000'000u);
  for (std::size_t i = 1; i < kRequestBoundsUs.size(); ++i) {
    EXPECT_LT(kRequestBoundsUs[i - 1], kRequestBoundsUs[i]);
    if (kRequestBoundsUs[i - 1] < 1000 || kRequestBoundsUs[i] > 1'000'000) continue;
    EXPECT_LE(kRequestBoundsUs[i], kRequestBoundsUs[i - 1] * 11ull / 10) << kRequestBoundsUs[i];
  }
  for (const std::uint32_t objective : {1'000u, 5'000u, 25'000u, 100'000u, 250'000u, 500'000u}) {
    EXPECT_TRUE(std::binary_search(kRequestBoundsUs.begin(), kRequestBoundsUs.end(), objective));
  }
}

// The worst that can be: all in one bucket, at its edge.
TEST(RequestHistogramBounds, QuantilesOfEqualLatenciesAreWithinATenth) {
  for (const std::uint32_t bound : kRequestBoundsUs) {
    for (const double us : {bound - 1.0, bound + 0.0, bound + 1.0}) {
      expect_within_a_tenth(std::to_string(us) + " us", std::vector<double>(1000, us / 1000));
    }
  }
}

TEST(RequestHistogramBounds, QuantilesOfMixedLatenciesAreWithinATenth) {
  std::mt19937_64 random(1);  // the same latencies in every run
  for (const double median_ms : {1.0, 2.4, 7.0, 19.0, 55.0, 130.0, 400.0}) {
    const std::string at = " around " + std::to_string(median_ms) + " ms";
    std::lognormal_distribution<double> skewed(std::log(median_ms), 0.6);
    std::uniform_real_distribution<double> uniform(median_ms / 2, median_ms * 1.5);
    std::exponential_distribution<double> exponential(std::log(2) / median_ms);
    std::vector<double> a, b, c, d;
    for (int i = 0; i < 20'000; ++i) {
      a.push_back(skewed(random));
      b.push_back(uniform(random));
      c.push_back(exponential(random));
      d.push_back(i % 50 == 0 ? median_ms * 2.3 : median_ms);  // hits and a few misses of a cache
    }
    expect_within_a_tenth("skewed" + at, a);
    expect_within_a_tenth("uniform" + at, b);
    expect_within_a_tenth("exponential" + at, c);
    expect_within_a_tenth("of two kinds" + at, d);
  }
}

double cpu_ns() {
  timespec now{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) * 1e9 + static_cast<double>(now.tv_nsec);
}

// The best of many rounds, in CPU time of this thread: what others do on the machine stays out.
template <class Operation>
double least_ns(Operation operation) {
  constexpr int kTimes = 20'000;
  double least = std::numeric_limits<double>::infinity();
  for (int round = 0; round < 50; ++round) {
    const double start = cpu_ns();
    for (int i = 0; i < kTimes; ++i) operation(i);
    least = std::min(least, (cpu_ns() - start) / kTimes);
  }
  return least;
}

// The budget is 20 ns an increment; a counter takes about one, a histogram a few more for the
// search. The bounds leave room for slower machines, not for a lock or a system call.
TEST(MetricsSlabCost, CountingCostsNanoseconds) {
#if defined(__SANITIZE_ADDRESS__)
  GTEST_SKIP() << "the sanitizers' own checks would be measured";
#endif
  const auto metrics = std::make_unique<UpstreamMetrics>();
  const double counter = least_ns([&](int i) { metrics->responses[i % 4u + 1].add(); });
  const double histogram = least_ns([&](int i) {
    metrics->request_duration.observe(static_cast<std::uint64_t>(i) * 2'654'435'761u % 40'000'000u);
  });
  std::printf("a counter: %.1f ns, a latency: %.1f ns\n", counter, histogram);
  EXPECT_LE(counter, 20);
  EXPECT_LE(histogram, 100);
}

}  // namespace
}  // namespace ringmaster
