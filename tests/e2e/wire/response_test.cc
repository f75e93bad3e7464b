// Answers: their syntax (RFC 9112 sections 4 and 5), where they end (section 6), and what of a
// backend that errs, or lies, a client may never see.
#include <gtest/gtest.h>

#include "tests/e2e/wire/rig.h"

namespace ringmaster::test {
namespace {

// An answer with that status line, and those field lines.
Row status(const char* name, const char* rfc, const std::string& line, const std::string& out) {
  return answered(name, rfc, line + "\nContent-Length: 2\n\nok",
                  out + "\n{added}Content-Length: 2\n\nok");
}

Row fields(const char* name, const char* rfc, const std::string& lines, const std::string& out) {
  return answered(name, rfc, "HTTP/1.1 200 OK\n" + lines + "Content-Length: 2\n\nok",
                  "HTTP/1.1 200 OK\n" + out + "{added}Content-Length: 2\n\nok");
}

Row bad_fields(const char* name, const char* rfc, const std::string& lines) {
  return distrusted(name, rfc, "HTTP/1.1 200 OK\n" + lines + "Content-Length: 2\n\nok");
}

TEST(Wire, AStatusLineKeepsToTheGrammar) {
  Rows rows = {
      status("any status", "9110 15", "HTTP/1.1 299 Odd", "HTTP/1.1 299 Odd"),
      status("an unknown class member", "9110 15", "HTTP/1.1 599 X", "HTTP/1.1 599 X"),
      status("an error", "9110 15.6", "HTTP/1.1 500 Oh", "HTTP/1.1 500 Oh"),
      status("no reason", "9112 4", "HTTP/1.1 200 ", "HTTP/1.1 200 "),
      status("not even its space", "9112 4", "HTTP/1.1 200", "HTTP/1.1 200 "),
      status("a long reason", "9112 4", "HTTP/1.1 200 It is  well\tdone",
             "HTTP/1.1 200 It is  well\tdone"),
      status("obs-text in it", "9112 4", "HTTP/1.1 200 \xc3\xa4\xff", "HTTP/1.1 200 \xc3\xa4\xff"),
      answered("HTTP/1.0", "9110 2.5", "HTTP/1.0 200 OK\nContent-Length: 2\n\nok",
               "HTTP/1.1 200 OK\n" + added_to_answer("1.0") + "Content-Length: 2\n\nok",
               Left::kClosed),
      answered("HTTP/1.0 with keep-alive", "9112 C.2.2",
               "HTTP/1.0 200 OK\nConnection: keep-alive\nContent-Length: 2\n\nok",
               "HTTP/1.1 200 OK\n" + added_to_answer("1.0") + "Content-Length: 2\n\nok"),
      distrusted("garbage", "9112 4", "garbage\n\n"),
      distrusted("a body alone", "9112 4", "<html>hello</html>"),
      distrusted("a head without a status line", "9112 4", "Content-Length: 2\n\nok"),
      distrusted("an empty line before it", "9112 4", "\n" + kOk),
      distrusted("a space before it", "9112 4", " " + kOk),
      distrusted("a NUL before it", "9112 4", "{nul}" + kOk),
  };
  for (const char* line : {"HTTP/1.1  200 OK",     "HTTP/1.1\t200 OK",    "HTTP/1.1 20 OK",
                           "HTTP/1.1 2000 OK",     "HTTP/1.1 099 OK",     "HTTP/1.1 600 OK",
                           "HTTP/1.1 999 OK",      "HTTP/1.1 000 OK",     "HTTP/1.1 2x0 OK",
                           "HTTP/1.1 -20 OK",      "HTTP/1.1 +20 OK",     "HTTP/1.1 20a OK",
                           "HTTP/1.1 200OK",       "HTTP/1.1 OK",         "HTTP/1.1",
                           "HTTP/2.0 200 OK",      "HTTP/2 200 OK",       "HTTP/0.9 200 OK",
                           "http/1.1 200 OK",      "HTTP/1.10 200 OK",    "HTTP/11 200 OK",
                           "HTTPS/1.1 200 OK",     "ICY 200 OK",          "HTTP 200 OK",
                           "HTTP/1.1 200 O{nul}K", "HTTP/1.1 200 O\x01K", "HTTP/1.1 200 O\x7fK",
                           "HTTP/1.1 200 O{cr}K",  "HTTP/1.1 200\tOK",    "HTTP/1.1 200,OK",
                           "HTTP/ 1.1 200 OK",     "HTTP/1.1 200\x0bOK"}) {
    rows.push_back(distrusted(std::string("the status line ") + line, "9112 4",
                              std::string(line) + "\nContent-Length: 2\n\nok"));
  }
  Row endless = distrusted("one that does not end", "9112 4",
                           "HTTP/1.1 200 " + std::string(20000, 'x') + "\nContent-Length: 0\n\n");
  endless.cut_response = false;
  rows.push_back(endless);
  rows.push_back(
      distrusted("a bare LF behind it", "9112 2.2", "HTTP/1.1 200 OK{lf}Content-Length: 2\n\nok"));
  rows.push_back(distrusted("bare LFs throughout", "9112 2.2",
                            "HTTP/1.1 200 OK{lf}Content-Length: 2{lf}{lf}ok"));
  Rig().run(rows);
}

TEST(Wire, AnAnswersFieldsPassUnlessHopByHopOrMalformed) {
  std::string lines;
  for (int i = 0; i < 300; ++i) lines += "A: b\n";
  Row many = bad_fields("very many", "9110 5.4", lines);
  many.cut_response = false;  // its lines are all alike
  Rig().run({
      fields("order, case and doubles", "9110 5.3", "b: 1\nA: 2\nB: 3\nA: 2\n",
             "b: 1\nA: 2\nB: 3\nA: 2\n"),
      fields("cookies", "6265 3", "Set-Cookie: a=b\nX: y\nset-cookie: c=d; Expires=Wed, 1\n",
             "Set-Cookie: a=b\nX: y\nset-cookie: c=d; Expires=Wed, 1\n"),
      fields("obs-text", "9110 5.5", "A: \xc3\xa4\xff\x80\n", "A: \xc3\xa4\xff\x80\n"),
      fields("white space as it came", "9112 5.1", "A:b\nC: \t d \nE:\n", "A:b\nC: \t d \nE:\n"),
      fields("an underscore", "9110 5.1", "A_b: c\n", "A_b: c\n"),
      fields("Via", "9110 7.6.3", "Via: 1.1 x\n", "Via: 1.1 x\n"),
      fields("Proxy-Status", "9209 2", "Proxy-Status: x\n", "Proxy-Status: x\n"),
      fields("not Connection", "9110 7.6.1", "Connection: keep-alive\nA: b\n", "A: b\n"),
      fields("nor what it names", "9110 7.6.1", "Connection: X\nX: 1\nA: b\nx: 2\n", "A: b\n"),
      answered("nor what a broken one names", "9110 7.6.1",
               "HTTP/1.1 200 OK\nConnection: X, a b\nX: 1\nA: b\nContent-Length: 2\n\nok",
               "HTTP/1.1 200 OK\nA: b\n{added}Content-Length: 2\n\nok", Left::kClosed),
      fields("nor Keep-Alive", "9112 C.2.2", "Keep-Alive: timeout=5\nA: b\n", "A: b\n"),
      fields("nor Proxy-Connection", "9112 C.2.2", "Proxy-Connection: x\nA: b\n", "A: b\n"),
      fields("nor Proxy-Authenticate", "9110 11.7.1", "Proxy-Authenticate: x\nA: b\n", "A: b\n"),
      fields("nor Upgrade", "9110 7.8", "Upgrade: h2\nA: b\n", "A: b\n"),
      fields("nor Trailer", "9110 6.6.2", "Trailer: X\nA: b\n", "A: b\n"),
      fields("what a backend may not name away", "9110 7.6.1",
             "Connection: Set-Cookie, Content-Type\nSet-Cookie: a\nContent-Type: b\n",
             "Set-Cookie: a\nContent-Type: b\n"),
      answered("a date of its own", "9110 6.6.1",
               "HTTP/1.1 200 OK\nDate: today\nContent-Length: 2\n\nok",
               "HTTP/1.1 200 OK\nDate: today\n" + added_to_answer("1.1", false) +
                   "Content-Length: 2\n\nok"),
      answered("426 says to what", "9110 15.5.22",
               "HTTP/1.1 426 X\nUpgrade: websocket\nConnection: upgrade\nContent-Length: 0\n\n",
               "HTTP/1.1 426 X\nUpgrade: websocket\n{added}Content-Length: 0\nConnection: "
               "upgrade\n\n"),
      bad_fields("a space before the colon", "9112 5.1", "A : b\n"),
      bad_fields("no colon", "9112 5", "A b\n"),
      bad_fields("no name", "9110 5.1", ": b\n"),
      bad_fields("a space in the name", "9110 5.1", "A B: c\n"),
      bad_fields("obs-text in the name", "9110 5.1", "\xc3\xa4: b\n"),
      bad_fields("folded", "9112 5.2", "A: b\n c\n"),
      bad_fields("folded with a tab", "9112 5.2", "A: b\n\tc\n"),
      bad_fields("folded after the colon", "9112 5.2", "A:\n b\n"),
      bad_fields("folded with a bare LF", "9112 5.2", "A: b{lf} c\n"),
      bad_fields("a fold that hides a length", "9112 5.2", "A: b\n Content-Length: 5\n"),
      bad_fields("a space in front of the first", "9112 2.2", " A: b\n"),
      bad_fields("a NUL", "9110 5.5", "A: b{nul}\n"),
      bad_fields("a bare CR", "9112 2.2", "A: b{cr}c\n"),
      bad_fields("a bare LF", "9112 2.2", "A: b{lf}C: d\n"),
      bad_fields("a control character", "9110 5.5", "A: \x01\n"),
      many,
      bad_fields("very long", "9110 5.4", "A: " + std::string(20000, 'x') + "\n"),
  });
}

Row chunked(const char* name, const char* rfc, const std::string& body, const std::string& out) {
  return answered(name, rfc, "HTTP/1.1 200 OK\nTransfer-Encoding: chunked\n\n" + body,
                  "HTTP/1.1 200 OK\n{added}Transfer-Encoding: chunked\n\n" + out);
}

// The client sees a 502, or that the answer broke off.
Row broken(const char* name, const char* rfc, const std::string& said,
           Say::Then then = Say::Then::kNothing) {
  Row row = distrusted(name, rfc, said);
  row.client = Left::kBroken;
  row.said[0][0].then = then;
  return row;
}

TEST(Wire, AnAnswerEndsWhereItsFramingSays) {
  const auto length = [](const char* name, const std::string& lines) {
    return answered(name, "9112 6.3", "HTTP/1.1 200 OK\n" + lines + "\nok", kOkOut);
  };
  const auto bad_length = [](const char* name, const std::string& lines) {
    return distrusted(name, "9112 6.3", "HTTP/1.1 200 OK\n" + lines + "\nok");
  };
  Row until_close = answered("until the connection ends", "9112 6.3", "HTTP/1.1 200 OK\n\nhello",
                             "HTTP/1.1 200 OK\n{added}Transfer-Encoding: "
                             "chunked\n\n5\nhello\n0\n\n",
                             Left::kClosed);
  until_close.said[0][0].then = Say::Then::kEnd;
  Row nothing = until_close;
  nothing.name = "an empty one";
  nothing.said[0][0].bytes = "HTTP/1.1 200 OK\n\n";
  nothing.out = "HTTP/1.1 200 OK\n{added}Transfer-Encoding: chunked\n\n0\n\n";
  Row old = until_close;
  old.name = "of HTTP/1.0";
  old.said[0][0].bytes = "HTTP/1.0 200 OK\nConnection: keep-alive\n\nhello";
  old.out = "HTTP/1.1 200 OK\n" + added_to_answer("1.0") +
            "Transfer-Encoding: chunked\n\n5\nhello\n0\n\n";
  Row close = answered("Connection: close with a length", "9112 9.6",
                       "HTTP/1.1 200 OK\nConnection: close\nContent-Length: 2\n\nok", kOkOut,
                       Left::kClosed);
  Rows rows = {
      length("a length", "Content-Length: 2\n"),
      length("twice the same", "Content-Length: 2\nContent-Length: 2\n"),
      length("a list of one value", "Content-Length: 2, 2\n"),
      length("leading zeros", "Content-Length: 002\n"),
      length("a list of three", "Content-Length: 2 , 2\nContent-Length: 2\n"),
      length("one that Connection names", "Connection: Content-Length\nContent-Length: 2\n"),
      length("by another name it is none", "Content_Length: 9\nContent-Length: 2\n"),
      answered("chunks that Connection names", "9110 7.6.1",
               "HTTP/1.1 200 OK\nConnection: Transfer-Encoding\nTransfer-Encoding: chunked\n\n"
               "2\nok\n0\n\n",
               "HTTP/1.1 200 OK\n{added}Transfer-Encoding: chunked\n\n2\nok\n0\n\n"),
      answered("none", "9112 6.3", "HTTP/1.1 200 OK\nContent-Length: 0\n\n",
               "HTTP/1.1 200 OK\n{added}Content-Length: 0\n\n"),
      bad_length("twice, differing", "Content-Length: 2\nContent-Length: 3\n"),
      bad_length("a differing list", "Content-Length: 2, 3\n"),
      bad_length("an empty member", "Content-Length: 2,\n"),
      bad_length("negative", "Content-Length: -2\n"),
      bad_length("a sign", "Content-Length: +2\n"),
      bad_length("no number", "Content-Length: x\n"),
      bad_length("hexadecimal", "Content-Length: 0x2\n"),
      bad_length("empty", "Content-Length:\n"),
      bad_length("two numbers", "Content-Length: 2 2\n"),
      bad_length("a fraction", "Content-Length: 2.0\n"),
      bad_length("a parameter", "Content-Length: 2;a\n"),
      bad_length("quoted", "Content-Length: \"2\"\n"),
      bad_length("three, one differing", "Content-Length: 2\nContent-Length: 2, 02, 3\n"),
      bad_length("one of two empty", "Content-Length: 2\nContent-Length:\n"),
      bad_length("2^64 + 2", "Content-Length: 18446744073709551618\n"),
      bad_length("2^63", "Content-Length: 9223372036854775808\n"),
      bad_length("with chunks", "Content-Length: 2\nTransfer-Encoding: chunked\n"),
      bad_length("behind chunks", "Transfer-Encoding: chunked\nContent-Length: 2\n"),
      distrusted("chunks in HTTP/1.0", "9112 6.1",
                 "HTTP/1.0 200 OK\nTransfer-Encoding: chunked\n\n2\nok\n0\n\n"),
      chunked("chunks", "9112 7.1", "2\nok\n0\n\n", "2\nok\n0\n\n"),
      chunked("several", "9112 7.1", "1\no\n1\nk\n0\n\n", "2\nok\n0\n\n"),
      chunked("no data", "9112 7.1", "0\n\n", "0\n\n"),
      chunked("extensions", "9112 7.1.1", "2;a=\"b\"\nok\n0;c\n\n", "2\nok\n0\n\n"),
      chunked("trailers", "9110 6.5", "2\nok\n0\nX-Sum: 1\nb:2\n\n", "2\nok\n0\nX-Sum: 1\nb:2\n\n"),
      chunked("but not all of them", "9110 6.5.1",
              "2\nok\n0\nContent-Length: 9\nSet-Cookie: a\nX-Sum: 1\nLocation: /\n\n",
              "2\nok\n0\nX-Sum: 1\n\n"),
      answered("a trailer that Connection names", "9110 7.6.1",
               "HTTP/1.1 200 OK\nConnection: X-Hop\nTransfer-Encoding: chunked\n\n"
               "2\nok\n0\nX-Hop: 1\n\n",
               "HTTP/1.1 200 OK\n{added}Transfer-Encoding: chunked\n\n2\nok\n0\n\n"),
      answered("Trailer goes with them", "9110 6.6.2",
               "HTTP/1.1 200 OK\nTrailer: X\nConnection: y\nTransfer-Encoding: chunked\n\n"
               "0\nX: 1\n\n",
               "HTTP/1.1 200 OK\n{added}Transfer-Encoding: chunked\n\n0\n\n"),
      answered("Trailer with them", "9110 6.6.2",
               "HTTP/1.1 200 OK\nTrailer: X\nTransfer-Encoding: chunked\n\n0\nX: 1\n\n",
               "HTTP/1.1 200 OK\nTrailer: X\n{added}Transfer-Encoding: chunked\n\n0\nX: 1\n\n"),
      until_close,
      nothing,
      old,
      close,
  };
  for (const char* coding :
       {"identity", "gzip", "gzip, chunked", "chunked, gzip", "chunked, chunked", "", ",chunked",
        "chunked;q=1", "xchunked", "\"chunked\"",
        "\x0b"
        "chunked"}) {
    rows.push_back(distrusted(
        std::string("the coding ") + coding, "9112 6.1",
        std::string("HTTP/1.1 200 OK\nTransfer-Encoding: ") + coding + "\n\n2\nok\n0\n\n"));
  }
  rows.push_back(distrusted("two codings", "9112 6.1",
                            "HTTP/1.1 200 OK\nTransfer-Encoding: chunked\nTransfer-Encoding: "
                            "chunked\n\n2\nok\n0\n\n"));
  Rig().run(rows);
}

TEST(Wire, ABrokenAnswerIsNeverTakenForAWholeOne) {
  const std::string head = "HTTP/1.1 200 OK\nTransfer-Encoding: chunked\n\n";
  constexpr auto kEnd = Say::Then::kEnd;
  constexpr auto kReset = Say::Then::kReset;
  Rows rows = {
      broken("a size that is none", "9112 7.1", head + "2\nok\nx\nno\n0\n\n"),
      broken("no size at all", "9112 7.1", head + "ok\n0\n\n"),
      broken("a prefix", "9112 7.1", head + "0x2\nok\n0\n\n"),
      broken("a size with a sign", "9112 7.1", head + "-2\nok\n0\n\n"),
      broken("a size too big", "9112 7.1", head + "fffffffffffffffff\nok\n0\n\n"),
      broken("a bare LF behind a size", "9112 7.1", head + "2{lf}ok\n0\n\n"),
      broken("a bare LF behind data", "9112 7.1", head + "2\nok{lf}0\n\n"),
      broken("nothing behind data", "9112 7.1", head + "2\nok0\n\n"),
      broken("more data than it says", "9112 7.1", head + "2\nokay\n0\n\n"),
      broken("a bad trailer", "9112 7.1.2", head + "2\nok\n0\nA b\n\n"),
      broken("a bare LF at the end", "9112 7.1", head + "2\nok\n0\n{lf}"),
      broken("an extension too long", "9112 7.1.1",
             head + "2;a=" + std::string(300, 'x') + "\nok\n0\n\n"),
      broken("trailers too long", "9110 6.5",
             head + "2\nok\n0\nA: " + std::string(5000, 'x') + "\n\n"),
      broken("a fold in a trailer", "9112 5.2", head + "2\nok\n0\nA: b\n c\n\n"),
      broken("chunks that end early", "9112 8", head + "2\nok\n", kEnd),
      broken("in the middle of data", "9112 8", head + "5\nok", kEnd),
      broken("without the last empty line", "9112 8", head + "2\nok\n0\n", kEnd),
      broken("before any", "9112 8", head, kEnd),
      broken("by a reset", "9112 8", head + "2\nok\n", kReset),
      broken("a body shorter than it says", "9112 8", "HTTP/1.1 200 OK\nContent-Length: 5\n\nok",
             kEnd),
      broken("by all of it", "9112 8", "HTTP/1.1 200 OK\nContent-Length: 5\n\n", kEnd),
      broken("by a reset too", "9112 8", "HTTP/1.1 200 OK\nContent-Length: 5\n\nok", kReset),
      broken("a body until the end, by a reset", "9112 8", "HTTP/1.1 200 OK\n\nhello", kReset),
  };
  // What has no end but that of the connection must be seen to break off.
  const auto old = [](const char* name, const std::string& said, Say::Then then) {
    Row row = broken(name, "9112 8", said, then);
    row.in = "GET / HTTP/1.0\nHost: h\n\n";
    row.upstream = {"GET / HTTP/1.1\nHost: h\n" + added_for("h", "1.0") + "\n"};
    row.out = refusal("bad_response");
    return row;
  };
  rows.push_back(old("for HTTP/1.0, chunks that end early", head + "2\nok\n", kEnd));
  rows.push_back(old("chunks that are none", head + "2\nok\nx\n", Say::Then::kNothing));
  rows.push_back(old("a body until a reset", "HTTP/1.1 200 OK\n\nhello", kReset));
  rows.push_back(old("a body too short", "HTTP/1.1 200 OK\nContent-Length: 5\n\nok", kEnd));
  const auto closed = [](const char* name, const std::string& said) {
    Row row = distrusted(name, "9112 8", said);
    row.out = refusal("upstream_closed", /*close=*/false);
    row.said[0][0].then = kEnd;
    // Nothing at all is what a request may be asked again for: POST may not.
    row.in = "POST / HTTP/1.1\nHost: h\n\n";
    row.upstream = {"POST / HTTP/1.1\nHost: h\n{added}\n"};
    return row;
  };
  rows.push_back(closed("nothing but the end", ""));
  rows.back().cut_response = false;
  rows.push_back(closed("half a status line", "HTTP/1.1 2"));
  rows.push_back(closed("half a head", "HTTP/1.1 200 OK\nContent-Le"));
  rows.push_back(closed("a head without its end", "HTTP/1.1 200 OK\nContent-Length: 2\n"));
  rows.push_back(closed("an interim answer and nothing more", "HTTP/1.1 103 X\nA: b\n\n"));
  rows.back().out =
      "HTTP/1.1 103 X\nA: b\n" + added_to_answer("1.1", false) + "\n" + rows.back().out;
  Rig().run(rows);
}

// RFC 9112 section 6.3, rules 1 and 2.
TEST(Wire, AnswersWithoutABodyEndWithTheirHead) {
  const std::string no = refusal("bad_response", /*close=*/false, /*head_only=*/true);
  const auto head = [](const char* name, const std::string& said, const std::string& out,
                       Left backend = Left::kOpen) {
    Row row = answered(name, "9110 9.3.2", said, out, backend);
    row.in = "HEAD / HTTP/1.1\nHost: h\n\n";
    row.upstream = {"HEAD / HTTP/1.1\nHost: h\n{added}\n"};
    return row;
  };
  Rig().run({
      head("HEAD tells a length", "HTTP/1.1 200 OK\nContent-Length: 5\n\n",
           "HTTP/1.1 200 OK\n{added}Content-Length: 5\n\n"),
      head("or chunks", "HTTP/1.1 200 OK\nTransfer-Encoding: chunked\n\n",
           "HTTP/1.1 200 OK\n{added}\n"),
      head("or nothing", "HTTP/1.1 200 OK\n\n", "HTTP/1.1 200 OK\n{added}\n"),
      head("but not two lengths", "HTTP/1.1 200 OK\nContent-Length: 5\nContent-Length: 6\n\n", no,
           Left::kClosed),
      head("nor an unknown coding", "HTTP/1.1 200 OK\nTransfer-Encoding: x\n\n", no, Left::kClosed),
      answered("204", "9110 15.3.5", "HTTP/1.1 204 No Content\n\n",
               "HTTP/1.1 204 No Content\n{added}\n"),
      answered("304 tells a length", "9110 15.4.5", "HTTP/1.1 304 X\nContent-Length: 5\n\n",
               "HTTP/1.1 304 X\n{added}Content-Length: 5\n\n"),
      answered("304 without", "9110 15.4.5", "HTTP/1.1 304 X\n\n", "HTTP/1.1 304 X\n{added}\n"),
      answered("205 has a length like others", "9110 15.3.6",
               "HTTP/1.1 205 X\nContent-Length: 0\n\n",
               "HTTP/1.1 205 X\n{added}Content-Length: 0\n\n"),
      answered("or a body", "9110 15.3.6", "HTTP/1.1 205 X\nContent-Length: 2\n\nok",
               "HTTP/1.1 205 X\n{added}Content-Length: 2\n\nok"),
      answered("304 may speak of chunks", "9112 6.1",
               "HTTP/1.1 304 X\nTransfer-Encoding: chunked\n\n", "HTTP/1.1 304 X\n{added}\n"),
      answered("204 with a length of 0", "9110 8.6", "HTTP/1.1 204 X\nContent-Length: 0\n\n",
               "HTTP/1.1 204 X\n{added}\n"),
      answered("204 with a length is not trusted further", "9110 8.6",
               "HTTP/1.1 204 X\nContent-Length: 5\n\n", "HTTP/1.1 204 X\n{added}\n", Left::kClosed),
      distrusted("204 with chunks", "9112 6.1", "HTTP/1.1 204 X\nTransfer-Encoding: chunked\n\n"),
  });
}

// It ends the connection that it came on.
TEST(Wire, WhatNobodyAskedForReachesNobody) {
  const std::string poison = "HTTP/1.1 200 OK\nContent-Length: 6\n\npoison";
  const auto behind = [&](const char* name, const std::string& method, const std::string& said,
                          const std::string& out, const std::string& surplus, bool at_once) {
    Row row = answered(name, "9112 9.2", said + (at_once ? surplus : ""), out, Left::kClosed);
    row.in = method + " / HTTP/1.1\nHost: h\n\n";
    row.upstream = {method + " / HTTP/1.1\nHost: h\n{added}\n"};
    row.cut_response = false;
    if (!at_once) row.said[0].push_back({.bytes = surplus, .when = Say::When::kNow});
    return row;
  };
  const std::string not_modified = "HTTP/1.1 304 X\nContent-Length: 6\n\n";
  const std::string not_modified_out = "HTTP/1.1 304 X\n{added}Content-Length: 6\n\n";
  const std::string no_content = "HTTP/1.1 204 X\n\n";
  const std::string no_content_out = "HTTP/1.1 204 X\n{added}\n";
  const std::string five = "HTTP/1.1 200 OK\nContent-Length: 6\n\n";
  const std::string five_out = "HTTP/1.1 200 OK\n{added}Content-Length: 6\n\n";
  const std::string chunks = "HTTP/1.1 200 OK\nTransfer-Encoding: chunked\n\n0\n\n";
  const std::string chunks_out = "HTTP/1.1 200 OK\n{added}Transfer-Encoding: chunked\n\n0\n\n";
  const Rows rows = {
      behind("a second answer", "GET", kOk, kOkOut, poison, true),
      behind("a moment later", "GET", kOk, kOkOut, poison, false),
      behind("one byte", "GET", kOk, kOkOut, "x", true),
      behind("an empty line", "GET", kOk, kOkOut, "\n", true),
      behind("an empty line later", "GET", kOk, kOkOut, "\n", false),
      behind("behind chunks", "GET", chunks, chunks_out, poison, true),
      behind("later", "GET", chunks, chunks_out, poison, false),
      behind("HEAD with a body", "HEAD", five, five_out, "poison", true),
      behind("its body later", "HEAD", five, five_out, "poison", false),
      behind("HEAD with chunks", "HEAD", "HTTP/1.1 200 OK\nTransfer-Encoding: chunked\n\n",
             "HTTP/1.1 200 OK\n{added}\n", "6\npoison\n0\n\n", true),
      behind("204 with a body", "GET", no_content, no_content_out, "poison", true),
      behind("its body later too", "GET", no_content, no_content_out, poison, false),
      behind("304 with a body", "GET", not_modified, not_modified_out, "poison", true),
      behind("its body a moment later", "GET", not_modified, not_modified_out, poison, false),
      behind("304 with chunks", "GET", "HTTP/1.1 304 X\nTransfer-Encoding: chunked\n\n",
             "HTTP/1.1 304 X\n{added}\n", "6\npoison\n0\n\n", true),
      behind("a POST's", "POST", kOk, kOkOut, poison, true),
      behind("a 101", "GET", kOk, kOkOut, "HTTP/1.1 101 X\nUpgrade: foo\nConnection: upgrade\n\n",
             true),
      behind("an interim answer later", "GET", kOk, kOkOut, "HTTP/1.1 103 X\n\n", false),
      behind("an interim answer that nobody waits for", "GET", kOk, kOkOut,
             "HTTP/1.1 100 Continue\n\n", true),
  };
  Rig rig;
  // One after the other: what a backend sends on a connection that already serves the next request
  // is, to anyone, its answer.
  for (const Row& row : rows) rig.run({row});
  // Whoever comes next gets its own.
  rig.run({passes("nothing of it is left", "9112 9.2", kGet, kGetUpstream)});
}

TEST(Wire, InterimAnswersComeBeforeTheFinalOne) {
  const auto interim = [](const std::string& line) {
    return line + "\n" + added_to_answer("1.1", false) + "\n";
  };
  const std::string hints = "HTTP/1.1 103 Early Hints\nLink: </a>; rel=preload\n";
  Row old = answered("never to HTTP/1.0", "9110 15.2",
                     "HTTP/1.1 100 Continue\n\n" + hints + "\n" + kOk, kOkOut10);
  old.in = "GET / HTTP/1.0\nHost: h\nConnection: keep-alive\n\n";
  old.upstream = {"GET / HTTP/1.1\nHost: h\n" + added_for("h", "1.0") + "\n"};
  const auto many = [](int count, const std::string& text) {
    std::string all;
    for (int i = 0; i < count; ++i) all += text;
    return all;
  };
  Row flood =
      answered("a flood", "9110 15.2", many(17, "HTTP/1.1 102 X\n\n") + kOk,
               many(16, interim("HTTP/1.1 102 X")) + refusal("bad_response", /*close=*/false),
               Left::kClosed);
  flood.cut_response = false;
  Row most = answered("as many as may be", "9110 15.2", many(16, "HTTP/1.1 102 X\n\n") + kOk,
                      many(16, interim("HTTP/1.1 102 X")) + kOkOut);
  most.cut_response = false;
  Row with_body = distrusted("one with a body", "9110 15.2",
                             "HTTP/1.1 103 X\nContent-Length: 6\n\npoison" + kOk);
  with_body.out = interim("HTTP/1.1 103 X") + with_body.out;
  Rig().run({
      answered("100", "9110 15.2.1", "HTTP/1.1 100 Continue\n\n" + kOk,
               interim("HTTP/1.1 100 Continue") + kOkOut),
      answered("102", "2518 10.1", "HTTP/1.1 102 Processing\n\n" + kOk,
               interim("HTTP/1.1 102 Processing") + kOkOut),
      answered("103 with its fields", "8297 2", hints + "\n" + kOk,
               interim("HTTP/1.1 103 Early Hints\nLink: </a>; rel=preload") + kOkOut),
      answered("an unknown one", "9110 15.2", "HTTP/1.1 199 X\n\n" + kOk,
               interim("HTTP/1.1 199 X") + kOkOut),
      answered("several", "9110 15.2", hints + "\n" + hints + "\nHTTP/1.1 102 X\n\n" + kOk,
               interim("HTTP/1.1 103 Early Hints\nLink: </a>; rel=preload") +
                   interim("HTTP/1.1 103 Early Hints\nLink: </a>; rel=preload") +
                   interim("HTTP/1.1 102 X") + kOkOut),
      answered("its hop-by-hop fields", "9110 7.6.1",
               "HTTP/1.1 103 X\nConnection: a\nA: 1\nKeep-Alive: x\nB: 2\n\n" + kOk,
               interim("HTTP/1.1 103 X\nB: 2") + kOkOut),
      old,
      flood,
      most,
      with_body,
      distrusted("101 that nobody asked for", "9110 15.2.2",
                 "HTTP/1.1 101 Switching\nUpgrade: websocket\nConnection: upgrade\n\n"),
      distrusted("one with chunks", "9112 6.1",
                 "HTTP/1.1 100 X\nTransfer-Encoding: chunked\n\n0\n\n" + kOk),
      distrusted("one that is malformed", "9112 5", "HTTP/1.1 103 X\nA b\n\n" + kOk),
  });
}

}  // namespace
}  // namespace ringmaster::test
