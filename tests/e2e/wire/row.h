// One case of the wire suite: what a client sends, what the backend must see and says, what the
// client must see. Bytes are exact; where a row's point is not its line ends, "\n" stands for CRLF.
// In braces: {cr} {lf} {nul} for bytes that would be lost to the eye, {ip} for the client's
// address, {backend} for the backend's, and
//
//   {added}  the fields that Ringmaster adds to a request for the authority "h" (added_for() for
//            others), or, in what the client sees, to a response
//   {date} {via}  what differs from run to run
//
// Which fields these are is stated once, in row.cc.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace ringmaster::test {

// What the backend says to one request, step by step.
struct Say {
  enum class When {
    kWhole,   // the request is there to its last byte
    kHead,    // its head is
    kTunnel,  // behind it, in the tunnel, are the bytes `awaited`
    kEnd,     // the proxy has ended its side
    kNow,     // right behind what was said before, but not in the same write
  };
  enum class Then { kNothing, kEnd, kReset };

  std::string bytes;
  When when = When::kWhole;
  Then then = Then::kNothing;  // how the backend leaves the connection
  std::string awaited = {};
};

// What the client sends after its first bytes.
struct Send {
  std::string after;  // once this was received
  std::string bytes;
};

// What is left of a connection when all was said.
enum class Left {
  kOpen,
  kClosed,  // in an orderly way
  kBroken,  // the answer is a 502 that says so, or a message that the client sees is not complete
  kAny,
};

struct Row {
  std::string name;
  const char* rfc;
  std::string in;
  std::vector<std::string> upstream = {};   // the requests that reach the backend, in order
  std::vector<std::vector<Say>> said = {};  // to each of them; kOk where none is given
  std::string out = {};
  Left client = Left::kOpen;
  Left backend = Left::kAny;
  std::vector<Send> later = {};
  bool half_close = false;    // the client ends its side behind its last byte
  bool breaks_off = false;    // a part of the request may reach the backend, never all of it
  bool cut_request = true;    // also sent in two parts, cut at each byte
  bool cut_response = false;  // likewise, by the backend
};

using Rows = std::vector<Row>;

// ---- What rows are made of ----

inline const std::string kGet = "GET / HTTP/1.1\nHost: h\n\n";
inline const std::string kGetUpstream = "GET / HTTP/1.1\nHost: h\n{added}\n";
inline const std::string kOk = "HTTP/1.1 200 OK\nContent-Length: 2\n\nok";
inline const std::string kOkOut = "HTTP/1.1 200 OK\n{added}Content-Length: 2\n\nok";
inline const std::string kOkOutClose =
    "HTTP/1.1 200 OK\n{added}Content-Length: 2\nConnection: close\n\nok";
inline const std::string kOkOut10 =
    "HTTP/1.1 200 OK\n{added}Content-Length: 2\nConnection: keep-alive\n\nok";

// The fields that are added to a request for that authority ("": it names none) that came in that
// version.
std::string added_for(const std::string& host, const std::string& version = "1.1");
// To an answer; to an interim one, and to one that has it, no date.
std::string added_to_answer(const std::string& version = "1.1", bool dated = true);
// What Ringmaster answers itself: the reason's label, as in ringmaster_rejected_total.
std::string refusal(const std::string& label, bool close = true, bool head_only = false);

// A request that is answered by Ringmaster, and the connection closed.
Row refused(std::string name, const char* rfc, std::string in, const char* label = "bad_request");
// A request that reaches the backend as `upstream`, is answered, and leaves everything open.
Row passes(std::string name, const char* rfc, std::string in, std::string upstream);
// The same for "GET / for h" with those field lines.
Row passes_fields(std::string name, const char* rfc, std::string lines, std::string upstream_lines);
// A GET whose backend says `said`, of which the client sees `out`.
Row answered(std::string name, const char* rfc, std::string said, std::string out,
             Left backend = Left::kOpen);
// A GET whose backend's answer is not to be trusted.
Row distrusted(std::string name, const char* rfc, std::string said);

// The bytes that a row's text stands for.
std::string expand(std::string_view text, std::string_view added, const std::string& ip,
                   const std::string& backend);
// What was received, in the words of a row: whatever differs from run to run named, chunked bodies
// as one chunk.
std::string normalised(std::string bytes, const std::string& ip);

// How far a message has come, read strictly and with no code of the product.
struct Extent {
  std::size_t size = 0;  // of the whole message, once `complete`
  bool head_complete = false;
  bool complete = false;
  bool broken = false;
};
Extent extent_of_request(std::string_view bytes);
Extent extent_of_response(std::string_view bytes, bool ended);

}  // namespace ringmaster::test
