// Host, and what stands in its place: RFC 9112 section 3.2, RFC 9110 sections 4.2 and 7.2.
#include <gtest/gtest.h>

#include "tests/e2e/wire/rig.h"

namespace ringmaster::test {
namespace {

Row valid(const char* name, const char* rfc, const std::string& host) {
  return passes(name, rfc, "GET / HTTP/1.1\nHost: " + host + "\n\n",
                "GET / HTTP/1.1\nHost: " + host + "\n" + added_for(host) + "\n");
}

Row invalid(const char* name, const char* rfc, const std::string& host) {
  return refused(name, rfc, "GET / HTTP/1.1\nHost:" + host + "\n\n");
}

TEST(Wire, ARequestNamesOneValidHost) {
  Rig().run({
      valid("a name", "3986 3.2.2", "example.com"),
      valid("with a port", "3986 3.2.3", "example.com:8080"),
      valid("with an empty port", "3986 3.2.3", "example.com:"),
      valid("an IPv4 address", "3986 3.2.2", "192.0.2.1:80"),
      valid("an IPv6 address", "3986 3.2.2", "[2001:db8::1]"),
      valid("with a port too", "3986 3.2.2", "[::1]:443"),
      valid("an IPv4 address in it", "3986 3.2.2", "[::ffff:192.0.2.1]"),
      valid("a future address", "3986 3.2.2", "[v1.a:b]"),
      valid("an underscore", "3986 3.2.2", "a_b"),
      valid("an escape", "3986 3.2.2", "a%20b"),
      valid("the highest port", "3986 3.2.3", "h:65535"),
      valid("a dot at its end", "3986 3.2.2", "example.com."),
      valid("sub-delimiters", "3986 3.2.2", "a!$&'()*+;=b"),
      passes("white space around it", "9112 5.1", "GET / HTTP/1.1\nHost: \t h \t\n\n",
             kGetUpstream),
      passes("its name in any case", "9110 5.1", "GET / HTTP/1.1\nhOSt:h\n\n", kGetUpstream),
      refused("none", "9112 3.2", "GET / HTTP/1.1\n\n"),
      refused("none, but in the target", "9112 3.2", "GET http://h/ HTTP/1.1\n\n"),
      refused("two", "9112 3.2", "GET / HTTP/1.1\nHost: a\nHost: b\n\n"),
      refused("two alike", "9112 3.2", "GET / HTTP/1.1\nHost: h\nHost: h\n\n"),
      refused("two, one of them empty", "9112 3.2", "GET / HTTP/1.1\nHost:\nHost: h\n\n"),
      refused("two far apart", "9112 3.2", "GET / HTTP/1.1\nHost: h\nA: b\nC: d\nhost: h\n\n"),
      invalid("empty", "9110 4.2.1", ""),
      invalid("blank", "9110 4.2.1", "  "),
      invalid("a list", "9110 7.2", " a, b"),
      invalid("a list without spaces", "9110 7.2", " a,b"),
      invalid("user information", "9110 4.2.4", " u@h"),
      invalid("with a password", "9110 4.2.4", " u:p@h"),
      invalid("a path", "9110 7.2", " h/a"),
      invalid("a query", "9110 7.2", " h?a"),
      invalid("a fragment", "9110 7.2", " h#a"),
      invalid("a URI", "9110 7.2", " http://h"),
      invalid("a space in it", "9110 7.2", " a b"),
      invalid("a tab in it", "9110 7.2", " a\tb"),
      invalid("a backslash", "9110 7.2", " a\\b"),
      invalid("a quote", "9110 7.2", " \"h\""),
      invalid("a port that is no number", "3986 3.2.3", " h:x"),
      invalid("a port too big", "3986 3.2.3", " h:65536"),
      invalid("a negative port", "3986 3.2.3", " h:-1"),
      invalid("two ports", "3986 3.2.3", " h:1:2"),
      invalid("a port alone", "3986 3.2", " :80"),
      invalid("an open bracket", "3986 3.2.2", " [::1"),
      invalid("a closed bracket", "3986 3.2.2", " ::1]"),
      invalid("no brackets", "3986 3.2.2", " 2001:db8::1"),
      invalid("empty brackets", "3986 3.2.2", " []"),
      invalid("a name in brackets", "3986 3.2.2", " [h]"),
      invalid("an IPv4 address in brackets", "3986 3.2.2", " [192.0.2.1]"),
      invalid("bytes behind the bracket", "3986 3.2.2", " [::1]h"),
      invalid("a zone", "3986 3.2.2", " [fe80::1%25eth0]"),
      invalid("too many groups", "3986 3.2.2", " [1:2:3:4:5:6:7:8:9]"),
      invalid("half an escape", "3986 2.1", " a%2"),
      invalid("junk behind brackets", "3986 3.2.2", " [::1]x"),
      invalid("brackets that do not begin it", "3986 3.2.2", " h[::1]"),
      invalid("a space before the port", "3986 3.2.3", " h :80"),
      invalid("a space behind the colon", "3986 3.2.3", " h: 80"),
      invalid("a port with a sign", "3986 3.2.3", " h:+80"),
      invalid("a port of many digits", "3986 3.2.3", " h:18446744073709551696"),
      invalid("a port twice as high", "3986 3.2.3", " [::1]:131072"),
      invalid("obs-text", "3986 3.2.2", " h\xc3\xa4"),
      invalid("a NUL", "9110 5.5", " h{nul}"),
      refused("a space before its colon", "9112 5.1", "GET / HTTP/1.1\nHost : h\n\n"),
      refused("a folded one", "9112 5.2", "GET / HTTP/1.1\nHost:\n h\n\n"),
  });
}

TEST(Wire, AbsoluteFormOverridesHost) {
  const auto wins = [](const char* name, const std::string& target, const std::string& line,
                       const std::string& host) {
    return passes(name, "9112 3.2.2", "GET " + target + " HTTP/1.1\nHost: other\n\n",
                  "GET " + line + " HTTP/1.1\nHost: " + host + "\n" + added_for(host) + "\n");
  };
  Rig().run({
      wins("another name", "http://h/a", "/a", "h"),
      wins("another port", "http://h:81/a", "/a", "h:81"),
      wins("an IPv6 address", "http://[::1]:81", "/", "[::1]:81"),
      wins("an empty port", "http://h:/a", "/a", "h:"),
      wins("in its own case", "http://H.Example/a", "/a", "H.Example"),
      refused("with an invalid Host", "9112 3.2", "GET http://h/ HTTP/1.1\nHost: a b\n\n"),
      refused("with two of them", "9112 3.2", "GET http://h/ HTTP/1.1\nHost: h\nHost: h\n\n"),
      refused("with an empty one", "9110 4.2.1", "GET http://h/ HTTP/1.1\nHost:\n\n"),
  });
}

}  // namespace
}  // namespace ringmaster::test
