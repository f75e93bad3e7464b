// What a proxy takes out of a request and puts in: RFC 9110 sections 7.6 and 10.1, RFC 7239.
#include <gtest/gtest.h>

#include "tests/e2e/wire/rig.h"

namespace ringmaster::test {
namespace {

Row gone(const char* name, const char* rfc, const std::string& lines) {
  return passes_fields(name, rfc, "A: b\n" + lines + "C: d\n", "A: b\nC: d\n");
}

Row stays(const char* name, const char* rfc, const std::string& lines, const std::string& kept) {
  return passes_fields(name, rfc, lines, kept);
}

TEST(Wire, HopByHopFieldsGoNoFurther) {
  Rows rows = {
      gone("Connection", "9110 7.6.1", "Connection: keep-alive\n"),
      gone("what it names", "9110 7.6.1", "X-Hop: 1\nConnection: X-Hop\n"),
      gone("before or behind it", "9110 7.6.1", "Connection: x-hop\nX-HOP: 1\n"),
      gone("every one of that name", "9110 7.6.1", "X: 1\nConnection: X\nx: 2\n"),
      gone("of a list", "9110 7.6.1", "Connection: keep-alive , X,, Y\nX: 1\nY: 2\n"),
      gone("of several lists", "9110 7.6.1", "Connection: X\nX: 1\nConnection: Y\nY: 2\n"),
      gone("a name that is not there", "9110 7.6.1", "Connection: X\n"),
      stays("but not what begins alike", "9110 7.6.1", "Connection: X\nX-Y: 1\n", "X-Y: 1\n"),
      gone("Keep-Alive", "9110 7.6.1", "Keep-Alive: timeout=5\n"),
      gone("TE", "9110 10.1.4", "TE: trailers\nConnection: TE\n"),
      gone("TE unnamed", "9110 10.1.4", "TE: trailers, deflate;q=0.5\n"),
      gone("Proxy-Connection", "9112 C.2.2", "Proxy-Connection: keep-alive\n"),
      gone("Proxy-Authorization", "9110 11.7.2", "Proxy-Authorization: Basic eA==\n"),
      gone("Proxy-Authenticate", "9110 11.7.1", "Proxy-Authenticate: Basic\n"),
      gone("Proxy-anything", "9110 7.6.1", "Proxy-Features: x\n"),
      gone("Trailer without trailers", "9110 6.6.2", "Trailer: X\n"),
      gone("Upgrade unnamed", "9110 7.8", "Upgrade: websocket\n"),
      gone("Upgrade to h2c", "9113 3.1",
           "Upgrade: h2c\nHTTP2-Settings: AAMAAABk\nConnection: Upgrade, HTTP2-Settings\n"),
      gone("among others", "9113 3.1", "Upgrade: websocket, h2c\nConnection: Upgrade\n"),
      gone("in any case", "9113 3.1", "Upgrade: H2C\nConnection: upgrade\n"),
      gone("HTTP2-Settings alone", "9113 3.1", "HTTP2-Settings: AAMAAABk\n"),
      refused("no token", "9110 7.6.1", "GET / HTTP/1.1\nHost: h\nConnection: a b\n\n"),
      refused("a quoted string", "9110 7.6.1",
              "GET / HTTP/1.1\nHost: h\nConnection: \"close\"\n\n"),
      stays("Proxy-Status is end to end", "9209 2", "Proxy-Status: x\n", "Proxy-Status: x\n"),
  };
  for (const char* name : {"Cookie", "Authorization", "Content-Type", "Cache-Control", "Via",
                           "X-Real-IP", "Date", "Content-Encoding"}) {
    rows.push_back(stays(name, "9110 7.6.1",
                         std::string("Connection: ") + name + "\n" + name + ": x\n",
                         std::string(name) + ": x\n"));
  }
  Row close =
      passes("close", "9112 9.6", "GET / HTTP/1.1\nHost: h\nConnection: close\n\n", kGetUpstream);
  close.out = kOkOutClose;
  close.client = Left::kClosed;
  rows.push_back(close);
  close.in = "GET / HTTP/1.1\nHost: h\nConnection: X, CLOSE\nX: 1\n\n";
  close.name = "close in any case among others";
  rows.push_back(close);
  Rig().run(rows);
}

TEST(Wire, ConnectionCannotNameAwayWhatOthersRelyOn) {
  Rig().run({
      stays("Host", "9110 7.6.1", "Connection: Host\n", ""),
      stays("what says who asked", "9110 7.6.1",
            "Connection: X-Forwarded-For, X-Forwarded-Host, X-Forwarded-Proto, Via\n", ""),
      passes("Content-Length", "9110 7.6.1",
             "POST / HTTP/1.1\nHost: h\nConnection: Content-Length\nContent-Length: 5\n\nhello",
             "POST / HTTP/1.1\nHost: h\n{added}Content-Length: 5\n\nhello"),
      passes("Transfer-Encoding", "9110 7.6.1",
             "POST / HTTP/1.1\nHost: h\nConnection: Transfer-Encoding\nTransfer-Encoding: "
             "chunked\n\n5\nhello\n0\n\n",
             "POST / HTTP/1.1\nHost: h\n{added}Transfer-Encoding: chunked\n\n5\nhello\n0\n\n"),
      passes("Max-Forwards", "9110 7.6.1",
             "OPTIONS / HTTP/1.1\nHost: h\nConnection: Max-Forwards\nMax-Forwards: 5\n\n",
             "OPTIONS / HTTP/1.1\nHost: h\n{added}Max-Forwards: 4\n\n"),
      stays("Expect", "9110 7.6.1", "Connection: Expect\nExpect: 100-continue\n",
            "Expect: 100-continue\n"),
  });
}

TEST(Wire, WhoAskedIsNotForAClientToSay) {
  Row old = passes("of the version that came", "9110 7.6.3",
                   "GET / HTTP/1.0\nHost: h\nConnection: keep-alive\n\n",
                   "GET / HTTP/1.1\nHost: h\n" + added_for("h", "1.0") + "\n");
  old.out = kOkOut10;
  Rig().run({
      gone("X-Forwarded-For from anyone", "7239 8.1", "X-Forwarded-For: 10.0.0.1\n"),
      gone("in any case", "7239 8.1", "x-forwarded-for: 10.0.0.1\nX-FORWARDED-FOR: 10.0.0.2\n"),
      gone("X-Forwarded-Proto", "7239 8.1", "X-Forwarded-Proto: https\n"),
      gone("X-Forwarded-Host", "7239 8.1", "X-Forwarded-Host: evil\n"),
      gone("and the others", "7239 8.1",
           "X-Forwarded-Port: 1\nX-Forwarded-Server: a\nX-Forwarded-Prefix: /\n"),
      gone("by another name", "7239 8.1", "X_Forwarded_For: 10.0.0.1\nX_Forwarded-Host: evil\n"),
      gone("Forwarded", "7239 8.1", "Forwarded: for=10.0.0.1\n"),
      stays("Via", "9110 7.6.3", "Via: 1.0 fred, 1.1 p.example.net (x, y)\n",
            "Via: 1.0 fred, 1.1 p.example.net (x, y)\n"),
      old,
  });
}

TEST(Wire, WhoAskedIsForATrustedProxyToSay) {
  const auto trusted = [](const char* name, const std::string& lines, const std::string& kept,
                          const std::string& list, const std::string& rest) {
    return passes(name, "7239 4", "GET / HTTP/1.1\nHost: h\n" + lines + "\n",
                  "GET / HTTP/1.1\nHost: h\n" + kept + "X-Forwarded-For: " + list + "{ip}\n" +
                      rest + "Via: 1.1 {via}\n\n");
  };
  const std::string both = "X-Forwarded-Proto: http\nX-Forwarded-Host: h\n";
  Rig("trusted_proxies = [\"127.0.0.0/8\"]\n")
      .run({
          trusted("nothing", "", "", "", both),
          trusted("one address", "X-Forwarded-For: 10.0.0.1\n", "", "10.0.0.1, ", both),
          trusted("several", "X-Forwarded-For: a, b\nX: y\nX-Forwarded-For: c\n", "X: y\n",
                  "a, b, c, ", both),
          trusted("an empty one", "X-Forwarded-For:\n", "", "", both),
          trusted("all three", "X-Forwarded-Proto: https\nX-Forwarded-Host: o\n",
                  "X-Forwarded-Proto: https\nX-Forwarded-Host: o\n", "", ""),
          trusted("and others", "X-Forwarded-Port: 443\nForwarded: for=x\n",
                  "X-Forwarded-Port: 443\nForwarded: for=x\n", "", both),
          trusted("but no aliases", "X_Forwarded_For: 10.0.0.1\n", "", "", both),
      });
}

// RFC 7239, where it is asked for.
TEST(Wire, ForwardedSaysWhoAskedWhereItIsConfigured) {
  const auto with = [](const char* name, const char* rfc, const std::string& host,
                       const std::string& lines, const std::string& element) {
    return passes(name, rfc, "GET / HTTP/1.1\nHost: " + host + "\n" + lines + "\n",
                  "GET / HTTP/1.1\nHost: " + host + "\nX-Forwarded-For: {ip}\n" +
                      "X-Forwarded-Proto: http\nX-Forwarded-Host: " + host +
                      "\nForwarded: " + element + "\nVia: 1.1 {via}\n\n");
  };
  Rig("forwarded = true\n")
      .run({
          with("one element", "7239 4", "h", "", "for={ip};host=h;proto=http;by=_{via}"),
          with("a port is quoted", "7239 4", "h:80", "",
               "for={ip};host=\"h:80\";proto=http;by=_{via}"),
          with("so is an IPv6 address", "7239 4", "[::1]", "",
               "for={ip};host=\"[::1]\";proto=http;by=_{via}"),
          with("in the place of anyone's", "7239 8.1", "h", "Forwarded: for=x\nforwarded: for=y\n",
               "for={ip};host=h;proto=http;by=_{via}"),
      });
  Rig("forwarded = true\ntrusted_proxies = [\"127.0.0.0/8\"]\n")
      .run({
          with("behind those we trust", "7239 4", "h",
               "Forwarded: for=x, for=y\nforwarded: for=z\n",
               "for=x, for=y, for=z, for={ip};host=h;proto=http;by=_{via}"),
      });
  Row v6 = with("an IPv6 client", "7239 6", "h", "", "");
  v6.in =
      "PROXY TCP6 2001:db8::1 2001:db8::2 1 2\nGET / HTTP/1.1\nHost: h\nForwarded: for={ip}\n\n";
  v6.upstream = {
      "GET / HTTP/1.1\nHost: h\nX-Forwarded-For: 2001:db8::1\nX-Forwarded-Proto: "
      "http\nX-Forwarded-Host: h\nForwarded: "
      "for=\"[2001:db8::1]\";host=h;proto=http;by=_{via}\nVia: 1.1 {via}\n\n"};
  v6.cut_request = false;  // its address is not its own: one at a time
  Rig rig("forwarded = true\nproxy_protocol = true\n", "", "PROXY UNKNOWN\r\n");
  rig.claim("2001:db8::1");
  rig.run({v6});
}

// RFC 9110 section 7.6.2.
TEST(Wire, MaxForwardsIsCountedDownAndAnsweredAtZero) {
  const auto counted = [](const char* name, const std::string& method, const std::string& in,
                          const std::string& out) {
    return passes(name, "9110 7.6.2", method + " / HTTP/1.1\nHost: h\nMax-Forwards: " + in + "\n\n",
                  method + " / HTTP/1.1\nHost: h\n{added}Max-Forwards: " + out + "\n\n");
  };
  const auto invalid = [](const char* name, const std::string& lines) {
    return refused(name, "9110 7.6.2", "OPTIONS / HTTP/1.1\nHost: h\n" + lines + "\n");
  };
  const auto ends_here = [](const char* name, const std::string& in, const std::string& fields,
                            const std::string& body) {
    return Row{.name = name,
               .rfc = "9110 7.6.2",
               .in = in,
               .out = "HTTP/1.1 200 OK\nDate: {date}\n" + fields +
                      "Content-Length: " + std::to_string(body.size()) + "\n\n" + body};
  };
  const std::string allow = "Allow: GET, HEAD, POST, PUT, DELETE, OPTIONS, PATCH, TRACE\n";
  Row trace = ends_here("TRACE is told what came, but no secrets",
                        "TRACE /a HTTP/1.1\nHost: h\nCookie: a=b\nX: y\nAuthorization: z\n"
                        "Max-Forwards: 0\n\n",
                        "Content-Type: message/http\n", "");
  const std::string echo = "TRACE /a HTTP/1.1\nHost: h\nX: y\nMax-Forwards: 0\n\n";
  trace.out = "HTTP/1.1 200 OK\nDate: {date}\nContent-Type: message/http\nContent-Length: " +
              std::to_string(echo.size() + 5) + "\n\n" + echo;
  Row with_content = ends_here(
      "its content is read and dropped",
      "OPTIONS / HTTP/1.1\nHost: h\nMax-Forwards: 0\nContent-Length: 5\n\nhello" + kGet, allow, "");
  with_content.upstream = {kGetUpstream};
  with_content.out += kOkOut;
  Row with_chunks = ends_here("but not chunks: it ends there",
                              "OPTIONS / HTTP/1.1\nHost: h\nMax-Forwards: 0\nTransfer-Encoding: "
                              "chunked\n\n0\n\n" +
                                  kGet,
                              "", "");
  with_chunks.out =
      "HTTP/1.1 200 OK\nDate: {date}\n" + allow + "Content-Length: 0\nConnection: close\n\n";
  with_chunks.client = Left::kClosed;
  Row old = ends_here("HTTP/1.0 is told that it may stay",
                      "OPTIONS / HTTP/1.0\nConnection: keep-alive\nMax-Forwards: 0\n\n", allow, "");
  old.out =
      "HTTP/1.1 200 OK\nDate: {date}\n" + allow + "Content-Length: 0\nConnection: keep-alive\n\n";
  Row close =
      ends_here("and the connection may end with it",
                "OPTIONS * HTTP/1.1\nHost: h\nConnection: close\nMax-Forwards: 0\n\n", "", "");
  close.out =
      "HTTP/1.1 200 OK\nDate: {date}\n" + allow + "Content-Length: 0\nConnection: close\n\n";
  close.client = Left::kClosed;
  Rig().run({
      with_content,
      with_chunks,
      old,
      counted("OPTIONS", "OPTIONS", "5", "4"),
      counted("TRACE", "TRACE", "1", "0"),
      counted("leading zeros", "OPTIONS", "010", "9"),
      counted("more than we can count", "OPTIONS", "99999999999999999999", "2147483646"),
      passes_fields("of no concern to GET", "9110 7.6.2", "Max-Forwards: 0\n", "Max-Forwards: 0\n"),
      ends_here("OPTIONS is told what may be asked",
                "OPTIONS / HTTP/1.1\nHost: h\nMax-Forwards: 0\n\n", allow, ""),
      ends_here("of all of us too", "OPTIONS * HTTP/1.1\nHost: h\nmax-forwards: 00\n\n", allow, ""),
      trace,
      close,
      invalid("no number", "Max-Forwards: x\n"),
      invalid("empty", "Max-Forwards:\n"),
      invalid("negative", "Max-Forwards: -1\n"),
      invalid("with a sign", "Max-Forwards: +1\n"),
      invalid("a list", "Max-Forwards: 1, 1\n"),
      invalid("twice", "Max-Forwards: 1\nMax-Forwards: 1\n"),
  });
}

TEST(Wire, ContinueComesFromTheBackendAndNothingElseIsExpected) {
  const std::string head = "POST / HTTP/1.1\nHost: h\nExpect: 100-continue\nContent-Length: 5\n\n";
  const std::string head_upstream =
      "POST / HTTP/1.1\nHost: h\nExpect: 100-continue\n{added}Content-Length: 5\n\n";
  const std::string go_on = "HTTP/1.1 100 Continue\n" + added_to_answer("1.1", false) + "\n";
  const Row told{
      .name = "100 comes from the backend",
      .rfc = "9110 10.1.1",
      .in = head,
      .upstream = {head_upstream + "hello"},
      .said = {{{.bytes = "HTTP/1.1 100 Continue\n\n", .when = Say::When::kHead}, {.bytes = kOk}}},
      .out = go_on + kOkOut,
      .backend = Left::kOpen,
      .later = {{.after = "100 Continue", .bytes = "hello"}},
      .cut_response = true};
  Row eager = told;
  eager.name = "a client may not wait for it";
  eager.in += "hello";
  eager.later.clear();
  eager.cut_response = false;
  Row never = eager;
  never.name = "and a backend may not say it";
  never.said = {};
  never.out = kOkOut;
  const Row final{
      .name = "a final answer in its place",
      .rfc = "9110 10.1.1",
      .in = head,
      .upstream = {head_upstream},
      .said = {{{.bytes = "HTTP/1.1 403 No\nContent-Length: 2\n\nno", .when = Say::When::kHead}}},
      .out = "HTTP/1.1 403 No\n{added}Content-Length: 2\nConnection: close\n\nno",
      .client = Left::kClosed,
      .backend = Left::kClosed,
      .cut_response = true};
  Row old =
      passes("means nothing in HTTP/1.0", "9110 10.1.1",
             "POST / HTTP/1.0\nHost: h\nExpect: 100-continue\nContent-Length: 5\n\nhello",
             "POST / HTTP/1.1\nHost: h\n" + added_for("h", "1.0") + "Content-Length: 5\n\nhello");
  old.out = kOkOutClose;
  old.client = Left::kClosed;
  const auto unknown = [](const char* name, const std::string& value) {
    return refused(name, "9110 10.1.1",
                   "POST / HTTP/1.1\nHost: h\nExpect: " + value + "\nContent-Length: 5\n\nhello",
                   "expectation_failed");
  };
  Rig().run({
      told,
      eager,
      never,
      final,
      old,
      passes_fields("without a body", "9110 10.1.1", "Expect: 100-Continue\n",
                    "Expect: 100-Continue\n"),
      unknown("another", "200-ok"),
      unknown("another among them", "100-continue, x"),
      unknown("with a value", "100-continue=1"),
      unknown("quoted", "\"100-continue\""),
      unknown("in two lines", "100-continue\nExpect: x"),
  });
}

}  // namespace
}  // namespace ringmaster::test
