// What libFuzzer calls; RINGMASTER_FUZZ_TARGET is the target's function.
#include <cstdint>
#include <cstdio>

#include "tests/fuzz/finding.h"
#include "tests/fuzz/targets.h"

// Freed memory is watched for long enough, and then used again: fresh pages would cost more than
// all the parsing.
extern "C" const char* __asan_default_options() {
  return "quarantine_size_mb=1:thread_local_quarantine_size_kb=256:malloc_context_size=6:"
         "max_malloc_fill_size=0";
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  try {
    ringmaster::fuzz::RINGMASTER_FUZZ_TARGET({reinterpret_cast<const char*>(data), size});
  } catch (const ringmaster::fuzz::Finding& finding) {
    std::fprintf(stderr, "FINDING: %s\n", finding.what());
    __builtin_trap();  // libFuzzer keeps the input of a crash
  }
  return 0;
}
