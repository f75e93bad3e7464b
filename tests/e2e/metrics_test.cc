// Every number is true: what /metrics says is what the clients saw, and it stays so when a worker
// is killed.
#include <gtest/gtest.h>

#include <csignal>

#include "tests/support/backend.h"
#include "tests/support/behaviour.h"
#include "tests/support/ringmaster.h"

namespace ringmaster::test {
namespace {

// What the clients saw of a backend.
struct Seen {
  int answers = 0;
  std::map<std::string, int> classes;  // "2xx" to its number

  void add(const Response& response) {
    ++answers;
    ++classes[std::to_string(response.status / 100) + "xx"];
  }
};

std::string labelled(const std::string& name, const std::string& backend) {
  return name + "{backend=\"" + backend + "\"}";
}

Reply mixed(const Request& request) {
  const std::string& target = request.target;
  const int status = target.starts_with("/404")   ? 404
                     : target.starts_with("/500") ? 500
                     : target.starts_with("/302") ? 302
                                                  : 200;
  return {.status = status, .body = target, .chunked = target.ends_with("7")};
}

// Sends `count` requests of every kind and books the answers by backend.
void ask(Client& client, int count, std::map<std::string, Seen>& seen) {
  const char* kinds[] = {"/200/", "/404/", "/500/", "/302/"};
  for (int i = 0; i < count; ++i) {
    const std::string path = kinds[i % 4] + std::to_string(i);
    const Response response = i % 5 == 0   ? client.post(path, "a body")
                              : i % 7 == 0 ? client.head(path)
                                           : client.get(path);
    seen[response.backend()].add(response);
  }
}

// Every sum that must hold in each single scrape.
void expect_consistent(const Metrics& metrics, const std::vector<std::string>& backends) {
  double finals = 0;
  for (const std::string code : {"2xx", "3xx", "4xx", "5xx"}) {
    finals += metrics.sum("ringmaster_responses_total", {"code=\"" + code + "\""});
  }
  EXPECT_EQ(finals, metrics.sum("requests_total"));
  for (const std::string& backend : backends) {
    const std::string label = "backend=\"" + backend + "\"";
    EXPECT_EQ(metrics.get(labelled("request_duration_seconds_count", backend)),
              metrics.sum("request_duration_seconds_bucket", {label, "le=\"+Inf\""}));
  }
}

TEST(MetricsPage, CountsExactlyWhatClientsSawThoughAWorkerIsKilled) {
  Backend a("a", mixed), b("b", mixed);
  Ringmaster ringmaster("[server]\nworkers = 2\n" + toml_of(a, b));
  std::map<std::string, Seen> seen;
  const auto total = [&] { return seen["a"].answers + seen["b"].answers; };
  const auto is_counted = [&] { return ringmaster.metrics().sum("requests_total") == total(); };

  for (int i = 0; i < 4; ++i) {
    Client client(ringmaster.endpoint());
    ask(client, 100, seen);
  }
  ASSERT_TRUE(wait_until(is_counted)) << ringmaster.metrics().text();
  for (const pid_t pid : ringmaster.workers()) ::kill(pid, SIGKILL);  // nothing is in flight
  for (int i = 0; i < 4; ++i) {
    Client client(ringmaster.endpoint());
    ask(client, 100, seen);
  }
  ASSERT_TRUE(wait_until(is_counted)) << ringmaster.metrics().text();

  EXPECT_EQ(total(), 800);
  const Metrics metrics = ringmaster.metrics();
  for (const auto& [backend, answers] : seen) {
    EXPECT_EQ(metrics.get(labelled("requests_total", backend)), answers.answers);
    EXPECT_EQ(metrics.get(labelled("request_duration_seconds_count", backend)), answers.answers);
    EXPECT_EQ(metrics.get(labelled("active_connections", backend)), 0);
    for (const auto& [code, count] : answers.classes) {
      const std::string series =
          "ringmaster_responses_total{backend=\"" + backend + "\",code=\"" + code + "\"}";
      EXPECT_EQ(metrics.get(series), count) << series;
    }
  }
  expect_consistent(metrics, {"a", "b"});
}

TEST(MetricsPage, IsConsistentInEveryScrapeUnderLoad) {
  Backend a("a"), b("b");
  Ringmaster ringmaster("[server]\nworkers = 2\n" + toml_of(a, b));
  std::atomic<bool> done = false;
  std::thread client([&] {
    Client one(ringmaster.endpoint());
    for (int i = 0; i < 2000; ++i) one.get("/" + std::to_string(i));
    done = true;
  });

  while (!done) expect_consistent(ringmaster.metrics(), {"a", "b"});
  client.join();
}

TEST(MetricsPage, RequestsRetriedCountOnceForTheOneThatAnswered) {
  Backend a("a"), b("b");
  Ringmaster ringmaster("[health]\ninterval = \"60s\"\n" + toml_of(a, b));
  a.stop();

  Client client(ringmaster.endpoint());
  for (int i = 0; i < 20; ++i) ASSERT_EQ(client.get("/" + std::to_string(i)).backend(), "b");

  EXPECT_TRUE(
      wait_until([&] { return ringmaster.metrics().get(labelled("requests_total", "b")) == 20; }));
  EXPECT_EQ(ringmaster.metrics().get(labelled("requests_total", "a")), 0);
}

TEST(MetricsPage, ActiveConnectionsAreRequestsInFlight) {
  Event may_answer;
  Backend backend("s1", answers_after(may_answer));
  Ringmaster ringmaster("[server]\nworkers = 2\n" + backend.toml());
  std::vector<Client> clients;
  for (int i = 0; i < 7; ++i) {
    clients.emplace_back(ringmaster.endpoint());
    clients.back().send(request_head("GET", "/"));
  }

  const std::string active = labelled("active_connections", "s1");
  EXPECT_TRUE(wait_until([&] { return ringmaster.metrics().get(active) == 7; }));
  may_answer.set();
  for (Client& client : clients) EXPECT_EQ(client.receive().status, 200);
  EXPECT_TRUE(wait_until([&] { return ringmaster.metrics().get(active) == 0; }));
}

TEST(MetricsPage, HasEverySeriesByItsNameFromTheStart) {
  Backend backend("s1");
  Ringmaster ringmaster(backend.toml());

  const Metrics metrics = ringmaster.metrics();
  for (const char* series : {
           "requests_total{backend=\"s1\"}",
           "requests_dropped_total",
           "active_connections{backend=\"s1\"}",
           "request_duration_seconds_count{backend=\"s1\"}",
           "request_duration_seconds_sum{backend=\"s1\"}",
           "request_duration_seconds_bucket{backend=\"s1\",le=\"0.0005\"}",
           "request_duration_seconds_bucket{backend=\"s1\",le=\"10\"}",
           "request_duration_seconds_bucket{backend=\"s1\",le=\"+Inf\"}",
           "ringmaster_responses_total{backend=\"s1\",code=\"2xx\"}",
           "ringmaster_responses_total{backend=\"s1\",code=\"5xx\"}",
           "ringmaster_rejected_total{reason=\"no_backend\"}",
           "ringmaster_backend_up{backend=\"s1\"}",
           "ringmaster_backend_state{backend=\"s1\",state=\"up\"}",
           "ringmaster_backend_state{backend=\"s1\",state=\"down\"}",
           "ringmaster_ring_share_ratio{backend=\"s1\"}",
           "ringmaster_client_connections{state=\"idle\"}",
           "ringmaster_client_connections_total",
           "ringmaster_workers{state=\"serving\"}",
           "ringmaster_config_generation",
           "ringmaster_start_time_seconds",
       }) {
    EXPECT_TRUE(metrics.has(series)) << series;
  }
  EXPECT_EQ(metrics.get("ringmaster_backend_up{backend=\"s1\"}"), 1);
  EXPECT_EQ(metrics.sum("ringmaster_backend_state", {"backend=\"s1\""}), 1);
  EXPECT_NEAR(metrics.get("ringmaster_ring_share_ratio{backend=\"s1\"}"), 1, 1e-6);
  EXPECT_NE(metrics.text().find("# HELP requests_total "), std::string::npos);
  EXPECT_NE(metrics.text().find("# TYPE requests_total counter"), std::string::npos);
  EXPECT_NE(metrics.text().find("# TYPE active_connections gauge"), std::string::npos);
  EXPECT_NE(metrics.text().find("# TYPE request_duration_seconds histogram"), std::string::npos);
}

TEST(MetricsPage, SaysWhatFormatItIs) {
  Backend backend("s1");
  Ringmaster ringmaster(backend.toml());

  const Response response = get(ringmaster.admin(), "/metrics");
  EXPECT_EQ(response.status, 200);
  EXPECT_TRUE(response.field("Content-Type").starts_with("text/plain; version=0.0.4"));
}

TEST(MetricsPage, DurationsAreThoseOfTheWholeRequest) {
  Backend backend("s1", Backend::Script([](Conversation& conversation) {
                    conversation.stream().send("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n");
                    ::poll(nullptr, 0, 300);
                    conversation.stream().send("x");
                  }));
  Ringmaster ringmaster(backend.toml());

  EXPECT_EQ(get(ringmaster.endpoint(), "/").body, "x");

  const std::string sum = labelled("request_duration_seconds_sum", "s1");
  EXPECT_TRUE(wait_until([&] { return ringmaster.metrics().get(sum) >= 0.29; }));
  EXPECT_LT(ringmaster.metrics().get(sum), 30);
}

}  // namespace
}  // namespace ringmaster::test
