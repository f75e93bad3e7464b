// Where a request ends, and every way that is known to make two readers differ about it: RFC 9112
// section 6. The sources: Linhart et al. 2005, Klein 2020, Kettle's desync series 2019-2025, the
// CVEs of the field. Each of these carries a second request behind the first: who misreads it,
// answers it.
#include <gtest/gtest.h>

#include "tests/e2e/wire/rig.h"

namespace ringmaster::test {
namespace {

const std::string kSmuggled = "GET /smuggled HTTP/1.1\nHost: h\n\n";

std::string post(const std::string& lines, const std::string& body) {
  return "POST / HTTP/1.1\nHost: h\n" + lines + "\n" + body;
}

Row bad(const std::string& name, const char* rfc, const std::string& lines,
        const std::string& body = "5\nhello\n0\n\n", const char* label = "bad_request") {
  return refused(name, rfc, post(lines, body + kSmuggled), label);
}

Row good(const char* name, const char* rfc, const std::string& lines, const std::string& body,
         const std::string& upstream_lines, const std::string& upstream_body) {
  return passes(name, rfc, post(lines, body),
                "POST / HTTP/1.1\nHost: h\n{added}" + upstream_lines + "\n" + upstream_body);
}

TEST(Wire, ALengthIsOneDecimalNumber) {
  Rows rows = {
      good("a body", "9112 6.2", "Content-Length: 5\n", "hello", "Content-Length: 5\n", "hello"),
      good("an empty one", "9112 6.2", "Content-Length: 0\n", "", "Content-Length: 0\n", ""),
      good("none", "9112 6.3", "", "", "", ""),
      good("white space around it", "9112 5.1", "Content-Length: \t5 \t\n", "hello",
           "Content-Length: 5\n", "hello"),
      good("leading zeros", "9110 8.6", "Content-Length: 0005\n", "hello", "Content-Length: 5\n",
           "hello"),
      good("its name in any case", "9110 5.1", "cOnTeNt-lEnGtH: 5\n", "hello",
           "Content-Length: 5\n", "hello"),
      good("any bytes", "9110 8.6", "Content-Length: 7\n", "{nul}{cr}{lf}\x80\xff{cr}{lf}",
           "Content-Length: 7\n", "{nul}{cr}{lf}\x80\xff{cr}{lf}"),
      good("what looks like a request", "9112 6.2", "Content-Length: 37\n", kSmuggled + "..",
           "Content-Length: 37\n", kSmuggled + ".."),
      bad("twice, differing", "9112 6.3", "Content-Length: 5\nContent-Length: 6\n"),
      bad("twice the same", "9112 6.3", "Content-Length: 5\nContent-Length: 5\n"),
      bad("far apart", "9112 6.3", "Content-Length: 5\nA: b\nC: d\ncontent-length: 0\n"),
      bad("a list", "9112 6.3", "Content-Length: 5, 5\n"),
      bad("a differing list", "9112 6.3", "Content-Length: 5, 6\n"),
      bad("a list with an empty member", "9110 8.6", "Content-Length: 5,\n"),
      bad("beginning with one", "9110 8.6", "Content-Length: ,5\n"),
      bad("empty", "9110 8.6", "Content-Length:\n"),
      bad("blank", "9110 8.6", "Content-Length:  \n"),
      bad("more than 2^64", "9110 8.6", "Content-Length: 18446744073709551621\n"),
      bad("2^64", "9110 8.6", "Content-Length: 18446744073709551616\n"),
      bad("2^64 - 1", "9110 8.6", "Content-Length: 18446744073709551615\n"),
      bad("2^63", "9110 8.6", "Content-Length: 9223372036854775808\n"),
      bad("forty digits", "9110 8.6", "Content-Length: " + std::string(40, '9') + "\n"),
      bad("a space before the colon", "9112 5.1", "Content-Length : 5\n"),
      bad("a tab before the colon", "9112 5.1", "Content-Length\t: 5\n"),
      bad("folded", "9112 5.2", "Content-Length:\n 5\n"),
      bad("a value folded away", "9112 5.2", "Content-Length: 5\n 6\n"),
      bad("a NUL behind it", "9110 5.5", "Content-Length: 5{nul}\n"),
      bad("a CR before the name", "9112 2.2", "A: b\n{cr}Content-Length: 5\n"),
      bad("a CR within the name", "9112 2.2", "Con{cr}tent-Length: 5\n"),
      bad("junk between name and colon", "9112 5.1", "Content-Length abcde: 5\n"),
      good("dropped by another name", "9110 5.1", "Content_Length: 9\nContent-Length: 5\n", "hello",
           "Content-Length: 5\n", "hello"),
  };
  for (const char* value : {"+5", "-5", "-0", "0x5", "5.0", "5e0", "5 5", "5;", "5a", "a", "0o5",
                            "5_0", "\"5\"", "'5'", "5,5",
                            "\x0b"
                            "5",
                            "5\x0c", "\xc2\xb2", "5\xa0"}) {
    rows.push_back(bad(std::string("Content-Length ") + value, "9110 8.6",
                       std::string("Content-Length: ") + value + "\n"));
  }
  Rig().run(rows);
}

TEST(Wire, TheOnlyTransferEncodingIsChunked) {
  const auto chunked = [](const char* name, const char* rfc, const std::string& line) {
    return good(name, rfc, line, "5\nhello\n0\n\n", "Transfer-Encoding: chunked\n",
                "5\nhello\n0\n\n");
  };
  Rows rows = {
      chunked("chunked", "9112 6.1", "Transfer-Encoding: chunked\n"),
      chunked("in any case", "9112 7", "tRANSFER-eNCODING: cHUNKED\n"),
      chunked("white space around it", "9112 5.1", "Transfer-Encoding:\t chunked \t\n"),
      chunked("no white space", "9112 5.1", "Transfer-Encoding:chunked\n"),
      bad("twice", "9112 6.1", "Transfer-Encoding: chunked\nTransfer-Encoding: chunked\n"),
      bad("twice, the other identity", "9112 6.1",
          "Transfer-Encoding: identity\nTransfer-Encoding: chunked\n"),
      bad("twice, the other behind", "9112 6.1",
          "Transfer-Encoding: chunked\nTransfer-Encoding: identity\n"),
      bad("twice, the other empty", "9112 6.1", "Transfer-Encoding:\nTransfer-Encoding: chunked\n"),
      bad("with a length", "9112 6.1", "Transfer-Encoding: chunked\nContent-Length: 5\n"),
      bad("behind a length", "9112 6.1", "Content-Length: 5\nTransfer-Encoding: chunked\n"),
      bad("with a length of 0", "9112 6.1", "Content-Length: 0\nTransfer-Encoding: chunked\n"),
      bad("with a bad length", "9112 6.1", "Content-Length: x\nTransfer-Encoding: chunked\n"),
      bad("unknown with a length", "9112 6.1", "Transfer-Encoding: x\nContent-Length: 5\n"),
      bad("empty with a length", "9112 6.1", "Transfer-Encoding:\nContent-Length: 5\n"),
      bad("gzip, chunked", "9112 6.1", "Transfer-Encoding: gzip, chunked\n", "", "not_implemented"),
      bad("an unknown coding, chunked", "9112 6.1", "Transfer-Encoding: x, chunked\n", "",
          "not_implemented"),
      bad("identity, chunked", "9112 6.1", "Transfer-Encoding: identity, chunked\n", "",
          "not_implemented"),
      bad("a space before the colon", "9112 5.1", "Transfer-Encoding : chunked\n"),
      bad("a tab before the colon", "9112 5.1", "Transfer-Encoding\t: chunked\n"),
      bad("a space in front", "9112 5.2", "A: b\n Transfer-Encoding: chunked\n"),
      bad("a tab in front", "9112 5.2", "A: b\n\tTransfer-Encoding: chunked\n"),
      bad("folded", "9112 5.2", "Transfer-Encoding:\n chunked\n"),
      bad("folded with a tab", "9112 5.2", "Transfer-Encoding:\n\tchunked\n"),
      bad("folded behind", "9112 5.2", "Transfer-Encoding: chunked\n , identity\n"),
      bad("folded with a bare LF", "9112 5.2", "Transfer-Encoding:{lf} chunked\n"),
      bad("behind a bare CR", "9112 2.2", "A: b{cr}Transfer-Encoding: chunked\n"),
      bad("behind a bare LF", "9112 2.2", "A: b{lf}Transfer-Encoding: chunked\n"),
      bad("behind LF LF", "9112 2.2", "A: b{lf}{lf}Transfer-Encoding: chunked\n"),
      bad("behind CR LF CR", "9112 2.2", "A: b\n{cr}Transfer-Encoding: chunked\n"),
      bad("a CR in the name", "9112 2.2", "Tra{cr}nsfer-Encoding: chunked\n"),
      bad("a space in the name", "9112 5.1", "Transfer Encoding: chunked\n"),
      bad("a backslash in the name", "9112 5.1", "Transfer\\Encoding: chunked\n"),
      bad("junk behind the name", "9112 5.1", "Transfer-Encoding x: chunked\n"),
      bad("obs-text in the name", "9110 5.1", "Transf\x82r-Encoding: chunked\n"),
      bad("two colons", "9112 6.1", "Transfer-Encoding:: chunked\n"),
      bad("a NUL in the name", "9110 5.1", "Transfer-Encoding{nul}: chunked\n"),
      bad("a CR behind the value", "9112 2.2", "Transfer-Encoding: chunked{cr}\n"),
      bad("a NUL before the value", "9110 5.5", "Transfer-Encoding: {nul}chunked\n"),
      bad("a NUL behind the value", "9110 5.5", "Transfer-Encoding: chunked{nul}\n"),
      bad("a LF before the value", "9112 2.2", "Transfer-Encoding: {lf}chunked\n"),
      good("dropped by another name", "9110 5.1", "Transfer_Encoding: chunked\n", "", "", ""),
      good("dropped though the length counts", "9110 5.1",
           "Transfer_Encoding: chunked\nContent-Length: 5\n", "hello", "Content-Length: 5\n",
           "hello"),
      passes("in Content-Encoding it is none", "9110 8.4",
             post("Content-Encoding: chunked\nContent-Length: 5\n", "hello"),
             "POST / HTTP/1.1\nHost: h\nContent-Encoding: chunked\n{added}Content-Length: "
             "5\n\nhello"),
  };
  for (const char* value : {"",
                            "identity",
                            "gzip",
                            "chunked, identity",
                            "identity, chunked, identity",
                            "chunked, gzip",
                            "chunked, chunked",
                            "chunked,",
                            ",chunked",
                            ", chunked",
                            "chunked,,",
                            "gzip,, chunked",
                            "chunked;q=1",
                            "chunked; a=b",
                            "chunked; foo",
                            "\"chunked\"",
                            "'chunked'",
                            "chunke",
                            "chunkedd",
                            "xchunked",
                            "chunk",
                            "chunked x",
                            "x chunked",
                            "chunked=",
                            "(chunked)",
                            "\x0b"
                            "chunked",
                            "chunked\x0b",
                            "\x0c"
                            "chunked",
                            "chunked\x0c",
                            "\x7f"
                            "chunked",
                            "chunked\x7f",
                            "\xa0"
                            "chunked",
                            "chunked\xa0",
                            "\xff"
                            "chunked",
                            "ch\x96nked",
                            "chunked\x01",
                            "c hunked",
                            "chunked/1",
                            "cow",
                            "[]",
                            "\\chunked"}) {
    rows.push_back(bad(std::string("Transfer-Encoding ") + value, "9112 6.1",
                       std::string("Transfer-Encoding: ") + value + "\n"));
  }
  Rig().run(rows);
}

TEST(Wire, AnHttp10RequestHasNoTransferEncoding) {
  const auto old = [](const char* name, const std::string& lines, const std::string& body) {
    return refused(name, "9112 6.1",
                   "POST / HTTP/1.0\nHost: h\n" + lines + "\n" + body + kSmuggled);
  };
  Row length =
      passes("a length", "9112 6.3", "POST / HTTP/1.0\nHost: h\nContent-Length: 5\n\nhello",
             "POST / HTTP/1.1\nHost: h\n" + added_for("h", "1.0") + "Content-Length: 5\n\nhello");
  length.out = kOkOutClose;
  length.client = Left::kClosed;
  Rig().run({
      old("chunked", "Transfer-Encoding: chunked\n", "5\nhello\n0\n\n"),
      old("with keep-alive", "Transfer-Encoding: chunked\nConnection: keep-alive\n",
          "5\nhello\n0\n\n"),
      old("chunked with a length", "Transfer-Encoding: chunked\nContent-Length: 5\n", "hello"),
      old("an unknown coding", "Transfer-Encoding: x\n", ""),
      old("identity", "Transfer-Encoding: identity\n", ""),
      old("an empty one", "Transfer-Encoding:\n", ""),
      old("two lengths", "Content-Length: 5\nContent-Length: 0\n", "hello"),
      old("a length with a sign", "Content-Length: +5\n", "hello"),
      length,
  });
}

}  // namespace
}  // namespace ringmaster::test
