// No Docker engine is needed to know that the dashboard works: every query in it, of its panels,
// variables and annotations, is put to a real Prometheus that scrapes a balancer on which all that
// the panels show has happened, and each must come back with a number.
#include <gtest/gtest.h>
#include <poll.h>

#include <algorithm>
#include <cmath>
#include <csignal>
#include <functional>
#include <nlohmann/json.hpp>
#include <set>
#include <thread>

#include "tests/observability/prometheus.h"
#include "tests/support/backend.h"
#include "tests/support/files.h"
#include "tests/support/places.h"
#include "tests/support/ringmaster.h"

namespace ringmaster::test {
namespace {

using nlohmann::json;

struct Query {
  std::string where;  // the panel's title, or the like
  std::string expression;
};

json read_dashboard() {
  return json::parse(
      read_whole_file(source_path("packaging/observability/grafana/dashboards/ringmaster.json")));
}

// As Grafana fills in its variables, with everything chosen; the interval covers the whole test.
std::string fill_in(std::string expression) {
  expression = replace_all(expression, "$__rate_interval", "10m");
  expression = replace_all(expression, "$instance", ".+");
  expression = replace_all(expression, "$backend", ".+");
  EXPECT_EQ(expression.find('$'), expression.npos) << "a variable that is unknown: " << expression;
  return expression;
}

// label_values(metric, label) is Grafana's, not PromQL.
std::string label_values_query(const std::string& definition) {
  const std::string function = "label_values(";
  EXPECT_TRUE(definition.starts_with(function) && definition.ends_with(")")) << definition;
  const std::size_t comma = definition.rfind(',');
  const std::string selector = definition.substr(function.size(), comma - function.size());
  const std::string label = definition.substr(comma + 2, definition.size() - comma - 3);
  return "count by (" + label + ") (" + selector + ")";
}

std::vector<Query> all_queries(const json& dashboard) {
  std::vector<Query> queries;
  const std::function<void(const json&)> add_panels = [&](const json& panels) {
    for (const json& panel : panels) {
      for (const json& target : panel.value("targets", json::array())) {
        queries.push_back({panel.at("title"), fill_in(target.at("expr"))});
      }
      if (panel.contains("panels")) add_panels(panel.at("panels"));
    }
  };
  add_panels(dashboard.at("panels"));
  for (const json& annotation : dashboard.at("annotations").at("list")) {
    queries.push_back({annotation.at("name"), fill_in(annotation.at("expr"))});
  }
  for (const json& variable : dashboard.at("templating").at("list")) {
    if (variable.at("type") != "query") continue;
    queries.push_back(
        {variable.at("name"), fill_in(label_values_query(variable.at("query").at("query")))});
  }
  return queries;
}

Reply moody(const Request& request) {
  const std::string& target = request.target;
  return {.status = target.ends_with("7")   ? 500
                    : target.ends_with("3") ? 404
                                            : 200,
          .body = target};
}

void serve(Conversation& conversation) {
  do {
    if (conversation.request().has("Upgrade")) {
      conversation.stream().send(
          "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n");
      conversation.stream().read_all();
      return;
    }
    conversation.read_body();
    conversation.reply(moody(conversation.request()));
  } while (conversation.next());
}

// Clients of one kind, again and again until the end; what becomes of them is not the matter here.
class Visitors {
 public:
  explicit Visitors(std::function<void(int)> visit)
      : thread_([this, visit = std::move(visit)] {
          for (int n = 0; !stopping_; ++n) {
            try {
              visit(n);
            } catch (const StreamError&) {
            }
            ::poll(nullptr, 0, 5);
          }
        }) {}
  ~Visitors() {
    stopping_ = true;
    thread_.join();
  }

 private:
  std::atomic<bool> stopping_ = false;
  std::thread thread_;
};

bool has_a_number(const std::vector<Sample>& samples) {
  return std::any_of(samples.begin(), samples.end(),
                     [](const Sample& sample) { return !std::isnan(sample.value); });
}

TEST(Dashboard, EveryQueryHasDataWhenThereIsSomethingToShow) {
  const std::vector<Query> queries = all_queries(read_dashboard());
  ASSERT_GT(queries.size(), 50u);

  Backend a("a", Backend::Script(serve)), b("b", Backend::Script(serve));
  Backend c("c", Backend::Script(serve));
  // The clients of one address are limited, those of the other are not.
  const std::string greedy = "127.9.9.9";
  const std::string config = "[server]\nworkers = 2\n" + toml_of(a, b, c) +
                             "[rate_limit]\nrequests_per_second = 20\nexempt = [\"" +
                             own_loopback() + "\"]\n";
  Ringmaster ringmaster(config);
  const Prometheus prometheus(ringmaster.admin());
  ASSERT_TRUE(wait_until([&] { return prometheus.scrapes() >= 2; }));

  const Endpoint endpoint = ringmaster.endpoint();
  const Visitors steady([&](int n) {
    Client client(endpoint, own_loopback());
    for (int i = 0; i < 20; ++i) client.get("/" + std::to_string(n * 20 + i));
  });
  const Visitors limited([&](int n) {
    Client client(endpoint, greedy);
    for (int i = 0; i < 20; ++i) client.get("/" + std::to_string(n * 20 + i));
  });
  const Visitors rude([&](int) {
    Client client(endpoint, own_loopback());
    client.send("NOT HTTP\r\n\r\n");
    client.receive();
  });
  // A backend that goes, comes and goes: retries, ejections, failed checks, spills. It stays down.
  for (int round = 0; round < 2; ++round) {
    c.stop();
    ASSERT_TRUE(ringmaster.wait_for_state("c", "down"));
    if (round == 1) break;
    c.start();
    ASSERT_TRUE(ringmaster.wait_for_state("c", "up"));
  }
  ASSERT_EQ(ringmaster.ctl({"reload"}).exit, (Exit{0, 0}));
  ringmaster.write_config("[server]\nworkers = \"many\"\n" + toml_of(a));
  ASSERT_NE(ringmaster.ctl({"reload"}).exit, (Exit{0, 0}));
  Client tunnel(endpoint, own_loopback());
  tunnel.send(request_head("GET", "/tunnel", "Connection: Upgrade\r\nUpgrade: echo\r\n"));
  ASSERT_EQ(tunnel.receive_head().status, 101);
  ASSERT_TRUE(prometheus.wait_for_scrape());
  ::kill(ringmaster.workers().front(), SIGKILL);

  for (const Query& query : queries) {
    EXPECT_TRUE(
        wait_until([&] { return has_a_number(prometheus.query(query.expression)); }, seconds(20)))
        << "no data: " << query.where << ": " << query.expression;
  }
}

TEST(Dashboard, IsWellFormed) {
  const json dashboard = read_dashboard();
  EXPECT_EQ(dashboard.at("uid"), "ringmaster");
  std::set<int> ids;
  for (const json& panel : dashboard.at("panels")) {
    EXPECT_TRUE(ids.insert(panel.at("id").get<int>()).second)
        << panel.at("title") << ": its id is another's";
    const json& place = panel.at("gridPos");
    EXPECT_LE(place.at("x").get<int>() + place.at("w").get<int>(), 24) << panel.at("title");
    if (panel.at("type") == "row") continue;
    EXPECT_FALSE(panel.at("targets").empty()) << panel.at("title");
    for (const json& target : panel.at("targets")) {
      EXPECT_EQ(target.at("datasource").at("uid"), "${datasource}") << panel.at("title");
    }
  }
}

}  // namespace
}  // namespace ringmaster::test
