// A line of the access log is one JSON object, whatever a client sent.
#include <gtest/gtest.h>

#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "worker/proxy/access_line.h"

namespace ringmaster {
namespace {

RequestRecord answered() {
  RequestRecord record{};
  record.started_us = 1'700'000'000'012'345;
  record.client = *IpAddress::parse("192.0.2.1");
  record.status = 200;
  record.outcome = RequestOutcome::kAnswered;
  record.attempts = 2;
  record.bytes_in = 10;
  record.bytes_out = 20;
  record.connect_us = RequestRecord::kNever;
  record.first_byte_us = 1'050;
  record.total_us = 12'345'678;
  record.set(RequestRecord::kReused);
  return record;
}

TEST(AccessLine, TellsOfTheRequestInOneLine) {
  const RequestRecord record = answered();
  AccessLineWriter writer;
  EXPECT_EQ(
      writer.write({.record = record,
                    .id = "an-id",
                    .method = "GET",
                    .target = "/a?b",
                    .host = "h:80",
                    .backend = "s1",
                    .worker = 3}),
      "{\"time\":\"2023-11-14T22:13:20.012345Z\",\"id\":\"an-id\",\"client\":\"192.0.2.1\","
      "\"method\":\"GET\",\"host\":\"h:80\",\"target\":\"/a?b\",\"status\":200,"
      "\"outcome\":\"answered\",\"reason\":null,\"detail\":null,\"backend\":\"s1\",\"retries\":1,"
      "\"reused\":true,\"bytes_in\":10,\"bytes_out\":20,\"connect_ms\":null,"
      "\"first_byte_ms\":1.050,\"total_ms\":12345.678,\"worker\":3}\n");
}

TEST(AccessLine, IsJsonWhateverBytesCame) {
  std::string target;
  for (int byte = 1; byte < 256; ++byte) target += static_cast<char>(byte);
  const RequestRecord record = answered();
  AccessLineWriter writer;
  const std::string line(writer.write({.record = record,
                                       .id = "i",
                                       .method = "\"\\\n",
                                       .target = target,
                                       .host = {},
                                       .backend = {},
                                       .worker = 0}));
  EXPECT_EQ(line.find('\n'), line.size() - 1);
  const auto json = nlohmann::json::parse(line);
  EXPECT_EQ(json.at("method"), "\"\\\n");
  EXPECT_TRUE(json.at("host").is_null());
  const std::string utf8 = json.at("target");
  EXPECT_EQ(utf8.substr(0, 127), target.substr(0, 127));
  EXPECT_EQ(utf8.substr(127, 2), "\xc2\x80");  // the byte 0x80, told as U+0080
}

TEST(AccessLine, IsBoundedWhateverItsLength) {
  RequestRecord record = answered();
  record.outcome = RequestOutcome::kCut;
  record.reason = RejectReason::kClientGone;
  record.started_us = record.bytes_in = record.bytes_out = record.total_us = 9'999'999'999'999'999u;
  const std::string endless(100'000, '\x01');
  auto writer = std::make_unique<AccessLineWriter>();
  const std::string line(writer->write({.record = record,
                                        .id = std::string_view(endless).substr(0, 128),
                                        .method = endless,
                                        .target = endless,
                                        .host = endless,
                                        .backend = "s1",
                                        .worker = 255}));
  const auto json = nlohmann::json::parse(line);
  EXPECT_EQ(json.at("target").get<std::string>().size(), AccessLineWriter::kMostTargetBytes);
  EXPECT_EQ(json.at("target_cut"), true);
  EXPECT_EQ(json.at("reason"), "client_gone");
}

}  // namespace
}  // namespace ringmaster
