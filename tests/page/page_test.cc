// The page at / of the admin endpoint, in a real browser: it tells what /status tells, without a
// reload, in every light and width, to eyes, keyboards and screen readers, and asks nobody else.
#include <gtest/gtest.h>

#include <array>
#include <csignal>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <string>

#include "tests/page/web_driver.h"
#include "tests/support/backend.h"
#include "tests/support/ringmaster.h"

namespace ringmaster::test {
namespace {

using Json = nlohmann::json;

std::string page_of(const Endpoint& admin) {
  return "http://" + admin.to_string() + "/";
}

// As the page writes it.
std::string percent(double share) {
  std::array<char, 16> text{};
  std::snprintf(text.data(), text.size(), "%.1f %%", share * 100);
  return text.data();
}

// All tests share one browser: starting it costs more than all of them.
class Page : public testing::Test {
 protected:
  static void SetUpTestSuite() { shared_ = std::make_unique<Browser>(); }
  static void TearDownTestSuite() { shared_.reset(); }
  void SetUp() override {
    browser_.open("about:blank");
    browser_.set_size(1400, 900);
    browser_.set_dark(false);
    browser_.take_console();
    browser_.take_requests();
  }

  void open(const Ringmaster& ringmaster) {
    browser_.open(page_of(ringmaster.admin()));
    ASSERT_TRUE(wait_until([this] { return browser_.text("#tile-service") != "–"; }));
  }
  // What a cell of a table says.
  std::string cell(const std::string& table, const std::string& row, const std::string& column) {
    return browser_.text("#" + table + " tr[data-key='" + row + "'] [data-column=" + column + "]");
  }
  std::string backend_cell(const std::string& backend, const std::string& column) {
    return cell("backend-table", backend, column);
  }
  // Nothing went wrong in the page, and it spoke with nobody but `admin`.
  void expect_good_manners(const Endpoint& admin) {
    EXPECT_EQ(browser_.take_console(), std::vector<std::string>());
    for (const std::string& url : browser_.take_requests()) {
      EXPECT_TRUE(url.starts_with(page_of(admin))) << url;
    }
  }

