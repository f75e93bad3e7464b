#include "tests/fuzz/oracle.h"
#include "tests/fuzz/request_path.h"
#include "tests/fuzz/targets.h"

namespace ringmaster::fuzz {

void fuzz_request(std::string_view input) {
  const RequestRun whole = run_requests(input, Pieces::kOne, false);
  judge_requests(input, whole, false);
  for (const Pieces cut : {Pieces::kRandom, Pieces::kBytes}) {
    if (cut == Pieces::kBytes && input.size() > kMostBytewise) continue;
    const RequestRun run = run_requests(input, cut, false);
    judge_requests(input, run, false);
    demand_same(whole, run);
  }
  judge_requests(input, run_requests(input, Pieces::kRandom, true), true);
}

}  // namespace ringmaster::fuzz
