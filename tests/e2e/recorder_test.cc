// The flight recorder: what an operator is told of a request, also of one that died with its
// worker.
#include <gtest/gtest.h>
#include <poll.h>

#include <csignal>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>

#include "tests/support/backend.h"
#include "tests/support/behaviour.h"
#include "tests/support/files.h"
#include "tests/support/load.h"
#include "tests/support/ringmaster.h"

namespace ringmaster::test {
namespace {

using Json = nlohmann::json;

constexpr Exit kDone{0, 0};
constexpr Exit kRefused{1, 0};
const std::string kOneWorker = "[server]\nworkers = 1\ntrusted_proxies = [\"127.0.0.9\"]\n";

// All entries of that id: a request has as many as workers.
Json all_of(const Ringmaster& ringmaster, const std::string& id) {
  const Finished answer = ringmaster.ctl({"why", id, "--json"});
  EXPECT_EQ(answer.exit, kDone) << answer.log;
  return Json::parse(answer.output);
}

Json why(const Ringmaster& ringmaster, const std::string& id) {
  const Json requests = all_of(ringmaster, id);
  EXPECT_EQ(requests.size(), 1u);
  return requests.at(0);
}

Json recorded(const Ringmaster& ringmaster, std::vector<std::string> words) {
  words.insert(words.begin(), "recorder");
  words.push_back("--json");
  const Finished answer = ringmaster.ctl(words);
  EXPECT_EQ(answer.exit, kDone) << answer.log;
  return Json::parse(answer.output);
}

TEST(Recorder, TellsWhatWasDecidedAndWhy) {
  Backend first("s1");
  Backend second("s2");
  Ringmaster ringmaster(kOneWorker + "[rate_limit]\nrequests_per_second = 1000\n" +
                        toml_of(first, second));
  const std::string path = ringmaster.path_of("s2");
  Client client(ringmaster.endpoint(), "127.0.0.8");
  client.get(path);
  const Response response = client.get(path + "?q");
  const std::string id = response.field("X-Request-Id");

  const Json request = why(ringmaster, id);
  EXPECT_EQ(request.at("id"), id);
  EXPECT_EQ(request.at("id_given"), false);
  EXPECT_EQ(request.at("client"), "127.0.0.8");
  EXPECT_EQ(request.at("method"), "GET");
  EXPECT_EQ(request.at("target"), path + "?q");
  EXPECT_EQ(request.at("outcome"), "answered");
  EXPECT_EQ(request.at("status"), 200);
  EXPECT_EQ(request.at("limit"), "admitted");
  EXPECT_EQ(request.at("key"), "uri");
  EXPECT_EQ(request.at("backend"), request.at("owner"));
  EXPECT_EQ(request.at("backend"), response.backend());
  EXPECT_EQ(request.at("attempts"), 1);
  EXPECT_EQ(request.at("trail"), Json::array());
  EXPECT_EQ(request.at("pid"), ringmaster.workers().at(0));
  EXPECT_EQ(request.at("died"), false);
  EXPECT_EQ(request.at("ring").at("points"), 2000);
  EXPECT_GT(request.at("first_byte_ms").get<double>(), 0);
  EXPECT_GE(request.at("total_ms").get<double>(), request.at("first_byte_ms").get<double>());
  EXPECT_EQ(request.at("bytes_out"), response.head.raw.size() + response.body.size());
  EXPECT_EQ(request.at("bytes_in"), request_head("GET", path + "?q").size());

  const Finished story = ringmaster.ctl({"why", id});
  EXPECT_EQ(story.exit, kDone);
  for (const char* words : {"127.0.0.8 asked GET /key/", "Rate limit: admitted.", "Hash: its uri",
                            "Outcome: answered with 200"}) {
    EXPECT_NE(story.output.find(words), std::string::npos) << words << " in:\n" << story.output;
  }
  const Finished table = ringmaster.ctl({"recorder", "--last", "2"});
  EXPECT_EQ(std::count(table.output.begin(), table.output.end(), '\n'), 3) << table.output;
  EXPECT_NE(table.output.find(id), std::string::npos) << table.output;
}

TEST(Recorder, TellsWhyABackendWasPassedOver) {
  Backend first("s1");
  Backend second("s2");
  Ringmaster ringmaster(kOneWorker + "[health]\npath = \"\"\n" + toml_of(first, second));
  const std::string path = ringmaster.path_of("s1");
  ASSERT_EQ(ringmaster.ctl({"drain", "s1"}).exit, kDone);
  Response response;
  ASSERT_TRUE(wait_until([&] {
    response = get(ringmaster.endpoint(), path);
    return response.backend() == "s2";
  }));
  const Json request = why(ringmaster, response.field("X-Request-Id"));
  EXPECT_EQ(request.at("owner"), "s1");
  EXPECT_EQ(request.at("backend"), "s2");
  ASSERT_EQ(request.at("trail").size(), 1u);
  EXPECT_EQ(request.at("trail").at(0).at("backend"), "s1");
  EXPECT_EQ(request.at("trail").at(0).at("what"), "draining");
  const Finished story = ringmaster.ctl({"why", response.field("X-Request-Id")});
  EXPECT_NE(story.output.find("Passed over s1: it is being drained."), std::string::npos)
      << story.output;
}

TEST(Recorder, TellsWhyARequestWasAskedAgain) {
  Backend first("s1");
  // Closes without an answer: an idempotent request goes elsewhere.
  Backend second("s2", Backend::Script([](Conversation&) {}));
  Ringmaster ringmaster(kOneWorker + "[health]\npath = \"\"\n[upstream]\nretries = 1\n" +
                        toml_of(first, second));
  for (int i = 0; second.request_count() == 0; ++i) {
    Client client(ringmaster.endpoint(), "127.0.0.9");
    const Response response =
        client.get("/" + std::to_string(i), "X-Request-Id: edge-" + std::to_string(i) + "\r\n");
    EXPECT_EQ(response.backend(), "s1");
    if (second.request_count() == 0) continue;
    const Json request = why(ringmaster, "edge-" + std::to_string(i));
    EXPECT_EQ(request.at("id_given"), true);
    EXPECT_EQ(request.at("owner"), "s2");
    EXPECT_EQ(request.at("backend"), "s1");
    EXPECT_EQ(request.at("attempts"), 2);
    ASSERT_EQ(request.at("trail").size(), 1u);
    EXPECT_EQ(request.at("trail").at(0).at("backend"), "s2");
    EXPECT_EQ(request.at("trail").at(0).at("what"), "upstream_closed");
  }
}

// What the backend says before it has an answer is not the answer.
TEST(Recorder, TellsWhenTheAnswerBeganAndNotWhatCameBeforeIt) {
  Backend backend("s1", Backend::Script([](Conversation& conversation) {
                    conversation.stream().send("HTTP/1.1 103 Early Hints\r\n\r\n");
                    ::poll(nullptr, 0, 300);
                    conversation.reply({});
                  }));
  Ringmaster ringmaster(kOneWorker + backend.toml());
  Client client(ringmaster.endpoint());
  const Response response = client.get("/");
  const Json request = why(ringmaster, response.field("X-Request-Id"));
  EXPECT_GE(request.at("first_byte_ms").get<double>(), 300);
}

TEST(Recorder, TellsWhyARequestWasRefused) {
  Backend backend("s1");
  Ringmaster ringmaster(kOneWorker + "[rate_limit]\nrequests_per_second = 1\n" + backend.toml());
  Client client(ringmaster.endpoint());
  Response refused;
  while (refused.status != 429) refused = client.get("/");
  const Json limited = why(ringmaster, refused.field("X-Request-Id"));
  EXPECT_EQ(limited.at("outcome"), "refused");
  EXPECT_EQ(limited.at("reason").at("label"), "rate_limited");
  EXPECT_EQ(limited.at("limit"), "refused");
  EXPECT_EQ(limited.at("status"), 429);
  EXPECT_TRUE(limited.at("backend").is_null());

  Client malformed(ringmaster.endpoint());
  malformed.send("GET /\x1b[31m HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n");
  const Json bad = why(ringmaster, malformed.receive().field("X-Request-Id"));
  EXPECT_EQ(bad.at("reason").at("label"), "bad_request");
  EXPECT_EQ(bad.at("target"), "/\\x1b[31m");
  EXPECT_EQ(bad.at("reason").at("text"),
            "Bad Request: the request line is not METHOD SP TARGET SP HTTP/1.1");

  Client broken(ringmaster.endpoint(), own_loopback());  // whom the limit does not know yet
  broken.send(request_head("POST", "/", "Transfer-Encoding: chunked\r\n") + "x\r\n");
  const Json body = why(ringmaster, broken.receive().field("X-Request-Id"));
  EXPECT_EQ(body.at("reason").at("text"), "Bad Request: the chunked body is broken");

  Client of_another_version(ringmaster.endpoint());
  of_another_version.send("GET / HTTP/1.7\r\nHost: a\r\n\r\n");
  const Json odd = why(ringmaster, of_another_version.receive().field("X-Request-Id"));
  EXPECT_EQ(odd.at("target"), "/ HTTP/1.7") << "which is what was wrong";
}

TEST(Recorder, TellsWhatWasWrongWithAnAnswer) {
  Backend backend("s1", Backend::Script([](Conversation& conversation) {
                    conversation.stream().send("HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n");
                  }));
  Ringmaster ringmaster(kOneWorker + "[health]\npath = \"\"\n" + backend.toml());
  const std::string id = get(ringmaster.endpoint(), "/").field("X-Request-Id");

  const Json request = why(ringmaster, id);
  EXPECT_EQ(request.at("key"), "uri") << "which lies beside it";
  const Json& reason = request.at("reason");
  EXPECT_EQ(reason.at("label"), "bad_response");
  EXPECT_EQ(reason.at("text"), "Bad Gateway: the backend's answer was not valid HTTP");
  EXPECT_EQ(reason.at("answer_fault"), "its Content-Length is not one number");
  const Finished story = ringmaster.ctl({"why", id});
  const std::string words = "was not valid HTTP: its Content-Length is not one number after ";
  EXPECT_NE(story.output.find(words), std::string::npos) << story.output;
  EXPECT_NE(ringmaster.process().log().find(
                "an answer of backend s1 was refused: its Content-Length is not one number"),
            std::string::npos);
}

TEST(Recorder, TellsWhyAnAnswerBrokeOff) {
  Backend backend("s1", Backend::Script([](Conversation& conversation) {
                    conversation.stream().send(
                        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n");
                    conversation.stream().read_exactly(2);  // when the client has it
                    conversation.stream().send("no chunk\r\n");
                  }));
  TempDir dir;
  Ringmaster ringmaster(kOneWorker + "[health]\npath = \"\"\n[log]\naccess = \"" + dir.path("log") +
                        "\"\n" + backend.toml());
  Client client(ringmaster.endpoint());
  client.send(request_head("POST", "/", "Content-Length: 2\r\n") + "1");
  const std::string id = client.receive_head().field("X-Request-Id");
  client.send("2");

  Json reason;
  ASSERT_TRUE(wait_until([&] { return !(reason = why(ringmaster, id).at("reason")).is_null(); }));
  EXPECT_EQ(reason.at("label"), "response_cut");
  EXPECT_EQ(reason.at("answer_fault"), "its chunked body is broken");
  std::string line;
  ASSERT_TRUE(wait_until([&] { return !(line = read_whole_file(dir.path("log"))).empty(); }));
  EXPECT_EQ(Json::parse(line).at("detail"), "its chunked body is broken");
}

TEST(Recorder, DoesNotKnowEveryId) {
  Backend backend("s1");
  Ringmaster ringmaster(backend.toml());
  const Finished unknown = ringmaster.ctl({"why", "never-seen"});
  EXPECT_EQ(unknown.exit, kRefused);
  EXPECT_NE(unknown.log.find("no request is called never-seen"), std::string::npos) << unknown.log;
  EXPECT_EQ(ringmaster.ctl({"why", "a b"}).exit, kRefused);
  EXPECT_EQ(get(ringmaster.admin(), "/recorder").status, 404) << "who asked what is not for all";
  EXPECT_EQ(get(ringmaster.admin(), "/why").status, 404);
}

TEST(Recorder, ShowsWhatAWorkerWasAtWhenItDied) {
  Event let_go;
  Backend backend("s1", [&](const Request& request) {
    if (request.target == "/hangs") let_go.wait();
    return Reply{};
  });
  Ringmaster ringmaster(kOneWorker + "[upstream]\nretries = 0\n" + backend.toml());
  Load load(ringmaster.endpoint(), 4);
  ASSERT_TRUE(load.wait_for_more(50));
  EXPECT_EQ(recorded(ringmaster, {"--dead"}), Json::array()) << "what lives is not dead";

  load.stop();  // or 4,096 newer requests may push out what is looked for below
  Client client(ringmaster.endpoint(), "127.0.0.9");
  client.send(request_head("GET", "/hangs", "X-Request-Id: the-last-one\r\n"));
  ASSERT_TRUE(wait_until([&] {
    for (const Request& request : backend.requests()) {
      if (request.target == "/hangs") return true;
    }
    return false;
  }));
  EXPECT_EQ(why(ringmaster, "the-last-one").at("outcome"), "in_progress");

  const pid_t worker = ringmaster.workers().at(0);
  ::kill(worker, SIGKILL);
  std::optional<Json> last_one;
  ASSERT_TRUE(wait_until([&] {
    for (const Json& request : recorded(ringmaster, {"--dead"})) {
      EXPECT_EQ(request.at("pid"), worker);
      if (request.at("id") == "the-last-one") last_one = request;
    }
    return last_one.has_value();
  }));
  EXPECT_EQ(last_one->at("target"), "/hangs");
  EXPECT_EQ(last_one->at("backend"), "s1");
  EXPECT_EQ(last_one->at("died"), true);
  const Finished table = ringmaster.ctl({"recorder", "--dead"});
  EXPECT_TRUE(table.output.starts_with("TIME")) << table.output;
  EXPECT_NE(table.output.find("died with its worker"), std::string::npos) << table.output;
  const Finished story = ringmaster.ctl({"why", "the-last-one"});
  EXPECT_NE(story.output.find("died with it"), std::string::npos) << story.output;

  // Its replacement goes on in the same place, and a reload forgets nothing.
  ASSERT_TRUE(wait_until([&] { return !ringmaster.workers().empty(); }));
  let_go.set();
  EXPECT_EQ(get(ringmaster.endpoint(), "/").status, 200);
  ASSERT_EQ(ringmaster.ctl({"reload"}).exit, kDone);
  EXPECT_EQ(get(ringmaster.endpoint(), "/").status, 200);
  EXPECT_EQ(why(ringmaster, "the-last-one").at("died"), true);
}

TEST(Recorder, FollowsATunnelFromWorkerToWorker) {
  Backend backend("s1", Backend::Script(echo));
  Ringmaster ringmaster(kOneWorker + backend.toml());
  Client client(ringmaster.endpoint(), "127.0.0.9");
  client.send(request_head("GET", "/ws",
                           "Connection: Upgrade\r\nUpgrade: echo\r\nX-Request-Id: a-tunnel\r\n"));
  ASSERT_EQ(client.receive_head().status, 101);
  const Json open = why(ringmaster, "a-tunnel");
  EXPECT_EQ(open.at("outcome"), "in_progress");
  EXPECT_EQ(open.at("tunnel"), true);
  EXPECT_EQ(open.at("status"), 101);

  ASSERT_EQ(ringmaster.ctl({"reload"}).exit, kDone);
  ASSERT_TRUE(wait_until([&] { return all_of(ringmaster, "a-tunnel").size() == 2; }));
  client.send("still there?");
  EXPECT_EQ(client.stream().read_exactly(12), "still there?");
  std::map<bool, std::string> outcomes;  // whether it was taken over, and what came of it there
  for (const Json& entry : all_of(ringmaster, "a-tunnel")) {
    outcomes[entry.at("taken_over")] = entry.at("outcome");
  }
  EXPECT_EQ(outcomes, (std::map<bool, std::string>{{false, "handed_over"}, {true, "in_progress"}}));
}

}  // namespace
}  // namespace ringmaster::test
