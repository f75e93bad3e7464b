// Who decides whether the product did right by a peer's bytes. The oracle reads them itself with
// its own strict reader, reads what the product made of them likewise, and demands that the two
// tell the same messages: what one side takes for the end of a message, for its body or for its
// fields, the other must too. Anything else is a Finding.
//
// It is strict in one direction: what the product accepted must be valid. What it refused may be
// valid all the same (it has rules of its own), as long as it was not quite ordinary.
#pragma once

#include <string_view>

#include "tests/fuzz/request_path.h"
#include "tests/fuzz/response_path.h"

namespace ringmaster::fuzz {

void judge_requests(std::string_view from_client, const RequestRun& run, const Setting& setting);
void judge_responses(std::string_view from_backend, const ResponseRun& run);

// The same bytes must come to the same end in whatever pieces they arrive.
void demand_same(const RequestRun& a, const RequestRun& b);
void demand_same(const ResponseRun& a, const ResponseRun& b);

}  // namespace ringmaster::fuzz
