// A browser under a test's control: Debian's Chromium, driven by ChromeDriver over the WebDriver
// protocol (W3C), which is HTTP and JSON. Headless, with a profile of its own, and gone with the
// object, even if the test crashes: Chromium ends when the pipe to its driver does.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tests/support/files.h"
#include "tests/support/process.h"
#include "tests/support/stream.h"

namespace ringmaster::test {

class Browser {
 public:
  // Throws std::runtime_error if there is none to be had.
  Browser();
  Browser(const Browser&) = delete;
  Browser& operator=(const Browser&) = delete;
  ~Browser();

  void open(const std::string& url);
  // Runs the body of a function in the page and returns what it returns; a promise is awaited.
  nlohmann::json run(const std::string& body, nlohmann::json arguments = nlohmann::json::array());
  // The text of the first element that matches a selector, as a reader sees it; "" if none does, or
  // it is hidden.
  std::string text(const std::string& selector);
  // Presses and releases a key where the focus is ("\uE004" is Tab).
  void press(const std::string& key);

  void set_size(int width, int height);
  void set_dark(bool dark);
  // Of the whole page, as a PNG, kept under that name where the build keeps its test output.
  void keep_screenshot(const std::string& name);

  // What was written to the console, violations of the page's policy among it, since the last call.
  std::vector<std::string> take_console();
  // The URLs that were asked for from anyone since the last call.
  std::vector<std::string> take_requests();

 private:
  nlohmann::json call(const std::string& method, const std::string& path,
                      const nlohmann::json& body = nlohmann::json::object());
  nlohmann::json in_session(const std::string& method, const std::string& path,
                            const nlohmann::json& body = nlohmann::json::object());
  nlohmann::json devtools(const std::string& command, const nlohmann::json& parameters);

  TempDir profile_;
  Process driver_;
  Endpoint endpoint_;
  std::string session_;
};

}  // namespace ringmaster::test
