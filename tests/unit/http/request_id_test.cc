// Ids are told from what is none, and no two are the same.
#include <gtest/gtest.h>

#include <set>
#include <string>

#include "tests/unit/http/piecewise.h"
#include "worker/http/parser.h"
#include "worker/http/request_id.h"

namespace ringmaster {
namespace {

TEST(RequestId, IsVisibleAndShort) {
  for (const char* id :
       {"7", "f47ac10b-58cc-4372-a567-0e02b2c3d479", "01ARZ3NDEKTSV4RRFFQ69G5FAV",
        "Root=1-67891233-abcdef012345678912345678", "aGVsbG8gd29ybGQ+/w==", "web-7:req@host"}) {
    EXPECT_TRUE(is_request_id(id)) << id;
  }
  EXPECT_TRUE(is_request_id(std::string(128, 'x')));
  EXPECT_FALSE(is_request_id(std::string(129, 'x')));
  for (const char* other : {"", "a b", "a,b", "a\"b", "a\\b", "a\tb", "\xc3\xa4", "a;b", "<a>"}) {
    EXPECT_FALSE(is_request_id(other)) << other;
  }
}

TEST(RequestId, IsTakenFromTheOneValidField) {
  const auto given = [](const std::string& lines) {
    const std::string bytes = test::crlf("GET / HTTP/1.1\nHost: h\n" + lines + "\n");
    RequestParser parser;
    RequestHead head;
    EXPECT_EQ(parser.parse(bytes, {16384}, head), ParseStatus::kComplete);
    return std::string(given_request_id(head));
  };
  EXPECT_EQ(given("x-request-id:  abc \n"), "abc");
  EXPECT_EQ(given(""), "");
  EXPECT_EQ(given("X-Request-Id:\n"), "");
  EXPECT_EQ(given("X-Request-Id: a b\n"), "");
  EXPECT_EQ(given("X-Request-Id: a\nX-Request-Id: a\n"), "");
}

std::string next(RequestIdSource& source) {
  RequestId id;
  source.make(id);
  return std::string(id.text());
}

TEST(RequestIdSource, WritesItsPrefixAndACount) {
  RequestIdSource source(0x0123456789abcdef, 0);
  EXPECT_EQ(next(source), "0123456789abcdef0000000000000000");  // of 0 nothing can be scrambled
  EXPECT_EQ(next(source), "0123456789abcdef5692161d100b05e5");
}

TEST(RequestIdSource, NeverRepeatsItself) {
  RequestIdSource source(7, ~std::uint64_t{0} - 5'000);
  RequestIdSource other(8, ~std::uint64_t{0} - 5'000);
  std::set<std::string> seen;
  for (int i = 0; i < 10'000; ++i) {
    for (const std::string& id : {next(source), next(other)}) {
      ASSERT_TRUE(is_request_id(id));
      ASSERT_TRUE(seen.insert(id).second) << id;
    }
  }
}

}  // namespace
}  // namespace ringmaster
