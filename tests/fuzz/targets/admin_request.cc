// Requests to the admin endpoint, one after the other on a connection.
#include <string>
#include <vector>

#include "master/admin/admin_parser.h"
#include "tests/fuzz/arrival.h"
#include "tests/fuzz/finding.h"
#include "tests/fuzz/targets.h"

namespace ringmaster::fuzz {
namespace {

constexpr std::size_t kMostAdminHead = 512;

// What became of the bytes, in a form that can be compared.
std::vector<std::string> outcome(std::string_view input, Pieces pieces, bool accepts_post) {
  std::vector<std::string> told;
  AdminParser parser(kMostAdminHead, accepts_post);
  Arrival arrival(input, pieces);
  std::size_t at = 0;
  std::size_t begin = 0;
  for (;;) {
    if (arrival.arrived(at).empty()) {
      if (!arrival.next()) return told;
      continue;
    }
    std::size_t consumed = 0;
    const std::size_t left = arrival.arrived(at).size();
    const AdminParser::Status status = parser.parse(arrival.arrived(at), consumed);
    demand(consumed <= left, "more was read than there is");
    at += consumed;
    demand(at - begin <= kMostAdminHead + 1, "a head without bounds");
    if (status == AdminParser::Status::kIncomplete) {
      demand(consumed == left, "not all was read, though more is wanted");
      continue;
    }
    if (status == AdminParser::Status::kRefused) {
      const AdminResponse& refusal = parser.refusal();
      demand(refusal.status >= 400 && !refusal.body.empty(), "refused without a reason");
      told.push_back("refused: " + std::to_string(refusal.status));
      return told;
    }
    const AdminRequest& request = parser.request();
    demand(!request.path.empty(), "no path");
    demand(request.method == "GET" || (accepts_post && request.method == "POST"), "a method");
    std::string text = request.method + " " + request.path + " ? " + request.query;
    text += " at " + std::to_string(at) + (parser.keep_alive() ? "" : " close");
    for (const auto& [name, value] : request.fields) text += "\n" + name + ": " + value;
    told.push_back(text);
    if (!parser.keep_alive()) return told;
    parser.reset();
    begin = at;
  }
}

}  // namespace

void fuzz_admin_request(std::string_view input) {
  for (const bool accepts_post : {false, true}) {
    const auto whole = outcome(input, Pieces::kOne, accepts_post);
    demand(whole == outcome(input, Pieces::kRandom, accepts_post), "pieces change the outcome");
    if (input.size() > kMostBytewise) continue;
    demand(whole == outcome(input, Pieces::kBytes, accepts_post), "bytes change the outcome");
  }
}

}  // namespace ringmaster::fuzz
