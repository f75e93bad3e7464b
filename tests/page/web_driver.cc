#include "tests/page/web_driver.h"

#include <stdexcept>
#include <string_view>

#include "tests/support/client.h"
#include "tests/support/places.h"

namespace ringmaster::test {
namespace {

using Json = nlohmann::json;

std::string decode_base64(std::string_view text) {
  constexpr std::string_view kAlphabet =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string bytes;
  unsigned bits = 0;
  int count = 0;
  for (const char c : text) {
    const std::size_t value = kAlphabet.find(c);
    if (value == kAlphabet.npos) break;  // padding
    bits = bits << 6 | static_cast<unsigned>(value);
    count += 6;
    if (count < 8) continue;
    count -= 8;
    bytes += static_cast<char>(bits >> count & 0xff);
  }
  return bytes;
}

// Chromium as a test wants it: no window, no sandbox (tests run as root), no word to anyone.
Json capabilities(const std::string& profile) {
  const Json arguments = {"--headless",
                          "--no-sandbox",
                          "--disable-gpu",
                          "--disable-quic",
                          "--disable-dev-shm-usage",
                          "--no-first-run",
                          "--disable-background-networking",
                          "--disable-component-update",
                          "--disable-sync",
                          "--disable-breakpad",
                          "--force-device-scale-factor=1",
                          "--hide-scrollbars",
                          "--remote-debugging-pipe",
                          "--user-data-dir=" + profile};
  return {{"capabilities",
           {{"alwaysMatch",
             {{"goog:loggingPrefs", {{"browser", "ALL"}, {"performance", "ALL"}}},
              {"goog:chromeOptions", {{"binary", chromium_binary()}, {"args", arguments}}}}}}}};
}

}  // namespace

Browser::Browser() : driver_({chromedriver_binary(), "--port=0"}) {
  constexpr std::string_view kAnnouncement = "started successfully on port ";
  const bool started = wait_until([&] {
    const std::string output = driver_.output();
    const std::size_t at = output.find(kAnnouncement);
    if (at == output.npos || output.find('.', at) == output.npos) return false;
    const int port = std::stoi(output.substr(at + kAnnouncement.size()));
    endpoint_ = {"127.0.0.1", static_cast<std::uint16_t>(port)};
    return true;
  });
  if (!started) throw std::runtime_error("no ChromeDriver: " + driver_.log());
  session_ = call("POST", "/session", capabilities(profile_.path("profile"))).at("sessionId");
}

Browser::~Browser() {
  try {
    in_session("DELETE", "");  // waits until Chromium has ended
  } catch (const std::exception&) {
    // Then it ends with its driver.
  }
}

Json Browser::call(const std::string& method, const std::string& path, const Json& body) {
  Client client(endpoint_);
  client.stream().set_patience(seconds(60));
  const std::string text = method == "POST" ? body.dump() : "";
  client.send(method + " " + path + " HTTP/1.1\r\nHost: " + endpoint_.to_string() +
              "\r\nContent-Type: application/json\r\nContent-Length: " +
              std::to_string(text.size()) + "\r\nConnection: close\r\n\r\n" + text);
  const Response response = client.receive(method);
  const Json answer = Json::parse(response.body);
  if (response.status != 200) {
    throw std::runtime_error(method + " " + path + ": " +
                             answer.at("value").value("message", "no reason given"));
  }
  return answer.at("value");
}

Json Browser::in_session(const std::string& method, const std::string& path, const Json& body) {
  return call(method, "/session/" + session_ + path, body);
}

Json Browser::devtools(const std::string& command, const Json& parameters) {
  return in_session("POST", "/goog/cdp/execute", {{"cmd", command}, {"params", parameters}});
}

void Browser::open(const std::string& url) {
  in_session("POST", "/url", {{"url", url}});
}

Json Browser::run(const std::string& body, Json arguments) {
  return in_session("POST", "/execute/sync", {{"script", body}, {"args", std::move(arguments)}});
}

std::string Browser::text(const std::string& selector) {
  return run(
      "const element = document.querySelector(arguments[0]);"
      "return element?.checkVisibility() ? element.innerText : ''",
      {selector});
}

void Browser::press(const std::string& key) {
  const Json strokes = {{{"type", "keyDown"}, {"value", key}}, {{"type", "keyUp"}, {"value", key}}};
  in_session("POST", "/actions",
             {{"actions", {{{"type", "key"}, {"id", "keyboard"}, {"actions", strokes}}}}});
}

void Browser::set_size(int width, int height) {
  devtools("Emulation.setDeviceMetricsOverride",
           {{"width", width}, {"height", height}, {"deviceScaleFactor", 1}, {"mobile", false}});
}

void Browser::set_dark(bool dark) {
  const Json feature = {{"name", "prefers-color-scheme"}, {"value", dark ? "dark" : "light"}};
  devtools("Emulation.setEmulatedMedia", {{"features", Json::array({feature})}});
}

void Browser::keep_screenshot(const std::string& name) {
  const Json shot = devtools("Page.captureScreenshot", {{"captureBeyondViewport", true}});
  write_whole_file(output_path(name + ".png"), decode_base64(shot.at("data").get<std::string>()));
}

std::vector<std::string> Browser::take_console() {
  std::vector<std::string> lines;
  for (const Json& entry : in_session("POST", "/se/log", {{"type", "browser"}})) {
    lines.push_back(entry.at("level").get<std::string>() + ": " +
                    entry.at("message").get<std::string>());
  }
  return lines;
}

std::vector<std::string> Browser::take_requests() {
  std::vector<std::string> urls;
  for (const Json& entry : in_session("POST", "/se/log", {{"type", "performance"}})) {
    const Json event = Json::parse(entry.at("message").get<std::string>()).at("message");
    if (event.at("method") != "Network.requestWillBeSent") continue;
    const std::string url = event.at("params").at("request").at("url");
    // Not the browser's own, nor what came along in the page.
    if (!url.starts_with("chrome:") && !url.starts_with("data:")) urls.push_back(url);
  }
  return urls;
}

}  // namespace ringmaster::test
