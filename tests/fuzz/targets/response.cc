#include <algorithm>

#include "tests/fuzz/oracle.h"
#include "tests/fuzz/response_path.h"
#include "tests/fuzz/targets.h"

namespace ringmaster::fuzz {

void fuzz_response(std::string_view input) {
  const std::size_t line_end = std::min(input.find('\n'), input.size());
  const std::string_view asked = input.substr(0, line_end);
  const std::string_view from_backend = input.substr(std::min(line_end + 1, input.size()));
  const ResponseRun whole = run_responses(asked, from_backend, Pieces::kOne);
  judge_responses(from_backend, whole);
  for (const Pieces cut : {Pieces::kRandom, Pieces::kBytes}) {
    if (cut == Pieces::kBytes && input.size() > kMostBytewise) continue;
    const ResponseRun run = run_responses(asked, from_backend, cut);
    judge_responses(from_backend, run);
    demand_same(whole, run);
  }
}

}  // namespace ringmaster::fuzz
