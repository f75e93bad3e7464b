// Field lines: RFC 9112 sections 2.2 and 5, RFC 9110 sections 5.1 and 5.5.
#include <gtest/gtest.h>

#include "tests/e2e/wire/rig.h"

namespace ringmaster::test {
namespace {

Row bad(const char* name, const char* rfc, const std::string& lines) {
  return refused(name, rfc, "GET / HTTP/1.1\nHost: h\n" + lines + "\n");
}

Row good(const char* name, const char* rfc, const std::string& lines) {
  return passes_fields(name, rfc, lines, lines);
}

TEST(Wire, AFieldNameIsAToken) {
  Rows rows = {
      good("all token characters", "9110 5.6.2", "!#$%&'*+-.^_`|~9Az: x\n"),
      good("in their own case and order", "9110 5.3", "b: 1\nA: 2\nB: 3\na: 4\n"),
      good("an underscore", "9110 5.1", "X_Custom: 1\n"),
      bad("an empty name", "9110 5.1", ": x\n"),
      bad("no name and no value", "9110 5.1", ":\n"),
      bad("no colon", "9112 5", "A\n"),
      bad("no colon but a value", "9112 5", "A b\n"),
      bad("a space before the colon", "9112 5.1", "A : b\n"),
      bad("a tab before the colon", "9112 5.1", "A\t: b\n"),
      bad("a space in it", "9112 5.1", "A B: c\n"),
      bad("a space in front of it", "9112 5.2", "A: b\n C: d\n"),
      refused("a space in front of the first", "9112 2.2", "GET / HTTP/1.1\n Host: h\n\n"),
      refused("a tab in front of the first", "9112 2.2", "GET / HTTP/1.1\n\tHost: h\n\n"),
      bad("obs-text", "9110 5.1", "\xc3\xa4: x\n"),
      bad("a NUL", "9110 5.1", "A{nul}B: x\n"),
      bad("a CR", "9110 5.1", "A{cr}B: x\n"),
      bad("a control character", "9110 5.1", "A\x01: x\n"),
      bad("a DEL", "9110 5.1", "A\x7f: x\n"),
  };
  for (const char c : std::string("\"(),/;<=>?@[\\]{}")) {
    rows.push_back(bad("a separator", "9110 5.6.2", std::string("A") + c + "B: x\n"));
  }
  Rig().run(rows);
}

TEST(Wire, AFieldValueIsOneLineWithoutControlCharacters) {
  Rig().run({
      good("an empty one", "9110 5.5", "A:\n"),
      good("white space around one", "9112 5.1", "A: \t b \t\n"),
      good("none around one", "9112 5.1", "A:b\n"),
      good("a colon in it", "9110 5.5", "A: b:c::d\n"),
      good("obs-text", "9110 5.5", "A: \xc3\xa4\xff\x80\xa0\n"),
      good("a tab in it", "9110 5.5", "A: b\tc\n"),
      good("twice the same", "9110 5.3", "A: b\nA: b\n"),
      good("cookies", "6265 5.4", "Cookie: a=b; c=d\nCookie: e=f\n"),
      good("quotes and commas", "9110 5.6.4", "A: \"b, c\\\"d\", e\n"),
      bad("a NUL", "9110 5.5", "A: b{nul}c\n"),
      bad("a NUL at the end", "9110 5.5", "A: b{nul}\n"),
      bad("a bare CR", "9112 2.2", "A: b{cr}c\n"),
      bad("a bare CR in front", "9112 2.2", "A:{cr}b\n"),
      bad("a bare CR at the end", "9112 2.2", "A: b{cr}\n"),
      bad("a bare LF", "9112 2.2", "A: b{lf}C: d\n"),
      bad("a control character", "9110 5.5", "A: b\x01\n"),
      bad("a vertical tab", "9110 5.5",
          "A: \x0b"
          "b\n"),
      bad("a form feed", "9110 5.5", "A: b\x0c\n"),
      bad("a backspace", "9110 5.5", "A: b\x08\n"),
      bad("an escape", "9110 5.5", "A: b\x1b[0m\n"),
      bad("a DEL", "9110 5.5", "A: b\x7f\n"),
      bad("a folded line", "9112 5.2", "A: b\n c\n"),
      bad("folded with a tab", "9112 5.2", "A: b\n\tc\n"),
      bad("folded after the colon", "9112 5.2", "A:\n b\n"),
      bad("folded with a bare LF", "9112 5.2", "A: b{lf} c\n"),
      bad("a fold that is blank", "9112 5.2", "A: b\n \n"),
      bad("a fold that hides a framing", "9112 5.2", "A: b\n Content-Length: 5\n"),
  });
}

TEST(Wire, AHeadEndsWithAnEmptyLine) {
  Rig().run({
      refused("a bare LF", "9112 2.2", "GET / HTTP/1.1\nHost: h\n{lf}"),
      refused("LF CR LF", "9112 2.2", "GET / HTTP/1.1\nHost: h{lf}\n"),
      refused("CR CR LF", "9112 2.2", "GET / HTTP/1.1\nHost: h\n{cr}\n"),
      refused("a CR without its LF", "9112 2.2", "GET / HTTP/1.1\nHost: h\n{cr}GET"),
      refused("a blank line that is not empty", "9112 2.2", "GET / HTTP/1.1\nHost: h\n \n\n"),
      refused("two bare LFs", "9112 2.2", "GET / HTTP/1.1\nHost: h{lf}{lf}"),
      refused("a bare LF between two lines", "9112 2.2", "GET / HTTP/1.1\nHost: h{lf}A: b\n\n"),
  });
}

}  // namespace
}  // namespace ringmaster::test
