// The fuzz targets: each takes any bytes, gives them to one of the product's parsers, and throws a
// Finding if what comes of it is wrong. libFuzzer runs one of them (libfuzzer.cc); the replay runs
// each over its corpus, tests/fuzz/corpus/NAME.
#pragma once

#include <array>
#include <string_view>

namespace ringmaster::fuzz {

// A client's bytes, as they come.
void fuzz_request(std::string_view input);
// A line that says who asked (Asked::from, a letter a request), then a backend's bytes.
void fuzz_response(std::string_view input);
// What a balancer in front of us sends first.
void fuzz_proxy_header(std::string_view input);
// A config file.
void fuzz_config(std::string_view input);
// Bytes of a client of the admin endpoint.
void fuzz_admin_request(std::string_view input);
// How many descriptors come along, then a message from another worker.
void fuzz_handover(std::string_view input);

struct Target {
  std::string_view name;
  void (*run)(std::string_view input);
};

inline constexpr std::array kTargets = {
    Target{"request", fuzz_request},
    Target{"response", fuzz_response},
    Target{"proxy_header", fuzz_proxy_header},
    Target{"config", fuzz_config},
    Target{"admin_request", fuzz_admin_request},
    Target{"handover", fuzz_handover},
};

}  // namespace ringmaster::fuzz
