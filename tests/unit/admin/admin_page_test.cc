// Who gets the page at /, and in which form.
#include "master/admin/admin_page.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>

namespace ringmaster::test {
namespace {

constexpr const char* kBrowserAccepts = "text/html,application/xhtml+xml,*/*;q=0.8";

AdminResponse ask(std::vector<std::pair<std::string, std::string>> fields) {
  AdminRequest request;
  request.fields = std::move(fields);
  return answer_with_page(request, [] { return std::string("in words\n"); });
}

std::string field(const AdminResponse& response, const std::string& name) {
  const auto at = std::find_if(response.fields.begin(), response.fields.end(),
                               [&](const auto& field) { return field.first == name; });
  return at == response.fields.end() ? "" : at->second;
}

TEST(AdminPage, IsTextForWhoeverDoesNotAskForHtml) {
  for (const char* accept : {"*/*", "text/plain", "text/html;q=0", "text/html; q=0.0, */*", ""}) {
    const AdminResponse response = ask({{"accept", accept}});
    EXPECT_EQ(response.body, "in words\n") << accept;
    EXPECT_EQ(response.content_type, "text/plain; charset=utf-8");
    EXPECT_EQ(field(response, "Vary"), "Accept, Accept-Encoding");
  }
  EXPECT_EQ(ask({}).body, "in words\n");
}

TEST(AdminPage, IsOneDocumentForABrowser) {
  const AdminResponse response = ask({{"accept", kBrowserAccepts}});
  EXPECT_EQ(response.content_type, "text/html; charset=utf-8");
  EXPECT_TRUE(response.body.starts_with("<!DOCTYPE html>"));
  EXPECT_TRUE(response.body.ends_with("</html>\n"));
  EXPECT_EQ(response.body.find("{{"), std::string::npos) << "something was not put in";
  for (const char* outside :
       {" src=", "@import", "<link rel=\"stylesheet\"", " style=\"", " onclick="}) {
    EXPECT_EQ(response.body.find(outside), std::string::npos) << outside;
  }
  EXPECT_NE(response.body.find(std::string(admin_page_id())), std::string::npos);
}

TEST(AdminPage, LetsABrowserRunNothingElse) {
  const std::string policy = field(ask({{"accept", kBrowserAccepts}}), "Content-Security-Policy");
  EXPECT_TRUE(policy.starts_with("default-src 'none'; connect-src 'self'; ")) << policy;
  EXPECT_NE(policy.find("script-src 'sha256-"), std::string::npos);
  EXPECT_NE(policy.find("frame-ancestors 'none'"), std::string::npos);
  EXPECT_EQ(policy.find("unsafe"), std::string::npos);
  EXPECT_EQ(field(ask({{"accept", kBrowserAccepts}}), "Referrer-Policy"), "no-referrer");
}

TEST(AdminPage, IsCompressedForWhoeverCanReadThat) {
  for (const char* encodings : {"gzip", "gzip, deflate, br", "br;q=1.0, gzip;q=0.8, *;q=0.1"}) {
    const AdminResponse response =
        ask({{"accept", kBrowserAccepts}, {"accept-encoding", encodings}});
    EXPECT_EQ(field(response, "Content-Encoding"), "gzip") << encodings;
    EXPECT_TRUE(response.body.starts_with("\x1f\x8b"));
    EXPECT_LT(response.body.size(), 80'000u);
  }
  for (const char* encodings : {"", "identity", "gzip;q=0", "x-gzip-like"}) {
    const AdminResponse response =
        ask({{"accept", kBrowserAccepts}, {"accept-encoding", encodings}});
    EXPECT_EQ(field(response, "Content-Encoding"), "") << encodings;
  }
}

TEST(AdminPage, IsNotSentTwiceToWhoeverHasIt) {
  const AdminResponse first = ask({{"accept", kBrowserAccepts}, {"accept-encoding", "gzip"}});
  const std::string tag = field(first, "ETag");
  const AdminResponse again = ask({{"accept", kBrowserAccepts},
                                   {"accept-encoding", "gzip"},
                                   {"if-none-match", "W/\"x\", " + tag}});
  EXPECT_EQ(again.status, 304);
  EXPECT_EQ(again.body, "");
  EXPECT_EQ(field(again, "ETag"), tag);
  EXPECT_EQ(ask({{"accept", kBrowserAccepts}, {"if-none-match", tag}}).status, 200)
      << "another form is another entity";

  const std::string head = write_admin_head(again, {.keep_alive = true, .http_1_0 = false});
  EXPECT_TRUE(head.starts_with("HTTP/1.1 304 Not Modified\r\n"));
  EXPECT_EQ(head.find("Content-Length"), std::string::npos);
  EXPECT_NE(head.find("Cache-Control: no-cache\r\n"), std::string::npos);
  EXPECT_EQ(head.find("no-store"), std::string::npos);
}

}  // namespace
}  // namespace ringmaster::test
