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
    if (info.status == 0 || info.reason == RejectReason::kMaxForwards) continue;
    const std::string text = written({.reason = info.reason,
                                      .close = false,
                                      .keep_alive_10 = true,
                                      .head_only = false,
                                      .retry_after_s = 4294967295u,
                                      .request_id = longest_id,
                                      .date = "Sun, 06 Nov 1994 08:49:37 GMT"});
    ResponseParser parser;
    ResponseHead head;
    ASSERT_EQ(parser.parse(text, {kMaxLocalResponse}, false, head), ParseStatus::kComplete);
    EXPECT_EQ(head.status, info.status);
    EXPECT_NE(head.reason, "");
    EXPECT_EQ(head.find("date"), "Sun, 06 Nov 1994 08:49:37 GMT");
    EXPECT_EQ(head.size + head.content_length, text.size());
    const bool is_bad = info.reason == RejectReason::kBadRequest;
    EXPECT_EQ(text.substr(head.size),
              std::string(is_bad ? describe(MessageFault::kNone) : info.text) + "\n");
  }
}

std::string answered(const std::string& request) {
  const std::string bytes = test::crlf(request);
  RequestParser parser;
  RequestHead head;
  if (parser.parse(bytes, {16384}, head) != ParseStatus::kComplete) return "not parsed";
  std::string out(head.size + kMaxLocalResponse, '\0');
  const LocalResponse how{.reason = RejectReason::kMaxForwards,
                          .close = false,
                          .keep_alive_10 = false,
                          .head_only = false};
  out.resize(write_recipient_response(head, how, out.data()));
  return out;
}

// RFC 9110 sections 7.6.2 and 9.3.7.
TEST(RecipientResponse, TellsOptionsWhatIsAllowed) {
  EXPECT_EQ(
      answered("OPTIONS / HTTP/1.1\nHost: h\nMax-Forwards: 0\n\n"),
      test::crlf("HTTP/1.1 200 OK\nAllow: GET, HEAD, POST, PUT, DELETE, OPTIONS, PATCH, TRACE\n"
                 "Content-Length: 0\n\n"));
}

// RFC 9110 section 9.3.8.
TEST(RecipientResponse, TracesWithoutTheSecrets) {
  EXPECT_EQ(answered("TRACE /a HTTP/1.1\nHost: h\nCookie: c\nX: y\nAuthorization: d\n"
                     "Proxy-Authorization: e\nMax-Forwards: 0\n\n"),
            test::crlf("HTTP/1.1 200 OK\nContent-Type: message/http\nContent-Length: 53\n\n"
                       "TRACE /a HTTP/1.1\nHost: h\nX: y\nMax-Forwards: 0\n\n"));
  EXPECT_EQ(answered("\nTRACE / HTTP/1.0\nMax-Forwards: 0\n\n"),
            test::crlf("HTTP/1.1 200 OK\nContent-Type: message/http\nContent-Length: 37\n\n"
                       "TRACE / HTTP/1.0\nMax-Forwards: 0\n\n"));
}

}  // namespace
}  // namespace ringmaster
