// Connections: how long they live, what follows what on them (RFC 9112 section 9), and old clients
// (appendix C.2).
#include <gtest/gtest.h>

#include "tests/e2e/wire/rig.h"

namespace ringmaster::test {
namespace {

std::string get(const std::string& path, const std::string& lines = "") {
  return "GET " + path + " HTTP/1.1\nHost: h\n" + lines + "\n";
}
std::string get_upstream(const std::string& path) {
  return "GET " + path + " HTTP/1.1\nHost: h\n{added}\n";
}
std::string ok(const std::string& body) {
  return "HTTP/1.1 200 OK\nContent-Length: " + std::to_string(body.size()) + "\n\n" + body;
}
std::string ok_out(const std::string& body, const std::string& end = "") {
  return "HTTP/1.1 200 OK\n{added}Content-Length: " + std::to_string(body.size()) + "\n" + end +
         "\n" + body;
}

TEST(Wire, PipelinedRequestsAreAnsweredInTheirOrder) {
  const std::string post = "POST /p HTTP/1.1\nHost: h\nContent-Length: 5\n\nhello";
  const std::string post_upstream = "POST /p HTTP/1.1\nHost: h\n{added}Content-Length: 5\n\nhello";
  const std::string chunks =
      "POST /c HTTP/1.1\nHost: h\nTransfer-Encoding: chunked\n\n5\nhello\n0\n\n";
  const std::string chunks_upstream =
      "POST /c HTTP/1.1\nHost: h\n{added}Transfer-Encoding: chunked\n\n5\nhello\n0\n\n";
  const auto row = [](const char* name, const char* rfc, const std::string& in,
                      std::vector<std::string> upstream, const std::string& out,
                      Left client = Left::kOpen) {
    Row made{.name = name,
             .rfc = rfc,
             .in = in,
             .upstream = std::move(upstream),
             .out = out,
             .client = client};
    for (std::size_t i = 0; i < made.upstream.size(); ++i) {
      made.said.push_back({{.bytes = ok(std::to_string(i + 1))}});
    }
    return made;
  };
  std::string many, many_out;
  std::vector<std::string> many_upstream;
  for (int i = 1; i <= 60; ++i) {
    many += get("/" + std::to_string(i), "X: " + std::string(500, 'x') + "\n");
    many_upstream.push_back("GET /" + std::to_string(i) +
                            " HTTP/1.1\nHost: h\nX: " + std::string(500, 'x') + "\n{added}\n");
    many_out += ok_out(std::to_string(i));
  }
  Row long_row = row("more than a buffer holds", "9112 9.3.2", many, many_upstream, many_out);
  long_row.cut_request = false;
  Rig().run({
      row("two", "9112 9.3.2", get("/1") + get("/2"), {get_upstream("/1"), get_upstream("/2")},
          ok_out("1") + ok_out("2")),
      row("three", "9112 9.3.2", get("/1") + get("/2") + get("/3"),
          {get_upstream("/1"), get_upstream("/2"), get_upstream("/3")},
          ok_out("1") + ok_out("2") + ok_out("3")),
      row("behind a body", "9112 9.3.2", post + get("/2"), {post_upstream, get_upstream("/2")},
          ok_out("1") + ok_out("2")),
      row("behind chunks", "9112 9.3.2", chunks + get("/2"), {chunks_upstream, get_upstream("/2")},
          ok_out("1") + ok_out("2")),
      row("bodies behind bodies", "9112 9.3.2", post + chunks + post,
          {post_upstream, chunks_upstream, post_upstream}, ok_out("1") + ok_out("2") + ok_out("3")),
      row("trailers touch no other request", "9110 6.5.1",
          "POST /c HTTP/1.1\nHost: h\nTransfer-Encoding: chunked\n\n0\nHost: evil\nConnection: "
          "close\nContent-Length: 50\n\n" +
              get("/2"),
          {"POST /c HTTP/1.1\nHost: h\n{added}Transfer-Encoding: chunked\n\n0\n\n",
           get_upstream("/2")},
          ok_out("1") + ok_out("2")),
      row("an empty Connection", "9110 5.6.1", get("/1", "Connection:\n") + get("/2"),
          {get_upstream("/1"), get_upstream("/2")}, ok_out("1") + ok_out("2")),
      row("a Connection of empty members", "9110 5.6.1", get("/1", "Connection: , ,\n") + get("/2"),
          {get_upstream("/1"), get_upstream("/2")}, ok_out("1") + ok_out("2")),
      row("Proxy-Connection: close closes nothing", "9112 C.2.2",
          get("/1", "Proxy-Connection: close\n") + get("/2"),
          {get_upstream("/1"), get_upstream("/2")}, ok_out("1") + ok_out("2")),
      row("an empty line between", "9112 2.2", get("/1") + "\n" + get("/2"),
          {get_upstream("/1"), get_upstream("/2")}, ok_out("1") + ok_out("2")),
      row("a fault in the second", "9112 9.3.2", get("/1") + get("/2", "A b\n"),
          {get_upstream("/1")}, ok_out("1") + refusal("bad_request"), Left::kClosed),
      row("garbage behind the first", "9112 9.3.2", get("/1") + "\x16\x03\x01",
          {get_upstream("/1")}, ok_out("1") + refusal("bad_request"), Left::kClosed),
      row("a body that is longer than it says", "9112 6.2",
          "POST /p HTTP/1.1\nHost: h\nContent-Length: 2\n\nhello\n\n",
          {"POST /p HTTP/1.1\nHost: h\n{added}Content-Length: 2\n\nhe"},
          ok_out("1") + refusal("bad_request"), Left::kClosed),
      row("nothing behind Connection: close", "9112 9.6",
          get("/1", "Connection: close\n") + get("/2"), {get_upstream("/1")},
          ok_out("1", "Connection: close\n"), Left::kClosed),
      row("nor behind keep-alive, close", "9112 9.6",
          get("/1", "Connection: keep-alive\nConnection: close\n") + get("/2"),
          {get_upstream("/1")}, ok_out("1", "Connection: close\n"), Left::kClosed),
      row("nor behind a body's", "9112 9.6",
          "POST /p HTTP/1.1\nHost: h\nConnection: close\nContent-Length: 5\n\nhello" + get("/2"),
          {post_upstream}, ok_out("1", "Connection: close\n"), Left::kClosed),
      row("not even a fault", "9112 9.6", get("/1", "Connection: close\n") + "garbage\n",
          {get_upstream("/1")}, ok_out("1", "Connection: close\n"), Left::kClosed),
      row("nothing behind a fault", "9112 9.6", "GET / HTTP/1.1\n\n" + get("/2"), {},
          refusal("bad_request"), Left::kClosed),
      long_row,
  });
}

// Answers whose end is not what their length says.
TEST(Wire, ARequestBehindHeadGetsItsOwnAnswer) {
  const std::string head = "HEAD /1 HTTP/1.1\nHost: h\n\n";
  const std::string head_upstream = "HEAD /1 HTTP/1.1\nHost: h\n{added}\n";
  const auto row = [&](const char* name, const std::string& said, const std::string& out) {
    return Row{.name = name,
               .rfc = "9110 9.3.2",
               .in = head + get("/2"),
               .upstream = {head_upstream, get_upstream("/2")},
               .said = {{{.bytes = said}}, {{.bytes = ok("2")}}},
               .out = out + ok_out("2")};
  };
  Rig().run({
      row("a length", "HTTP/1.1 200 OK\nContent-Length: 50\n\n",
          "HTTP/1.1 200 OK\n{added}Content-Length: 50\n\n"),
      row("chunks", "HTTP/1.1 200 OK\nTransfer-Encoding: chunked\n\n",
          "HTTP/1.1 200 OK\n{added}\n"),
      row("neither", "HTTP/1.1 200 OK\n\n", "HTTP/1.1 200 OK\n{added}\n"),
      row("304", "HTTP/1.1 304 X\nContent-Length: 50\n\n",
          "HTTP/1.1 304 X\n{added}Content-Length: 50\n\n"),
  });
}

TEST(Wire, AClientThatEndsItsSideIsStillAnswered) {
  const auto row = [](const char* name, const std::string& in, std::vector<std::string> upstream,
                      const std::string& out) {
    return Row{.name = name,
               .rfc = "9112 9.6",
               .in = in,
               .upstream = std::move(upstream),
               .out = out,
               .client = Left::kClosed,
               .half_close = true};
  };
  const std::string post = "POST / HTTP/1.1\nHost: h\nContent-Length: 5\n\n";
  const std::string chunks = "POST / HTTP/1.1\nHost: h\nTransfer-Encoding: chunked\n\n";
  const std::string close = "Connection: close\n";
  const auto short_of = [&](const char* name, const std::string& in) {
    Row made = row(name, in, {}, "");
    made.breaks_off = true;
    return made;
  };
  Rows rows = {
      row("a request", get("/", close), {get_upstream("/")}, kOkOutClose),
      row("a body", "POST / HTTP/1.1\nHost: h\nConnection: close\nContent-Length: 5\n\nhello",
          {"POST / HTTP/1.1\nHost: h\n{added}Content-Length: 5\n\nhello"}, kOkOutClose),
      row("chunks",
          "POST / HTTP/1.1\nHost: h\nConnection: close\nTransfer-Encoding: "
          "chunked\n\n5\nhello\n0\n\n",
          {"POST / HTTP/1.1\nHost: h\n{added}Transfer-Encoding: chunked\n\n5\nhello\n0\n\n"},
          kOkOutClose),
      row("two requests", get("/1") + get("/2", close), {get_upstream("/1"), get_upstream("/2")},
          kOkOut + kOkOutClose),
      short_of("half a head", "GET / HTTP/1.1\nHos"),
      short_of("half a body", post + "hel"),
      short_of("half a chunk", chunks + "5\nhel"),
      short_of("chunks without the last", chunks + "5\nhello\n"),
      short_of("without the last empty line", chunks + "5\nhello\n0\n"),
  };
  Row fault = refused("a fault in a chunk", "9112 7.1", chunks + "x\n");
  fault.half_close = fault.breaks_off = true;
  rows.push_back(fault);
  Rig().run(rows);
}

TEST(Wire, AnHttp10ClientGetsOnlyWhatItUnderstands) {
  const auto old = [](const char* name, const char* rfc, const std::string& lines,
                      const std::string& said, const std::string& out, Left client,
                      Left backend = Left::kOpen) {
    Row row = answered(name, rfc, said, out, backend);
    row.in = "GET / HTTP/1.0\n" + lines + "\n";
    row.upstream = {"GET / HTTP/1.1\nHost: h\n" + added_for("h", "1.0") + "\n"};
    row.client = client;
    return row;
  };
  const std::string host = "Host: h\n";
  const std::string live = "Host: h\nConnection: keep-alive\n";
  const std::string chunks = "HTTP/1.1 200 OK\nTrailer: X\nTransfer-Encoding: chunked\n\n";
  const std::string until_close = "HTTP/1.1 200 OK\n{added}Connection: close\n\n";
  Row nobody = old("no Host", "9112 3.2", "", kOk, kOkOutClose, Left::kClosed);
  nobody.upstream = {"GET / HTTP/1.1\nHost: {backend}\n" + added_for("", "1.0") + "\n"};
  Row empty = nobody;
  empty.name = "an empty Host";
  empty.in = "GET / HTTP/1.0\nHost:\n\n";
  Row absolute = nobody;
  absolute.name = "no Host but an absolute form";
  absolute.in = "GET http://h/ HTTP/1.0\n\n";
  absolute.upstream = {"GET / HTTP/1.1\nHost: h\n" + added_for("h", "1.0") + "\n"};
  Row end = old("a body until the end", "9112 6.3", live, "HTTP/1.1 200 OK\n\nhello",
                until_close + "hello", Left::kClosed, Left::kClosed);
  end.said[0][0].then = Say::Then::kEnd;
  Row upgrade = old("no upgrades", "9110 7.8", "Host: h\nUpgrade: websocket\nConnection: upgrade\n",
                    kOk, kOkOutClose, Left::kClosed);
  Row head =
      old("HEAD", "9110 9.3.2", live, "HTTP/1.1 200 OK\nContent-Length: 5\n\n",
          "HTTP/1.1 200 OK\n{added}Content-Length: 5\nConnection: keep-alive\n\n", Left::kOpen);
  head.in.replace(0, 3, "HEAD");
  head.upstream[0].replace(0, 3, "HEAD");
  Rig().run({
      old("are told to go", "9112 9.3", host, kOk, kOkOutClose, Left::kClosed),
      old("unless they ask", "9112 C.2.2", live, kOk, kOkOut10, Left::kOpen),
      old("in any case", "9112 C.2.2", "Host: h\nCONNECTION: x, Keep-Alive\n", kOk, kOkOut10,
          Left::kOpen),
      old("both is no", "9112 9.3", "Host: h\nConnection: keep-alive, close\n", kOk, kOkOutClose,
          Left::kClosed),
      old("chunks are taken off", "9112 6.1", host, chunks + "2\nhe\n3\nllo\n0\nX: 1\n\n",
          until_close + "hello", Left::kClosed),
      old("even where it asked to stay", "9112 6.1", live, chunks + "5\nhello\n0\n\n",
          until_close + "hello", Left::kClosed),
      end,
      old("204", "9110 15.3.5", live, "HTTP/1.1 204 X\n\n",
          "HTTP/1.1 204 X\n{added}Connection: keep-alive\n\n", Left::kOpen),
      head,
      nobody,
      empty,
      absolute,
      upgrade,
      refused("two Hosts", "9112 3.2", "GET / HTTP/1.0\nHost: h\nHost: h\n\n"),
      refused("an invalid Host", "9112 3.2", "GET / HTTP/1.0\nHost: a b\n\n"),
  });
}

// RFC 9112 section 9.5: an answer to a request that has not ended yet.
TEST(Wire, AnAnswerBeforeTheRequestHasEndedIsRelayedWhole) {
  const std::string head = "POST / HTTP/1.1\nHost: h\nContent-Length: 50\n\n";
  const std::string head_upstream = "POST / HTTP/1.1\nHost: h\n{added}Content-Length: 50\n\n";
  const std::string too_large = "HTTP/1.1 413 No\nContent-Length: 2\n\nno";
  const std::string too_large_out =
      "HTTP/1.1 413 No\n{added}Content-Length: 2\nConnection: close\n\nno";
  const auto early = [&](const char* name, Say::Then then, std::vector<Send> later) {
    return Row{
        .name = name,
        .rfc = "9112 9.5",
        .in = head + "hello",
        .upstream = {head_upstream + "hello"},
        .said =
            {{{.bytes = too_large, .when = Say::When::kTunnel, .then = then, .awaited = "hello"}}},
        .out = too_large_out,
        .client = Left::kClosed,
        .backend = Left::kClosed,
        .later = std::move(later),
        .cut_request = false,
        .cut_response = true};
  };
  Rig().run({
      early("is relayed whole", Say::Then::kNothing, {}),
      early("though the backend ends", Say::Then::kEnd, {}),
      early("though the client sends on", Say::Then::kNothing,
            {{.after = "\n\nno", .bytes = " and so on"}}),
  });
}

TEST(Wire, ATunnelOpensOnlyWhereBothSidesAgree) {
  const std::string ask =
      "GET /chat HTTP/1.1\nHost: h\nUpgrade: websocket\nConnection: Upgrade\nSec-WebSocket-Key: "
      "dGhlIHNhbXBsZSBub25jZQ==\nSec-WebSocket-Version: 13\n\n";
  const std::string asked =
      "GET /chat HTTP/1.1\nHost: h\nUpgrade: websocket\nSec-WebSocket-Key: "
      "dGhlIHNhbXBsZSBub25jZQ==\nSec-WebSocket-Version: 13\n{added}Connection: upgrade\n\n";
  const std::string yes =
      "HTTP/1.1 101 Switching Protocols\nUpgrade: websocket\nConnection: Upgrade\n"
      "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\n\n";
  const std::string yes_out =
      "HTTP/1.1 101 Switching Protocols\nUpgrade: websocket\nSec-WebSocket-Accept: "
      "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\n" +
      added_to_answer("1.1", false) + "Connection: upgrade\n\n";
  constexpr auto kTunnel = Say::When::kTunnel;
  constexpr auto kEnd = Say::Then::kEnd;

  Row plain{.name = "bytes both ways",
            .rfc = "6455 4",
            .in = ask,
            .upstream = {asked + "ping{nul}\x80"},
            .said = {{{.bytes = yes}, {.bytes = "pong\xff", .when = kTunnel, .awaited = "ping"}}},
            .out = yes_out + "pong\xff",
            .later = {{.after = "101 Switching", .bytes = "ping{nul}\x80"}},
            .cut_response = true};
  Row at_once = plain;
  at_once.name = "behind the handshake, the client";
  at_once.in += "ping{nul}\x80";
  at_once.later.clear();
  at_once.cut_response = false;
  Row behind = plain;
  behind.name = "behind the handshake, the backend";
  behind.said = {{{.bytes = yes + "hello"}}};
  behind.upstream = {asked};
  behind.out = yes_out + "hello";
  behind.later.clear();
  behind.cut_request = false;
  Row client_ends = plain;
  client_ends.name = "the client ends first";
  client_ends.said = {{{.bytes = yes}, {.bytes = "bye", .when = Say::When::kEnd, .then = kEnd}}};
  client_ends.out = yes_out + "bye";
  client_ends.client = Left::kClosed;
  client_ends.half_close = true;
  client_ends.cut_response = client_ends.cut_request = false;
  Row eager_end = client_ends;
  eager_end.name = "even before the answer";
  eager_end.in += "ping{nul}\x80";
  eager_end.later.clear();
  Row backend_ends = plain;
  backend_ends.name = "the backend ends first";
  backend_ends.upstream = {asked};
  backend_ends.said = {{{.bytes = yes + "bye", .then = kEnd}}};
  backend_ends.out = yes_out + "bye";
  backend_ends.later.clear();
  backend_ends.client = Left::kAny;
  backend_ends.cut_request = false;
  Row hints = plain;
  hints.name = "behind an interim answer";
  hints.said[0][0].bytes = "HTTP/1.1 103 X\nA: b\n\n" + yes;
  hints.out = "HTTP/1.1 103 X\nA: b\n" + added_to_answer("1.1", false) + "\n" + plain.out;
  Row length = behind;
  length.name = "a length means nothing";
  length.said[0][0].bytes.insert(yes.size() - 1, "Content-Length: 3\n");
  length.rfc = "9110 8.6";
  Row foo = plain;
  foo.name = "any protocol that was asked for";
  foo.in = "GET / HTTP/1.1\nHost: h\nUpgrade: foo/2, bar\nConnection: upgrade\n\n";
  foo.upstream = {"GET / HTTP/1.1\nHost: h\nUpgrade: foo/2, bar\n{added}Connection: upgrade\n\n"};
  foo.said = {{{.bytes = "HTTP/1.1 101 X\nConnection: upgrade\nUpgrade: bar\n\n"}}};
  foo.out =
      "HTTP/1.1 101 X\nUpgrade: bar\n" + added_to_answer("1.1", false) + "Connection: upgrade\n\n";
  foo.later.clear();
  foo.cut_response = false;

  const auto declined = [&](const char* name, const std::string& said, const std::string& out,
                            Left backend = Left::kOpen) {
    return Row{.name = name,
               .rfc = "9110 7.8",
               .in = ask,
               .upstream = {asked},
               .said = {{{.bytes = said}}},
               .out = out,
               .backend = backend,
               .cut_request = false,
               .cut_response = true};
  };
  const std::string no = refusal("bad_response", /*close=*/false);
  Row then_get = declined("and the next request is one", "", kOkOut + kOkOut);
  then_get.in += kGet;
  then_get.upstream.push_back(kGetUpstream);
  then_get.said = {};
  then_get.cut_response = false;
  Row early{.name = "before the request has ended",
            .rfc = "9110 7.8",
            .in =
                "POST / HTTP/1.1\nHost: h\nUpgrade: foo\nConnection: upgrade\nContent-Length: "
                "9\n\nhello",
            .upstream = {"POST / HTTP/1.1\nHost: h\nUpgrade: foo\n{added}Content-Length: "
                         "9\nConnection: upgrade\n\nhello"},
            .said = {{{.bytes = "HTTP/1.1 101 X\nUpgrade: foo\nConnection: upgrade\n\n",
                       .when = kTunnel,
                       .awaited = "hello"}}},
            .out = no,
            .client = Left::kAny,
            .backend = Left::kClosed,
            .cut_request = false};
  early.later = {{.after = "502", .bytes = "1234"}};
  Rig().run({
      plain,
      at_once,
      behind,
      client_ends,
      eager_end,
      backend_ends,
      hints,
      length,
      foo,
      declined("declined", kOk, kOkOut),
      then_get,
      declined("101 without Upgrade", "HTTP/1.1 101 X\nConnection: upgrade\n\n", no, Left::kClosed),
      declined("101 without Connection", "HTTP/1.1 101 X\nUpgrade: websocket\n\n", no,
               Left::kClosed),
      declined("101 to something else", "HTTP/1.1 101 X\nUpgrade: foo\nConnection: upgrade\n\n", no,
               Left::kClosed),
      declined("101 to h2c", "HTTP/1.1 101 X\nUpgrade: h2c\nConnection: upgrade\n\n", no,
               Left::kClosed),
      declined("101 of HTTP/1.0", "HTTP/1.0 101 X\nUpgrade: websocket\nConnection: upgrade\n\n", no,
               Left::kClosed),
      early,
  });
}

}  // namespace
}  // namespace ringmaster::test
