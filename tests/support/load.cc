#include "tests/support/load.h"

#include <poll.h>

#include <algorithm>
#include <optional>
#include <ostream>

namespace ringmaster::test {

Load::Load(const Endpoint& server, std::size_t clients) : server_(server), outcomes_(clients) {
  for (Outcome& outcome : outcomes_) threads_.emplace_back([this, &outcome] { run(outcome); });
}

Load::~Load() {
  stop();
}

void Load::run(Outcome& outcome) {
  std::optional<Client> client;
  for (int i = 0; !stopping_; ++i) {
    const Stopwatch watch;
    try {
      if (!client) client.emplace(server_);
      const Response response = client->get("/" + std::to_string(i % 100));
      ++outcome.statuses[response.status];
      ++outcome.answered;
      ++answered_;
      if (response.says_close()) client.reset();
    } catch (const std::exception& error) {
      outcome.broken.emplace_back(error.what());
      client.reset();
    }
    outcome.slowest = std::max(outcome.slowest, watch.elapsed());
    ::poll(nullptr, 0, 1);  // a load, not a benchmark
  }
}

bool Load::wait_for_more(std::uint64_t answers) const {
  const std::uint64_t wanted = answered_ + answers;
  return wait_until([&] { return answered_ >= wanted; });
}

Load::Outcome Load::stop() {
  stopping_ = true;
  for (std::thread& thread : threads_) thread.join();
  threads_.clear();
  Outcome total;
  for (const Outcome& one : outcomes_) {
    total.answered += one.answered;
    for (const auto& [status, count] : one.statuses) total.statuses[status] += count;
    total.broken.insert(total.broken.end(), one.broken.begin(), one.broken.end());
    total.slowest = std::max(total.slowest, one.slowest);
  }
  return total;
}

void PrintTo(const Load::Outcome& outcome, std::ostream* out) {
  *out << outcome.answered << " answered in at most " << outcome.slowest.count() << " ms;";
  for (const auto& [status, count] : outcome.statuses) *out << " " << status << ": " << count;
  for (const std::string& why : outcome.broken) *out << "\n  broken: " << why;
}

}  // namespace ringmaster::test