  static inline std::unique_ptr<Browser> shared_;
  Browser& browser_ = *shared_;
};

TEST_F(Page, SaysWhatStatusSays) {
  Backend s1("s1"), s2("s2");
  Ringmaster ringmaster(
      "[server]\nworkers = 2\n[rate_limit]\nrequests_per_second = 1000\nburst = 7\n" +
      s1.toml("weight = 2") + s2.toml("max_connections = 9"));
  open(ringmaster);
  {
    Client client(ringmaster.endpoint());
    for (int i = 0; i < 5; ++i) client.get("/" + std::to_string(i));
  }
  ASSERT_TRUE(wait_until([&] { return browser_.text("#tile-rate-note") == "5 answered in all"; }));

  const Json status = ringmaster.status();
  EXPECT_EQ(browser_.text("#tile-service"), "Serving");
  EXPECT_EQ(browser_.text("#tile-backends"), "2 of 2");
  for (const Json& backend : status.at("backends")) {
    const std::string name = backend.at("name");
    const std::string address = backend.at("address");
    EXPECT_EQ(backend_cell(name, "name"),
              name + "\n" + address + (name == "s1" ? ", weight 2" : ""));
    EXPECT_EQ(backend_cell(name, "state"), backend.at("state"));
    EXPECT_EQ(backend_cell(name, "requests"), backend.at("requests").dump());
    EXPECT_EQ(backend_cell(name, "errors"), backend.at("responses").at("5xx").dump());
    EXPECT_EQ(backend_cell(name, "reused"), backend.at("connections").at("reused").dump());
    EXPECT_EQ(backend_cell(name, "in_flight"), name == "s1" ? "0" : "0 of 9");
    EXPECT_NE(backend_cell(name, "why").find(backend.at("reason").get<std::string>()),
              std::string::npos);
    EXPECT_NE(backend_cell(name, "p99"), "–") << "a quantile of what was answered just now";
    EXPECT_EQ(backend_cell(name, "share"), percent(backend.at("ring_share")));
  }
  for (const Json& worker : status.at("workers")) {
    const std::string key = worker.at("slot").dump() + "/" + worker.at("pid").dump();
    EXPECT_EQ(cell("worker-table", key, "pid"), worker.at("pid").dump());
    EXPECT_EQ(cell("worker-table", key, "generation"), status.at("generation").dump());
    EXPECT_EQ(cell("worker-table", key, "state"), worker.at("state"));
  }
  EXPECT_EQ(browser_.text("#limiter [data-key='And at once'] dd"), "7");
  EXPECT_EQ(browser_.text("#config-facts [data-key=Generation] dd"),
            status.at("generation").dump());
  const std::string config =
      browser_.run("return document.querySelector('#config-text').textContent");
  EXPECT_NE(config.find("[[backend]]\naddress = \"" + s1.endpoint().to_string() + "\""),
            std::string::npos)
      << config;
  expect_good_manners(ringmaster.admin());
}

TEST_F(Page, ShowsWithoutAReloadThatABackendDiesAndWhoTakesOver) {
  Backend s1("s1"), s2("s2");
  Ringmaster ringmaster(s1.toml() + s2.toml());
  open(ringmaster);
  browser_.run("window.mark = 'the same document'");
  ASSERT_TRUE(wait_until([&] { return backend_cell("s2", "state") == "up"; }));

  s2.stop();
  EXPECT_TRUE(wait_until([&] { return backend_cell("s2", "state") == "down"; }));
  EXPECT_NE(backend_cell("s2", "why").find("connection refused"), std::string::npos);
  EXPECT_TRUE(wait_until(
      [&] { return browser_.text("#ring-list [data-key=s1] .figure").ends_with("→ 100.0 %"); }));
  const std::string described =
      browser_.run("return document.querySelector('#ring').getAttribute('aria-label')");
  EXPECT_NE(described.find("1 in use"), std::string::npos) << described;
  EXPECT_NE(described.find("taken over: "), std::string::npos) << described;
  EXPECT_NE(browser_.text("#announcer").find("s2 is down"), std::string::npos);
  EXPECT_GT(browser_.run("return document.querySelectorAll('#ring .arc.down').length"), 0);

  s2.start();
  EXPECT_TRUE(wait_until([&] { return backend_cell("s2", "state") == "up"; }));
  EXPECT_TRUE(wait_until([&] {
    return browser_.run("return document.querySelectorAll('#ring .arc.down').length") == 0;
  }));
  EXPECT_EQ(browser_.run("return window.mark"), "the same document");
  expect_good_manners(ringmaster.admin());
}

TEST_F(Page, SaysWhenItHasLostTheBalancerAndFindsItAgain) {
  Backend backend("s1");
  std::optional<Ringmaster> ringmaster(std::in_place, backend.toml());
  const Endpoint admin = ringmaster->admin();
  open(*ringmaster);
  EXPECT_EQ(browser_.text("#lost"), "");

  ringmaster->stop(SIGKILL);
  ringmaster.reset();
  ASSERT_TRUE(wait_until([&] { return browser_.text("#lost") != ""; }));
  EXPECT_NE(browser_.text("#lost").find("Its last answer was at "), std::string::npos);
  EXPECT_TRUE(wait_until([&] {  // it fades
    return browser_.run("return getComputedStyle(document.querySelector('main')).filter") ==
           "grayscale(1)";
  }));
  EXPECT_EQ(browser_.text("#tile-service"), "Serving") << "what was known last";

  ringmaster.emplace("[admin]\nlisten = \"" + admin.to_string() + "\"\n" + backend.toml());
  EXPECT_TRUE(wait_until([&] { return browser_.text("#lost") == ""; }));
  EXPECT_TRUE(wait_until([&] {
    return browser_.text("#events").find("The balancer was started anew") != std::string::npos;
  }));
}

// Whatever a backend is called or says: it is text. Asked for through the page's own eyes, since no
// config could name a backend so.
TEST_F(Page, TakesNothingItIsToldForMarkup) {
  Backend backend("s1");
  Ringmaster ringmaster(backend.toml());
  open(ringmaster);
  browser_.run(R"js(
    const evil = '<img src=x onerror="window.fooled = true"><script>window.fooled = true</' + 'script>';
    const honest = window.fetch;
    window.fetch = async (path, options) => {
      const answer = await (await honest(path, options)).json();
      for (const backend of answer.backends ?? []) {
        Object.assign(backend, {name: evil, reason: evil, address: evil});
        if (backend.last_probe) backend.last_probe.result = evil;
      }
      for (const move of answer.moved ?? []) move.from = evil;
      if (answer.server) answer.server.listen = evil;
      return new Response(JSON.stringify(answer), {headers: {'Content-Type': 'application/json'}});
    };)js");
  ASSERT_TRUE(wait_until(
      [&] { return browser_.text("#backend-table").find("<img src=x") != std::string::npos; }));
  EXPECT_TRUE(
      wait_until([&] { return browser_.text("#events").find("<img") != std::string::npos; }));
  EXPECT_EQ(browser_.run("return document.querySelectorAll('img').length"), 0);
  EXPECT_TRUE(browser_.run("return window.fooled ?? null").is_null());
}

constexpr const char* kTab = "\uE004";

TEST_F(Page, FitsEveryScreenAndIsReachedByKeyboard) {
  Backend s1("s1"), s2("s2"), s3("a-backend-with-a-name-as-long-as-names-may-be.example.internal");
  Ringmaster ringmaster(s1.toml() + s2.toml() + s3.toml());
  open(ringmaster);
  s2.stop();
  Client client(ringmaster.endpoint());
  for (int i = 0; i < 30; ++i) client.get("/" + std::to_string(i));
  ASSERT_TRUE(wait_until([&] { return backend_cell("s2", "state") == "down"; }));
  ASSERT_TRUE(wait_until([&] { return browser_.text("#chart-latency .value") != "–"; }));

  const auto keep = [this](const std::string& name, int width, bool dark) {
    browser_.set_dark(dark);
    browser_.set_size(width, 900);
    browser_.keep_screenshot(name);
    EXPECT_LE(browser_.run("return document.documentElement.scrollWidth").get<int>(), width)
        << name << ": scrolls sideways";
  };
  keep("light", 1400, false);
  keep("dark", 1400, true);
  keep("tablet", 800, false);
  keep("narrow", 320, false);
  keep("narrow-dark", 320, true);

  // Tab comes by everything that can be used, and shows where it is.
  browser_.set_size(1400, 900);
  std::set<std::string> reached;
  for (int i = 0; i < 40 && reached.count("wrapped") == 0; ++i) {
    browser_.press(kTab);
    const Json at = browser_.run(R"js(
      const element = document.activeElement;
      if (element === document.body) return ['', 'wrapped'];
      return [getComputedStyle(element).outlineStyle,
              element.id || element.closest('[data-key]')?.dataset.key || element.className || element.tagName];)js");
    reached.insert(at.at(1).get<std::string>());
    EXPECT_TRUE(at.at(1) == "wrapped" || at.at(0) != "none") << at.dump();
  }
  for (const char* wanted : {"skip", "pause", "s1", "s2", s3.name().c_str(), "scrub", "SUMMARY"}) {
    EXPECT_TRUE(reached.count(wanted)) << wanted;
  }
  EXPECT_EQ(browser_.run(R"js(
    return [...document.querySelectorAll('svg[role=img], table, section, input')]
        .filter((element) => !element.getAttribute('aria-label') && !element.labels?.length &&
                             !document.getElementById(element.getAttribute('aria-labelledby')))
        .map((element) => element.outerHTML.slice(0, 80));)js"),
            Json::array())
      << "without a name for those who cannot see it";
  expect_good_manners(ringmaster.admin());
}

TEST_F(Page, AsksNothingWhilePaused) {
  Backend backend("s1");
  Ringmaster ringmaster(backend.toml());
  open(ringmaster);
  browser_.run("document.querySelector('#pause').click()");
  ASSERT_TRUE(browser_.text("#live").starts_with("Paused"));
  browser_.take_requests();
  backend.stop();
  ASSERT_TRUE(ringmaster.wait_for_state("s1", "down"));
  EXPECT_EQ(browser_.take_requests(), std::vector<std::string>());
  EXPECT_EQ(backend_cell("s1", "state"), "up");

  browser_.run("document.querySelector('#pause').click()");
  EXPECT_TRUE(wait_until([&] { return backend_cell("s1", "state") == "down"; }));
}

}  // namespace
}  // namespace ringmaster::test
