// Limits, exact to the byte (RFC 9110 sections 4.1 and 5.4, RFC 6585 section 5), and the PROXY
// protocol.
#include <gtest/gtest.h>

#include "tests/e2e/wire/rig.h"

namespace ringmaster::test {
namespace {

// A GET whose head, by its target or by a field, is that long.
Row sized(const char* name, std::size_t size, bool target, const char* label) {
  const std::string fill(size - (target ? 27 : 32), 'x');
  const std::string in = target ? "GET /" + fill + " HTTP/1.1\nHost: h\n\n"
                                : "GET / HTTP/1.1\nHost: h\nX: " + fill + "\n\n";
  const char* const rfc = target ? "9110 4.1" : "6585 5";
  if (label != nullptr) return refused(name, rfc, in, label);
  return passes(name, rfc, in, in.substr(0, in.size() - 1) + "{added}\n");
}

TEST(Wire, AHeadMayBeAsLongAsConfiguredAndNotOneByteMore) {
  Rig("max_header_bytes = 512\n")
      .run({
          sized("a head of the limit", 512, false, nullptr),
          sized("one more byte", 513, false, "header_too_large"),
          sized("many more", 900, false, "header_too_large"),
          sized("a target up to the limit", 512, true, nullptr),
          sized("one more byte of it", 513, true, "header_too_large"),
          sized("a target alone beyond it", 600, true, "target_too_long"),
          refused("a method beyond it", "9112 3",
                  std::string(600, 'M') + " / HTTP/1.1\nHost: h\n\n", "not_implemented"),
          refused("a field name beyond it", "6585 5",
                  "GET / HTTP/1.1\nHost: h\n" + std::string(600, 'n') + ": v\n\n",
                  "header_too_large"),
      });
}

// However short they are.
TEST(Wire, AHeadHasNoMoreThan255Fields) {
  const auto lines = [](int count) {
    std::string all;
    for (int i = 0; i < count; ++i) all += "A: b\n";
    return all;
  };
  Row most = passes_fields("as many as may be", "6585 5", lines(255), lines(255));
  most.cut_request = false;  // its lines are all alike
  Row one_more = refused("one more", "6585 5", "GET / HTTP/1.1\nHost: h\n" + lines(256) + "\n",
                         "header_too_large");
  one_more.cut_request = false;
  Row answer = answered("as many in an answer", "9110 5.4",
                        "HTTP/1.1 200 OK\n" + lines(255) + "Content-Length: 2\n\nok",
                        "HTTP/1.1 200 OK\n" + lines(255) + "{added}Content-Length: 2\n\nok");
  answer.cut_response = false;
  Row longer = distrusted("one more of them", "9110 5.4",
                          "HTTP/1.1 200 OK\n" + lines(256) + "Content-Length: 2\n\nok");
  longer.cut_response = false;
  Rig().run({most, one_more, answer, longer});
}

TEST(Wire, ABodyMayBeAsLongAsConfiguredAndNotOneByteMore) {
  const auto length = [](const char* name, std::size_t size) {
    return passes(name, "9110 15.5.14",
                  "POST / HTTP/1.1\nHost: h\nContent-Length: " + std::to_string(size) + "\n\n" +
                      std::string(size, 'x'),
                  "POST / HTTP/1.1\nHost: h\n{added}Content-Length: " + std::to_string(size) +
                      "\n\n" + std::string(size, 'x'));
  };
  Row too_long = length("a byte more", 11);
  too_long.upstream.clear();
  too_long.out = refusal("body_too_large", /*close=*/false);
  too_long.backend = Left::kAny;
  Row far_too_long =
      refused("far more, unread", "9110 15.5.14",
              "POST / HTTP/1.1\nHost: h\nContent-Length: 1000000\n\n", "body_too_large");
  Row waiting = refused("nor is it asked for", "9110 10.1.1",
                        "POST / HTTP/1.1\nHost: h\nExpect: 100-continue\nContent-Length: 11\n\n",
                        "body_too_large");
  Row chunks = refused("chunks beyond it", "9110 15.5.14",
                       "POST / HTTP/1.1\nHost: h\nTransfer-Encoding: chunked\n\n6\nabcdef\n5\n"
                       "ghijk\n0\n\n",
                       "body_too_large");
  chunks.breaks_off = true;
  Row unended = chunks;
  unended.name = "even before their end";
  unended.in = "POST / HTTP/1.1\nHost: h\nTransfer-Encoding: chunked\n\n6\nabcdef\n5\nghijk\n";
  Rig("max_body_bytes = 10\n")
      .run({
          length("a body of the limit", 10),
          too_long,
          far_too_long,
          waiting,
          passes(
              "chunks of the limit", "9110 15.5.14",
              "POST / HTTP/1.1\nHost: h\nTransfer-Encoding: chunked\n\n6\nabcdef\n4\nghij\n0\n\n",
              "POST / HTTP/1.1\nHost: h\n{added}Transfer-Encoding: "
              "chunked\n\na\nabcdefghij\n0\n\n"),
          chunks,
          unended,
      });
}

TEST(Wire, WithoutAValidProxyHeaderAConnectionEnds) {
  const auto with = [](const char* name, const std::string& header) {
    return passes(name, "9112 2", header + kGet, kGetUpstream);
  };
  const auto without = [](const char* name, const std::string& header) {
    return Row{.name = name, .rfc = "9112 2", .in = header + kGet, .client = Left::kBroken};
  };
  const std::string v2 = "\n\n{nul}\nQUIT{lf}";
  const std::string local = v2 + "\x20{nul}{nul}{nul}";
  Rig("proxy_protocol = true\n", "", "PROXY UNKNOWN\r\n")
      .run({
          with("version 1", "PROXY TCP4 {ip} 192.0.2.9 1234 80\n"),
          with("UNKNOWN", "PROXY UNKNOWN\n"),
          with("UNKNOWN and more", "PROXY UNKNOWN a b c\n"),
          with("version 2, LOCAL", local),
          without("none", ""),
          without("another word", "PROXIED TCP4 {ip} {ip} 1 2\n"),
          without("another family", "PROXY TCP5 {ip} {ip} 1 2\n"),
          without("no port", "PROXY TCP4 {ip} {ip} 1\n"),
          without("a port too big", "PROXY TCP4 {ip} {ip} 1 65536\n"),
          without("no address", "PROXY TCP4 x {ip} 1 2\n"),
          without("an address of the other family", "PROXY TCP6 {ip} {ip} 1 2\n"),
          without("two spaces", "PROXY  TCP4 {ip} {ip} 1 2\n"),
          without("a bare LF", "PROXY TCP4 {ip} {ip} 1 2{lf}"),
          without("a line too long", "PROXY UNKNOWN " + std::string(120, 'x') + "\n"),
          without("version 3", v2 + "\x31{nul}{nul}{nul}"),
          without("an unknown command", v2 + "\x2f{nul}{nul}{nul}"),
          without("too short for its family", v2 + "\x21\x11{nul}\x04"
                                                   "abcd"),
      });
}

}  // namespace
}  // namespace ringmaster::test
