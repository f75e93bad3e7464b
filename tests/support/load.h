// Steady GETs from several keep-alive clients while a test does something to the product, and what
// became of them all.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <string>
#include <thread>
#include <vector>

#include "tests/support/client.h"

namespace ringmaster::test {

class Load {
 public:
  struct Outcome {
    std::uint64_t answered = 0;
    std::map<int, std::uint64_t> statuses;
    std::vector<std::string> broken;  // why a request got no answer
    milliseconds slowest{0};

    // All answers were 200, and none is missing.
    bool is_flawless() const {
      return broken.empty() && statuses.size() == 1 && statuses.count(200);
    }
  };

  // Each client asks for /0, /1, … /99, over and over.
  Load(const Endpoint& server, std::size_t clients);
  ~Load();
  // Waits until that many further requests were answered, then ends; false if they never were.
  bool wait_for_more(std::uint64_t answers) const;
  // Lets the requests in flight finish.
  Outcome stop();

 private:
  void run(Outcome& outcome);

  const Endpoint server_;
  std::atomic<bool> stopping_ = false;
  std::atomic<std::uint64_t> answered_ = 0;
  std::vector<Outcome> outcomes_;
  std::vector<std::thread> threads_;
};

void PrintTo(const Load::Outcome& outcome, std::ostream* out);

}  // namespace ringmaster::test
