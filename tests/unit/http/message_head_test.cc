// Fields found by name, paths and cookies.
#include <gtest/gtest.h>

#include <cctype>
#include <string>
#include <utility>

#include "tests/unit/http/piecewise.h"
#include "worker/http/message_head.h"
#include "worker/http/parser.h"

namespace ringmaster {
namespace {

constexpr std::pair<const char*, FieldId> kNames[] = {
    {"Authorization", FieldId::kAuthorization},
    {"Connection", FieldId::kConnection},
    {"Content-Length", FieldId::kContentLength},
    {"Cookie", FieldId::kCookie},
    {"Date", FieldId::kDate},
    {"Expect", FieldId::kExpect},
    {"Forwarded", FieldId::kForwarded},
    {"Host", FieldId::kHost},
    {"HTTP2-Settings", FieldId::kHttp2Settings},
    {"Keep-Alive", FieldId::kKeepAlive},
    {"Max-Forwards", FieldId::kMaxForwards},
    {"Proxy-Authenticate", FieldId::kProxyAuthenticate},
    {"Proxy-Authentication-Info", FieldId::kProxyAuthenticationInfo},
    {"Proxy-Authorization", FieldId::kProxyAuthorization},
    {"Proxy-Connection", FieldId::kProxyConnection},
    {"TE", FieldId::kTe},
    {"Trailer", FieldId::kTrailer},
    {"Transfer-Encoding", FieldId::kTransferEncoding},
    {"Upgrade", FieldId::kUpgrade},
    {"Via", FieldId::kVia},
    {"X-Forwarded-For", FieldId::kXForwardedFor},
    {"X-Forwarded-Host", FieldId::kXForwardedHost},
    {"X-Forwarded-Proto", FieldId::kXForwardedProto},
    {"X-Request-Id", FieldId::kXRequestId},
};

TEST(FieldId, IsFoundInAnyCase) {
  for (const auto& [name, id] : kNames) {
    std::string lower(name), upper(name);
    for (char& c : lower) c = static_cast<char>(std::tolower(c));
    for (char& c : upper) c = static_cast<char>(std::toupper(c));
    EXPECT_EQ(field_id(name), id) << name;
    EXPECT_EQ(field_id(lower), id) << name;
    EXPECT_EQ(field_id(upper), id) << name;
  }
}

TEST(FieldId, IsOtherForWhatOnlyLooksLikeIt) {
  for (const auto& [text, id] : kNames) {
    const std::string name(text);
    EXPECT_EQ(field_id(name + "s"), FieldId::kOther) << name;
    EXPECT_EQ(field_id(name.substr(0, name.size() - 1)), FieldId::kOther) << name;
    for (std::size_t i = 0; i < name.size(); ++i) {
      std::string changed = name;
      changed[i] = changed[i] == '_' ? '-' : '_';
      EXPECT_EQ(field_id(changed), name[i] == '-' ? FieldId::kAlias : FieldId::kOther) << changed;
      changed[i] = static_cast<char>(name[i] ^ 0x40);  // '-' and 'm', say
      EXPECT_EQ(field_id(changed), FieldId::kOther) << changed;
    }
  }
  EXPECT_EQ(field_id(""), FieldId::kOther);
  EXPECT_EQ(field_id("User-Agent"), FieldId::kOther);
}

// The bytes must outlive the head.
RequestHead parsed(const std::string& bytes) {
  RequestParser parser;
  RequestHead head;
  EXPECT_EQ(parser.parse(bytes, {16384}, head), ParseStatus::kComplete);
  return head;
}

TEST(MessageHead, FindsTheFirstFieldOfAName) {
  const std::string bytes = test::crlf("GET / HTTP/1.1\nHost: h\nX-A: 1\nx-a: 2\nVia:\n\n");
  const RequestHead head = parsed(bytes);
  EXPECT_EQ(head.find("x-A"), "1");
  EXPECT_EQ(head.find(FieldId::kHost), "h");
  EXPECT_EQ(head.find("X"), "");
  EXPECT_EQ(head.find("X").data(), nullptr);
  EXPECT_EQ(head.find(FieldId::kCookie).data(), nullptr);
  EXPECT_NE(head.find(FieldId::kVia).data(), nullptr);
}

TEST(MessageHead, SlicesNamesAndValues) {
  const std::string bytes = test::crlf("GET / HTTP/1.1\nHost: h\nA:\nB: \t c d\t \n\n");
  const RequestHead head = parsed(bytes);
  ASSERT_EQ(head.field_count, 3u);
  EXPECT_EQ(head.name(head.fields[1]), "A");
  EXPECT_EQ(head.value(head.fields[1]), "");
  EXPECT_EQ(head.name(head.fields[2]), "B");
  EXPECT_EQ(head.value(head.fields[2]), "c d");
}

TEST(RequestHead, KnowsItsPath) {
  const std::pair<const char*, const char*> rows[] = {
      {"/a/b?c?d", "/a/b"}, {"/", "/"}, {"/?", "/"}, {"http://o?q", "/"}, {"http://o/p?q", "/p"},
  };
  for (const auto& [target, path] : rows) {
    const std::string bytes = "GET " + std::string(target) + " HTTP/1.1\r\nHost: h\r\n\r\n";
    EXPECT_EQ(parsed(bytes).path(), path) << target;
  }
}

TEST(RequestHead, FindsCookies) {
  const std::string bytes = test::crlf(
      "GET / HTTP/1.1\nHost: h\nCookie: ab=1; a=2;b=; c=x=y;d\nCookie: e=\"q\"; a=9\n\n");
  const RequestHead head = parsed(bytes);
  EXPECT_EQ(head.cookie("ab"), "1");
  EXPECT_EQ(head.cookie("a"), "2");
  EXPECT_EQ(head.cookie("b"), "");
  EXPECT_NE(head.cookie("b").data(), nullptr);
  EXPECT_EQ(head.cookie("c"), "x=y");
  EXPECT_EQ(head.cookie("e"), "\"q\"");
  EXPECT_EQ(head.cookie("d").data(), nullptr);
  EXPECT_EQ(head.cookie("A").data(), nullptr);
}

}  // namespace
}  // namespace ringmaster
