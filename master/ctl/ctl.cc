#include "master/ctl/ctl.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <string_view>
#include <utility>

#include "master/ctl/control_client.h"
#include "master/ctl/control_place.h"
#include "master/ctl/flight_prose.h"
#include "master/reports/flight_report.h"
#include "master/reports/status_table.h"

namespace ringmaster {
namespace {

constexpr int kRefused = 1;

Result<ControlAnswer> ask(const CtlOptions& options, const ControlRequest& request) {
  if (!options.socket.empty()) return ask_master({options.socket}, request);
  const auto places = find_control_places(options.config_file);
  if (!places) return Error{places.error()};
  return ask_master(*places, request);
}

// What came of an order, or why there is no answer: a text for people or for a program.
int report(bool is_ok, std::string_view text, bool json) {
  while (text.ends_with('\n')) text.remove_suffix(1);
  if (json) {
    const nlohmann::json outcome = {{"ok", is_ok}, {"message", text}};
    constexpr auto kReplace = nlohmann::json::error_handler_t::replace;  // a name may be any bytes
    fmt::print("{}\n", outcome.dump(-1, ' ', /*ensure_ascii=*/false, kReplace));
  } else {
    fmt::print(is_ok ? stdout : stderr, "{}\n", text);
  }
  return is_ok ? 0 : kRefused;
}

int report(const Result<ControlAnswer>& answer, bool json) {
  if (!answer) return report(false, (json ? "" : "ringmaster ctl: ") + answer.error(), json);
  return report(answer->status == 200, answer->body, json);
}

// GETs JSON, and prints it as it is or as `render` tells it to people.
int show(const Result<ControlAnswer>& answer, bool json,
         std::string (*render)(const std::string&)) {
  if (!answer || answer->status != 200) return report(answer, json);
  fmt::print("{}", json ? answer->body : render(answer->body));
  return 0;
}

int show_recorder(const CtlOptions& options) {
  const std::string target =
      options.dead ? "/recorder?dead" : fmt::format("/recorder?last={}", options.last);
  return show(ask(options, {"GET", target}), options.json, render_recorder_table);
}

// May stand in a request as it is.
bool is_visible(std::string_view text) {
  return !text.empty() &&
         std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c <= '~'; });
}

int show_why(const CtlOptions& options) {
  const std::string& id = options.argument;
  if (!is_visible(id)) {
    return report(Error{"a request ID has visible characters only"}, options.json);
  }
  const std::string field = fmt::format("X-Request-Id: {}\r\n", id);
  return show(ask(options, {"GET", "/why", field}), options.json, render_request_story);
}

}  // namespace

CLI::App* describe_ctl(CLI::App& app, CtlOptions& options) {
  CLI::App* ctl = app.add_subcommand("ctl", "Query or control the running master");
  ctl->fallthrough();
  ctl->require_subcommand(0, 1);
  ctl->footer(
      "Exit status: 0 done, 1 refused or failed; the reason goes to stderr (with --json to "
      "stdout,\n"
      "as {\"ok\": false, \"message\": ...}).\n"
      "\n"
      "Examples:\n"
      "  ringmaster ctl status\n"
      "  ringmaster ctl drain s1            # no new requests; `ready s1` puts it back\n"
      "  ringmaster ctl why ID              # X-Request-Id of an answer, or id in the access "
      "log\n");
  ctl->add_option(
      "--socket", options.socket,
      "Control socket; default: the service's, else admin.socket of the config (-c FILE)");
  ctl->add_flag("--json", options.json, "Print JSON instead of a table or text");
  const auto add = [&](const char* name, const char* what) {
    CLI::App* command = ctl->add_subcommand(name, what);
    command->fallthrough();
    command->callback([&options, name] { options.command = name; });
    return command;
  };
  add("status", "Backends, workers, rate limit");
  add("reload", "Reload config and binary; waits for the outcome");
  add("reopen", "Reopen the access log after it was renamed; leaves the config alone");
  for (const auto& [name, what] :
       {std::pair{"drain", "Send a backend no new requests, until `ready`"},
        std::pair{"ready", "Use a drained backend again"}}) {
    add(name, what)->add_option("NAME", options.argument, "Name of a backend")->required();
  }
  add("why", "What happened to a request, and why")
      ->add_option("REQUEST-ID", options.argument, "Its X-Request-Id")
      ->required();
  CLI::App* recorder = add("recorder", "The last requests of all workers");
  auto* dead =
      recorder->add_flag("--dead", options.dead, "Only requests in flight when their worker died");
  recorder->add_option("--last", options.last, "How many")
      ->capture_default_str()
      ->check(CLI::Range(std::size_t{1}, kMostReportedRequests))
      ->excludes(dead);
  return ctl;
}

int run_ctl(const CtlOptions& options) {
  if (options.command.empty()) {
    fmt::print(stderr,
               "ringmaster ctl: no command given; use status, reload, reopen, drain NAME, ready "
               "NAME, why REQUEST-ID or recorder\nRun with --help for more information.\n");
    return kRefused;
  }
  if (options.command == "status") {
    return show(ask(options, {"GET", "/status"}), options.json, render_status_table);
  }
  if (options.command == "recorder") return show_recorder(options);
  if (options.command == "why") return show_why(options);
  if (options.command == "reload") {
    return report(ask(options, {"POST", "/reload", {}, /*takes_its_time=*/true}), options.json);
  }
  if (options.command == "reopen") return report(ask(options, {"POST", "/reopen"}), options.json);
  if (!is_visible(options.argument)) {
    return report(Error{"a backend's name has no blanks and no control characters"}, options.json);
  }
  const std::string target = fmt::format("/{}?{}", options.command, options.argument);
  return report(ask(options, {"POST", target}), options.json);
}

}  // namespace ringmaster
