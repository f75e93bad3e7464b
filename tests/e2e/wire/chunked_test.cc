// The chunked coding of requests: RFC 9112 section 7.1; trailers: RFC 9110 section 6.5.
#include <gtest/gtest.h>

#include "tests/e2e/wire/rig.h"

namespace ringmaster::test {
namespace {

const std::string kHead = "POST / HTTP/1.1\nHost: h\nTransfer-Encoding: chunked\n\n";
const std::string kHeadUpstream = "POST / HTTP/1.1\nHost: h\n{added}Transfer-Encoding: chunked\n\n";

Row good(const char* name, const char* rfc, const std::string& body, const std::string& upstream) {
  return passes(name, rfc, kHead + body, kHeadUpstream + upstream);
}

// However much of it went upstream before the fault came, it never ended there.
Row bad(const char* name, const char* rfc, const std::string& body) {
  Row row = refused(name, rfc, kHead + body);
  row.breaks_off = true;
  return row;
}

TEST(Wire, AChunkSizeIsHexadecimalDigitsAndNothingElse) {
  Rig().run({
      good("one chunk", "9112 7.1", "5\nhello\n0\n\n", "5\nhello\n0\n\n"),
      good("several, joined as they come", "9112 7.1", "2\nhe\n1\nl\n2\nlo\n0\n\n",
           "5\nhello\n0\n\n"),
      good("none", "9112 7.1", "0\n\n", "0\n\n"),
      good("hexadecimal digits in any case", "9112 7.1", "A\n0123456789\na\nabcdefghij\n0\n\n",
           "14\n0123456789abcdefghij\n0\n\n"),
      good("leading zeros", "9112 7.1", "0005\nhello\n000\n\n", "5\nhello\n0\n\n"),
      good("as many as fit", "9112 7.1", "0000000000000005\nhello\n0000000000000000\n\n",
           "5\nhello\n0\n\n"),
      good("line ends in the data", "9112 7.1", "6\n\n0\n{cr}\n0\n\n", "6\n\n0\n{cr}\n0\n\n"),
      bad("empty", "9112 7.1", "\nhello\n0\n\n"),
      bad("a prefix", "9112 7.1", "0x5\nhello\n0\n\n"),
      bad("an x behind", "9112 7.1", "5x\nhello\n0\n\n"),
      bad("a sign", "9112 7.1", "+5\nhello\n0\n\n"),
      bad("a negative", "9112 7.1", "-5\nhello\n0\n\n"),
      bad("an underscore", "9112 7.1", "0_5\nhello\n0\n\n"),
      bad("a letter", "9112 7.1", "g\nhello\n0\n\n"),
      bad("a space in front", "9112 7.1", " 5\nhello\n0\n\n"),
      bad("a space behind", "9112 7.1", "5 \nhello\n0\n\n"),
      bad("a tab behind", "9112 7.1", "5\t\nhello\n0\n\n"),
      bad("a space within", "9112 7.1", "5 5\nhello\n0\n\n"),
      bad("a comma", "9112 7.1", "5,5\nhello\n0\n\n"),
      bad("a dot", "9112 7.1", "5.0\nhello\n0\n\n"),
      bad("a quote", "9112 7.1", "\"5\"\nhello\n0\n\n"),
      bad("a NUL", "9112 7.1", "5{nul}\nhello\n0\n\n"),
      bad("obs-text", "9112 7.1", "5\xa0\nhello\n0\n\n"),
      bad("seventeen digits", "9112 7.1", "00000000000000005\nhello\n0\n\n"),
      bad("2^64 + 5", "9112 7.1", "10000000000000005\nhello\n0\n\n"),
      bad("2^64 - 1", "9112 7.1", "ffffffffffffffff\nhello\n0\n\n"),
      bad("2^63", "9112 7.1", "8000000000000000\nhello\n0\n\n"),
      bad("no size at all", "9112 7.1", "hello\n0\n\n"),
  });
}

TEST(Wire, AChunkEndsWhereItsSizeSays) {
  Rig().run({
      bad("a bare LF behind a size", "9112 7.1", "5{lf}hello\n0\n\n"),
      bad("a bare CR behind a size", "9112 7.1", "5{cr}hello\n0\n\n"),
      bad("CR CR LF behind a size", "9112 7.1", "5{cr}\nhello\n0\n\n"),
      bad("a bare LF behind data", "9112 7.1", "5\nhello{lf}0\n\n"),
      bad("a bare CR behind data", "9112 7.1", "5\nhello{cr}0\n\n"),
      bad("nothing behind data", "9112 7.1", "5\nhello0\n\n"),
      bad("something else behind data", "9112 7.1", "5\nhelloXX0\n\n"),
      bad("an empty line too many", "9112 7.1", "5\nhello\n\n0\n\n"),
      bad("more data than it says", "9112 7.1", "5\nhello!!\n0\n\n"),
      bad("less data than it says", "9112 7.1", "5\nhel\n0\n\n"),
      bad("a bare LF behind the last size", "9112 7.1", "5\nhello\n0{lf}\n"),
      bad("a bare LF at the end", "9112 7.1", "5\nhello\n0\n{lf}"),
      bad("a bare CR at the end", "9112 7.1", "5\nhello\n0\n{cr}X"),
      bad("no empty line but a request", "9112 7.1", "5\nhello\n0\nGET / HTTP/1.1\nHost: h\n\n"),
      bad("a space for the empty line", "9112 7.1", "5\nhello\n0\n \n\n"),
      bad("a second size line with spaces", "9112 7.1", "5\nhello\n 0\n\n"),
  });
}

TEST(Wire, ChunkExtensionsAreCheckedAndDropped) {
  const auto kept = [](const char* name, const std::string& extension) {
    return good(name, "9112 7.1.1", "5" + extension + "\nhello\n0\n\n", "5\nhello\n0\n\n");
  };
  const auto refusing = [](const char* name, const std::string& extension) {
    return bad(name, "9112 7.1.1", "5" + extension + "\nhello\n0\n\n");
  };
  Rig().run({
      kept("a name", ";a"),
      kept("a value", ";a=b"),
      kept("a quoted value", ";a=\"b c;d\""),
      kept("an escape in it", ";a=\"b\\\"c\""),
      kept("an empty quoted value", ";a=\"\""),
      kept("several", ";a=b;c;d=\"e\""),
      kept("white space around it", " ; a = b"),
      good("on the last chunk", "9112 7.1.1", "5\nhello\n0;a=b\n\n", "5\nhello\n0\n\n"),
      refusing("no name", ";"),
      refusing("no name but a value", ";=b"),
      refusing("no value", ";a="),
      refusing("an open quote", ";a=\"b"),
      refusing("bytes behind a quote", ";a=\"b\"c"),
      refusing("a bare LF", ";a{lf}b"),
      refusing("a bare CR", ";a{cr}b"),
      refusing("a bare LF in quotes", ";a=\"{lf}\""),
      refusing("a CRLF in quotes", ";a=\"\n\""),
      refusing("a NUL", ";a{nul}"),
      refusing("a control character", ";a=\x01"),
      refusing("obs-text in a name", ";\xc3\xa4"),
      refusing("a separator", ";a@b"),
      refusing("two semicolons", ";;a"),
      refusing("a space at the end", ";a=b "),
      refusing("another sign", ",a"),
      kept("as long as may be", ";a=" + std::string(250, 'x')),
      refusing("a byte longer", ";a=" + std::string(251, 'x')),
      refusing("a very long one", ";a=" + std::string(300, 'x')),
      refusing("a CR in quotes", ";a=\"{cr}\""),
      refusing("an escaped line end", ";a=\"\\\n\""),
      refusing("a NUL in quotes", ";a=\"{nul}\""),
      kept("obs-text in quotes", ";a=\"\xc3\xa4\""),
  });
}

TEST(Wire, TrailersPassButNoneThatBelongsInAHead) {
  const auto kept = [](const char* name, const std::string& in, const std::string& out) {
    return good(name, "9110 6.5", "5\nhello\n0\n" + in + "\n", "5\nhello\n0\n" + out + "\n");
  };
  const auto dropped = [kept](const char* name, const std::string& line) {
    return kept(name, line + "X-Sum: 1\n", "X-Sum: 1\n");
  };
  const auto refusing = [](const char* name, const char* rfc, const std::string& lines) {
    return bad(name, rfc, "5\nhello\n0\n" + lines + "\n");
  };
  Rig().run({
      kept("stay trailers", "X-Sum: 1\n", "X-Sum: 1\n"),
      kept("in their order and case", "b: 1\nA:2\nb:  3\n", "b: 1\nA:2\nb:  3\n"),
      kept("empty values", "X-Sum:\n", "X-Sum:\n"),
      dropped("Content-Length", "Content-Length: 9\n"),
      dropped("Transfer-Encoding", "transfer-encoding: chunked\n"),
      dropped("Host", "Host: evil\n"),
      dropped("Authorization", "Authorization: x\n"),
      dropped("Cookie", "Cookie: a=b\n"),
      dropped("Connection", "Connection: close\n"),
      dropped("Upgrade", "Upgrade: websocket\n"),
      dropped("Expect", "Expect: 100-continue\n"),
      dropped("Content-Type", "Content-Type: x\n"),
      dropped("Content-Encoding", "Content-Encoding: gzip\n"),
      dropped("Trailer", "Trailer: X\n"),
      dropped("TE", "TE: trailers\n"),
      dropped("Via", "Via: 1.1 x\n"),
      dropped("X-Forwarded-For", "X-Forwarded-For: 10.0.0.1\n"),
      dropped("its alias", "X_Forwarded_For: 10.0.0.1\n"),
      dropped("Proxy-Authorization", "Proxy-Authorization: x\n"),
      dropped("If-Match", "If-Match: x\n"),
      dropped("Max-Forwards", "Max-Forwards: 1\n"),
      dropped("Forwarded", "Forwarded: for=x\n"),
      dropped("X-Real-IP", "X-Real-IP: 10.0.0.1\n"),
      dropped("X-Request-Id", "X-Request-Id: x\n"),
      dropped("Keep-Alive", "Keep-Alive: timeout=5\n"),
      dropped("Content-Range", "Content-Range: bytes 0-1/2\n"),
      dropped("Range", "Range: bytes=0-1\n"),
      dropped("Cache-Control", "Cache-Control: no-cache\n"),
      dropped("Transfer-Encoding by another name", "Transfer_Encoding: chunked\n"),
      dropped("a name too long to know", std::string(65, 'n') + ": x\n"),
      kept("obs-text in a value", "X-Sum: \xc3\xa4\n", "X-Sum: \xc3\xa4\n"),
      kept("as many as may be", "A: " + std::string(4089, 'x') + "\n",
           "A: " + std::string(4089, 'x') + "\n"),
      refusing("a byte more", "9110 6.5", "A: " + std::string(4090, 'x') + "\n"),
      passes("one that Connection names goes no further", "9110 7.6.1",
             "POST / HTTP/1.1\nHost: h\nConnection: x-hop\nTransfer-Encoding: chunked\n\n"
             "5\nhello\n0\nX-Hop: 1\n\n",
             kHeadUpstream + "5\nhello\n0\n\n"),
      passes("others stay where Connection names none", "9110 7.6.1",
             "POST / HTTP/1.1\nHost: h\nConnection: keep-alive, TE\nTE: trailers\n"
             "Transfer-Encoding: chunked\n\n5\nhello\n0\nX-Sum: 1\n\n",
             kHeadUpstream + "5\nhello\n0\nX-Sum: 1\n\n"),
      passes("Trailer goes with them", "9110 6.6.2",
             "POST / HTTP/1.1\nHost: h\nTrailer: X-Sum\nTransfer-Encoding: chunked\n\n"
             "5\nhello\n0\nX-Sum: 1\n\n",
             "POST / HTTP/1.1\nHost: h\nTrailer: X-Sum\n{added}Transfer-Encoding: chunked\n\n"
             "5\nhello\n0\nX-Sum: 1\n\n"),
      refusing("a space in front of the first", "9112 5.2", " A: b\n"),
      refusing("a tab in front of the first", "9112 5.2", "\tA: b\n"),
      refusing("a control character", "9110 5.5", "A: \x01\n"),
      refusing("a space before the colon", "9112 5.1", "A : b\n"),
      refusing("no colon", "9112 5", "A\n"),
      refusing("no name", "9110 5.1", ": b\n"),
      refusing("a folded one", "9112 5.2", "A: b\n c\n"),
      refusing("a bare LF", "9112 2.2", "A: b{lf}C: d\n"),
      refusing("a bare CR", "9112 2.2", "A: b{cr}c\n"),
      refusing("a NUL", "9110 5.5", "A: b{nul}\n"),
      refusing("obs-text in a name", "9110 5.1", "\xc3\xa4: b\n"),
      refusing("too many of them", "9110 6.5", "A: " + std::string(5000, 'x') + "\n"),
  });
}

}  // namespace
}  // namespace ringmaster::test
