#include "tests/fuzz/oracle.h"
#include "tests/fuzz/request_path.h"
#include "tests/fuzz/targets.h"

namespace ringmaster::fuzz {

void fuzz_request(std::string_view input) {
  const Setting plain;
  const RequestRun whole = run_requests(input, Pieces::kOne, plain);
  judge_requests(input, whole, plain);
  for (const Pieces cut : {Pieces::kRandom, Pieces::kBytes}) {
    if (cut == Pieces::kBytes && input.size() > kMostBytewise) continue;
    const RequestRun run = run_requests(input, cut, plain);
    judge_requests(input, run, plain);
    demand_same(whole, run);
  }
  const bool toss = (seed_of(input) & 1) != 0;
  for (const Setting& setting :
       {Setting{.peer_is_trusted = true}, Setting{.peer_is_trusted = toss,
                                          .forwarded = true,
                                          .client_ip = toss ? "2001:db8::1" : kClientIp}}) {
    judge_requests(input, run_requests(input, Pieces::kRandom, setting), setting);
  }
}

}  // namespace ringmaster::fuzz
