// The answers that Ringmaster gives itself are sound HTTP, and fit.
#include <gtest/gtest.h>

#include <string>

#include "tests/unit/http/piecewise.h"
#include "worker/http/local_response.h"
#include "worker/http/parser.h"
#include "worker/http/request_id.h"

namespace ringmaster {
namespace {

std::string written(const LocalResponse& response) {
  std::string out(kMaxLocalResponse, '\0');
  out.resize(write_local_response(response, out.data()));
  return out;
}

TEST(LocalResponse, IsShortPlainText) {
  EXPECT_EQ(written({.reason = RejectReason::kBodyTooLarge,
                     .close = true,
                     .keep_alive_10 = false,
                     .head_only = false}),
            test::crlf("HTTP/1.1 413 Content Too Large\nContent-Type: text/plain\n"
                       "Content-Length: 18\nConnection: close\n\n") +
                "Content Too Large\n");
}

TEST(LocalResponse, SaysWhenToComeBack) {
  EXPECT_EQ(written({.reason = RejectReason::kNoBackend,
                     .close = false,
                     .keep_alive_10 = true,
                     .head_only = true,
                     .retry_after_s = 4294967295u}),
            test::crlf("HTTP/1.1 503 Service Unavailable\nContent-Type: text/plain\n"
                       "Content-Length: 40\nRetry-After: 4294967295\n"
                       "Connection: keep-alive\n\n"));
}

TEST(LocalResponse, SaysWhatTheRequestIsCalled) {
  const std::string id(RequestId::kMostBytes, 'i');
  const std::string text = written({.reason = RejectReason::kRateLimited,
                                    .close = true,
                                    .keep_alive_10 = false,
                                    .head_only = false,
                                    .request_id = id});
  EXPECT_NE(text.find("\r\nX-Request-Id: " + id + "\r\n"), std::string::npos);
}

TEST(LocalResponse, SaysWhichMethodsAreAllowed) {
  const std::string text = written({.reason = RejectReason::kMethodNotAllowed,
                                    .close = true,
                                    .keep_alive_10 = false,
                                    .head_only = false});
  EXPECT_NE(text.find("\r\nAllow: GET, HEAD, POST,"), std::string::npos);
}

// Our own parser finds exactly the announced body behind every one of them.
TEST(LocalResponse, IsSoundForEveryReason) {
  const std::string longest_id(RequestId::kMostBytes, 'i');
  for (const auto& info : kRejectReasons) {
    if (info.status == 0) continue;
    const std::string text = written({.reason = info.reason,
                                      .close = false,
                                      .keep_alive_10 = true,
                                      .head_only = false,
                                      .retry_after_s = 4294967295u,
                                      .request_id = longest_id});
    ResponseParser parser;
    ResponseHead head;
    ASSERT_EQ(parser.parse(text, {kMaxLocalResponse}, false, head), ParseStatus::kComplete);
    EXPECT_EQ(head.status, info.status);
    EXPECT_NE(head.reason, "");
    EXPECT_EQ(head.size + head.content_length, text.size());
    EXPECT_EQ(text.substr(head.size), std::string(info.text) + "\n");
  }
}

}  // namespace
}  // namespace ringmaster
