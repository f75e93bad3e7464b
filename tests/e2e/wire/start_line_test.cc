// Request lines: RFC 9112 sections 2.2, 2.3 and 3; methods: RFC 9110 section 9.
#include <gtest/gtest.h>

#include "tests/e2e/wire/rig.h"

namespace ringmaster::test {
namespace {

// A request line in front of a sound head, in and out.
Row line(const char* name, const char* rfc, const std::string& in, const std::string& out) {
  return passes(name, rfc, in + "\nHost: h\n\n", out + "\nHost: h\n{added}\n");
}

Row bad_line(const char* name, const char* rfc, const std::string& in,
             const char* label = "bad_request") {
  return refused(name, rfc, in + "\nHost: h\n\n", label);
}

TEST(Wire, EveryMethodPassesButConnect) {
  Rows rows = {
      line("any token is a method", "9110 9.1", "BREW /pot HTTP/1.1", "BREW /pot HTTP/1.1"),
      line("in its own case", "9110 9.1", "get / HTTP/1.1", "get / HTTP/1.1"),
      line("of all token characters", "9110 5.6.2", "!#$%&'*+-.^_`|~9Az / HTTP/1.1",
           "!#$%&'*+-.^_`|~9Az / HTTP/1.1"),
      bad_line("no separator in a method", "9112 3.1", "GE(T / HTTP/1.1"),
      bad_line("no obs-text in a method", "9112 3.1", "G\xc3\x89T / HTTP/1.1"),
      bad_line("no NUL in a method", "9112 3.1", "GE{nul}T / HTTP/1.1"),
      bad_line("no empty method", "9112 3.1", " / HTTP/1.1"),
      bad_line("no colon in a method", "9112 3.1", "GET: / HTTP/1.1"),
      refused("CONNECT", "9110 9.3.6", "CONNECT h:443 HTTP/1.1\nHost: h:443\n\n",
              "method_not_allowed"),
      refused("CONNECT with a path", "9110 9.3.6", "CONNECT / HTTP/1.1\nHost: h\n\n",
              "method_not_allowed"),
      refused("CONNECT with a body", "9110 9.3.6",
              "CONNECT h:1 HTTP/1.1\nHost: h\nContent-Length: 3\n\nabc", "method_not_allowed"),
      refused("CONNECT in absolute form", "9110 9.3.6", "CONNECT http://h/ HTTP/1.1\nHost: h\n\n",
              "method_not_allowed"),
      refused("CONNECT in HTTP/1.0", "9110 9.3.6", "CONNECT h:443 HTTP/1.0\n\n",
              "method_not_allowed"),
      refused("connect is another method", "9110 9.1", "connect h:443 HTTP/1.1\nHost: h:443\n\n"),
      refused("an answer for a request", "9112 3", "HTTP/1.1 200 OK\nHost: h\n\n"),
      refused("TRACE has no content", "9110 9.3.8",
              "TRACE / HTTP/1.1\nHost: h\nContent-Length: 3\n\nabc"),
      refused("TRACE has no chunks", "9110 9.3.8",
              "TRACE / HTTP/1.1\nHost: h\nTransfer-Encoding: chunked\n\n0\n\n"),
      passes("TRACE without content", "9110 9.3.8", "TRACE / HTTP/1.1\nHost: h\n\n",
             "TRACE / HTTP/1.1\nHost: h\n{added}\n"),
      passes("GET may have content", "9110 9.3.1",
             "GET / HTTP/1.1\nHost: h\nContent-Length: 3\n\nabc",
             "GET / HTTP/1.1\nHost: h\n{added}Content-Length: 3\n\nabc"),
      passes("GET may have chunks", "9110 9.3.1",
             "GET / HTTP/1.1\nHost: h\nTransfer-Encoding: chunked\n\n3\nabc\n0\n\n",
             "GET / HTTP/1.1\nHost: h\n{added}Transfer-Encoding: chunked\n\n3\nabc\n0\n\n"),
      passes("TRACE may have none, and say so", "9110 9.3.8",
             "TRACE / HTTP/1.1\nHost: h\nContent-Length: 0\n\n",
             "TRACE / HTTP/1.1\nHost: h\n{added}Content-Length: 0\n\n"),
      passes("DELETE may have content", "9110 9.3.5",
             "DELETE /x HTTP/1.1\nHost: h\nContent-Length: 1\n\na",
             "DELETE /x HTTP/1.1\nHost: h\n{added}Content-Length: 1\n\na"),
      passes("OPTIONS may have content", "9110 9.3.7",
             "OPTIONS /x HTTP/1.1\nHost: h\nContent-Length: 1\n\na",
             "OPTIONS /x HTTP/1.1\nHost: h\n{added}Content-Length: 1\n\na"),
  };
  Row head = passes("HEAD has no body in its answer", "9110 9.3.2", "HEAD / HTTP/1.1\nHost: h\n\n",
                    "HEAD / HTTP/1.1\nHost: h\n{added}\n");
  head.said = {{{.bytes = "HTTP/1.1 200 OK\nContent-Length: 2\n\n"}}};
  head.out = "HTTP/1.1 200 OK\n{added}Content-Length: 2\n\n";
  rows.push_back(head);
  head.name = "HEAD may have content all the same";
  head.in = "HEAD / HTTP/1.1\nHost: h\nContent-Length: 3\n\nabc";
  head.upstream = {"HEAD / HTTP/1.1\nHost: h\n{added}Content-Length: 3\n\nabc"};
  rows.push_back(head);
  Row refused_head = refused("nor in ours", "9110 9.3.2", "HEAD / HTTP/1.1\nHost: h\nHost: h\n\n");
  refused_head.out = refusal("bad_request", true, /*head_only=*/true);
  rows.push_back(refused_head);
  refused_head.name = "nor where the target is refused";
  refused_head.in = "HEAD /x#f HTTP/1.1\nHost: h\n\n";
  rows.push_back(refused_head);
  refused_head.name = "nor where the version is";
  refused_head.in = "HEAD / HTTP/1.7\nHost: h\n\n";
  refused_head.out = refusal("bad_version", true, /*head_only=*/true);
  rows.push_back(refused_head);
  Rig().run(rows);
}

TEST(Wire, ATargetPassesInOriginForm) {
  Rig().run({
      line("a query", "9112 3.2.1", "GET /a?b=c&d HTTP/1.1", "GET /a?b=c&d HTTP/1.1"),
      line("an empty query", "9112 3.2.1", "GET /? HTTP/1.1", "GET /? HTTP/1.1"),
      line("dots are the backend's business", "3986 6.2", "GET /a/../b/./c HTTP/1.1",
           "GET /a/../b/./c HTTP/1.1"),
      line("so are escapes", "3986 6.2", "GET /%2e%2E/%00%0d%0a%zz HTTP/1.1",
           "GET /%2e%2E/%00%0d%0a%zz HTTP/1.1"),
      line("and double slashes", "3986 6.2", "GET //h//x HTTP/1.1", "GET //h//x HTTP/1.1"),
      line("and other bytes", "9112 3.2", "GET /\"<>\\^`{|}\xc3\xa4\xff HTTP/1.1",
           "GET /\"<>\\^`{|}\xc3\xa4\xff HTTP/1.1"),
      line("semicolons", "3986 3.3", "GET /a;b=c;d HTTP/1.1", "GET /a;b=c;d HTTP/1.1"),
      line("an absolute form", "9112 3.2.2", "GET http://h/a?b HTTP/1.1", "GET /a?b HTTP/1.1"),
      line("in any case", "9112 3.2.2", "GET HTTP://h/a HTTP/1.1", "GET /a HTTP/1.1"),
      line("https too", "9112 3.2.2", "GET https://h/a HTTP/1.1", "GET /a HTTP/1.1"),
      line("without a path", "9112 3.2.2", "GET http://h HTTP/1.1", "GET / HTTP/1.1"),
      line("with a query only", "9112 3.2.2", "GET http://h?q HTTP/1.1", "GET /?q HTTP/1.1"),
      line("a query that looks like a path", "9112 3.2.2", "GET http://h?q/r HTTP/1.1",
           "GET /?q/r HTTP/1.1"),
      line("an absolute form in an absolute form", "9112 3.2.2", "GET http://h/http://x/ HTTP/1.1",
           "GET /http://x/ HTTP/1.1"),
      line("an absolute form in a path", "9112 3.2.1", "GET /http://x/ HTTP/1.1",
           "GET /http://x/ HTTP/1.1"),
      line("an asterisk in a path", "9112 3.2.1", "GET /* HTTP/1.1", "GET /* HTTP/1.1"),
      line("at signs and colons", "9112 3.2.1", "GET /a@b:80/c HTTP/1.1", "GET /a@b:80/c HTTP/1.1"),
      line("OPTIONS of a server", "9112 3.2.4", "OPTIONS * HTTP/1.1", "OPTIONS * HTTP/1.1"),
      line("in absolute form", "9112 3.2.4", "OPTIONS http://h HTTP/1.1", "OPTIONS * HTTP/1.1"),
      line("but not with a path", "9112 3.2.4", "OPTIONS http://h/ HTTP/1.1", "OPTIONS / HTTP/1.1"),
      bad_line("an asterisk with another method", "9112 3.2.4", "GET * HTTP/1.1"),
      bad_line("more than an asterisk", "9112 3.2.4", "OPTIONS ** HTTP/1.1"),
      bad_line("a fragment", "9112 3.2", "GET /a#b HTTP/1.1"),
      bad_line("a fragment in absolute form", "9112 3.2.2", "GET http://h/#b HTTP/1.1"),
      bad_line("a space", "9112 3.2", "GET /a b HTTP/1.1"),
      bad_line("a tab", "9112 3.2", "GET /a\tb HTTP/1.1"),
      bad_line("a NUL", "9112 3.2", "GET /a{nul}b HTTP/1.1"),
      bad_line("a DEL", "9112 3.2", "GET /a\x7f HTTP/1.1"),
      bad_line("a control character", "9112 3.2", "GET /a\x01 HTTP/1.1"),
      bad_line("a bare CR", "9112 2.2", "GET /a{cr}b HTTP/1.1"),
      bad_line("no slash", "9112 3.2.1", "GET a/b HTTP/1.1"),
      bad_line("a query alone", "9112 3.2.1", "GET ?a HTTP/1.1"),
      bad_line("an authority form", "9112 3.2.3", "GET h:80 HTTP/1.1"),
      bad_line("another scheme", "9112 3.2.2", "GET ftp://h/ HTTP/1.1"),
      bad_line("no host in absolute form", "9110 4.2.1", "GET http:///a HTTP/1.1"),
      bad_line("a port alone", "9110 4.2.1", "GET http://:80/ HTTP/1.1"),
      bad_line("user information", "9110 4.2.4", "GET http://u:p@h/ HTTP/1.1"),
      bad_line("a bad port", "9110 4.2.1", "GET http://h:x/ HTTP/1.1"),
      bad_line("a port too big", "9110 4.2.1", "GET http://h:65536/ HTTP/1.1"),
      bad_line("one slash", "9112 3.2.2", "GET http:/h/ HTTP/1.1"),
      bad_line("a backslash for its end", "9112 3.2.2", "GET http://h\\a HTTP/1.1"),
      bad_line("a name in two", "9112 3.2.2", "GET http://a,b/ HTTP/1.1"),
      bad_line("a backslash for a slash", "9112 3.2.1", "GET \\a HTTP/1.1"),
  });
}

TEST(Wire, ARequestLineKeepsToTheGrammar) {
  Rows rows = {
      bad_line("two spaces", "9112 3", "GET  / HTTP/1.1"),
      bad_line("two spaces before the version", "9112 3", "GET /  HTTP/1.1"),
      bad_line("a tab for a space", "9112 3", "GET\t/ HTTP/1.1"),
      bad_line("a form feed for a space", "9112 3", "GET\x0c/ HTTP/1.1"),
      bad_line("a CR for a space", "9112 3", "GET{cr}/ HTTP/1.1"),
      bad_line("a space in front", "9112 3", " GET / HTTP/1.1"),
      bad_line("a space behind", "9112 3", "GET / HTTP/1.1 "),
      bad_line("a tab behind", "9112 3", "GET / HTTP/1.1\t"),
      bad_line("no target", "9112 3", "GET HTTP/1.1"),
      bad_line("no target but its spaces", "9112 3", "GET  HTTP/1.1"),
      bad_line("HTTP/0.9", "9112 2.3", "GET /"),
      bad_line("two versions", "9112 3", "GET / HTTP/1.1 HTTP/1.1"),
      bad_line("CR CR LF", "9112 2.2", "GET / HTTP/1.1{cr}"),
      refused("a bare LF behind the line", "9112 2.2", "GET / HTTP/1.1{lf}Host: h\n\n"),
      refused("a bare CR behind the line", "9112 2.2", "GET / HTTP/1.1{cr}Host: h\n\n"),
      refused("bare LFs throughout", "9112 2.2", "GET / HTTP/1.1{lf}Host: h{lf}{lf}"),
      passes("an empty line before it", "9112 2.2", "\n" + kGet, kGetUpstream),
      refused("two of them", "9112 2.2", "\n\n" + kGet),
      refused("a bare LF before it", "9112 2.2", "{lf}" + kGet),
      refused("a bare CR before it", "9112 2.2", "{cr}" + kGet),
      refused("white space alone", "9112 2.2", "  \n" + kGet),
      refused("a TLS handshake", "9112 3", "\x16\x03\x01\x02"),
      refused("JSON", "9112 3", "{\"a\":1}"),
      refused("an HTTP/2 preface", "9113 3.4", "PRI * HTTP/2.0\n\nSM\n\n", "bad_version"),
      bad_line("HTTP/2.0", "9110 2.5", "GET / HTTP/2.0", "bad_version"),
      bad_line("HTTP/3.0", "9110 2.5", "GET / HTTP/3.0", "bad_version"),
      bad_line("HTTP/1.2", "9110 2.5", "GET / HTTP/1.2", "bad_version"),
      bad_line("HTTP/0.9 by name", "9110 2.5", "GET / HTTP/0.9", "bad_version"),
      bad_line("lower case", "9112 2.3", "GET / http/1.1"),
      bad_line("no minor version", "9112 2.3", "GET / HTTP/1"),
      bad_line("an empty minor version", "9112 2.3", "GET / HTTP/1."),
      bad_line("two digits", "9112 2.3", "GET / HTTP/1.10"),
      bad_line("a leading zero", "9112 2.3", "GET / HTTP/01.1"),
      bad_line("a comma", "9112 2.3", "GET / HTTP/1,1"),
      bad_line("a space in it", "9112 2.3", "GET / HTTP/ 1.1"),
      bad_line("a sign", "9112 2.3", "GET / HTTP/+1.1"),
      bad_line("another protocol", "9112 2.3", "GET / ICAP/1.1"),
      bad_line("a letter", "9112 2.3", "GET / HTTP/1.x"),
      bad_line("a NUL in the version", "9112 2.3", "GET / HTTP/1.1{nul}"),
  };
  Rig().run(rows);
}

}  // namespace
}  // namespace ringmaster::test
