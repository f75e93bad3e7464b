#include "master/ctl/ctl.h"

#include <fmt/format.h>
#include <llhttp.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <nlohmann/json.hpp>
#include <string_view>
#include <utility>

#include "master/admin/control_socket.h"
#include "master/config/config_loader.h"
#include "master/ctl/flight_prose.h"
#include "master/reports/flight_report.h"
#include "master/reports/status_table.h"

namespace ringmaster {
namespace {

constexpr int kRefused = 1;
constexpr int kPatienceS = 5;
// Where the packaged service has its socket.
constexpr const char* kServiceSocket = "/run/ringmaster/control.sock";

constexpr const char* kWhere = "\nwhere is the master's control socket? Give it with --socket";

struct Answer {
  int status = 0;
  std::string body;
};

// Where the master may listen, the surest place first. The service's own place leads to it whatever
// its config says by now; for any other, the config must tell.
Result<std::vector<std::string>> find_sockets(const CtlOptions& options) {
  if (!options.socket.empty()) return std::vector{options.socket};
  std::vector<std::string> places;
  if (const std::string ours = service_control_path(); !ours.empty()) {
    places.push_back(ours);
  } else if (options.config_file == kDefaultConfig) {
    places.push_back(kServiceSocket);
  }
  // Also of a file that was just broken: then more than ever somebody wants to look.
  const Result<std::string> text = read_config_file(options.config_file);
  const std::string configured = text ? find_control_socket(*text) : std::string();
  if (!configured.empty()) places.push_back(configured);
  if (!places.empty()) return places;
  if (!text) return Error{options.config_file + ": " + text.error() + kWhere};
  const LoadedConfig loaded = load_config(*text);
  std::string why;
  for (const ConfigProblem& problem : loaded.problems) {
    why += (why.empty() ? "" : "\n") + format_problem(options.config_file, problem);
  }
  if (why.empty()) why = options.config_file + " names no admin.socket";
  return Error{why + kWhere};
}

// To the first that answers.
Result<UniqueFd> connect_to_master(const CtlOptions& options) {
  const auto places = find_sockets(options);
  if (!places) return Error{places.error()};
  std::string errors;
  for (const std::string& place : *places) {
    auto socket = connect_to_control_socket(place);
    if (socket) return socket;
    errors += socket.error() + "; ";
  }
  return Error{errors +
               "is ringmaster running, with admin.socket set or under systemd? Give the socket "
               "with --socket"};
}

Result<bool> send_all(int socket, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t n = ::send(socket, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return Error{std::string("the master does not listen: ") + std::strerror(errno)};
    bytes.remove_prefix(static_cast<std::size_t>(n));
  }
  return true;
}

// A master that turns its loop answers at once; but a reload waits for its new workers.
void limit_wait(int socket) {
  const timeval patience{.tv_sec = kPatienceS, .tv_usec = 0};
  ::setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
}

// One response, read to its end.
Result<Answer> receive(int socket) {
  Answer answer;
  bool complete = false;
  struct State {
    Answer& answer;
    bool& complete;
  } state{answer, complete};
  llhttp_settings_t settings;
  llhttp_settings_init(&settings);
  settings.on_body = [](llhttp_t* parser, const char* at, std::size_t size) {
    static_cast<State*>(parser->data)->answer.body.append(at, size);
    return 0;
  };
  settings.on_message_complete = [](llhttp_t* parser) {
    static_cast<State*>(parser->data)->complete = true;
    return 0;
  };
  llhttp_t parser;
  llhttp_init(&parser, HTTP_RESPONSE, &settings);
  parser.data = &state;
  std::array<char, 65'536> bytes;
  while (!complete) {
    const ssize_t n = ::recv(socket, bytes.data(), bytes.size(), 0);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && errno == EAGAIN) {
      return Error{fmt::format(
          "no answer from the master for {} s: it hangs, or is stopped; if it goes on it may still "
          "do what was asked",
          kPatienceS)};
    }
    if (n <= 0) return Error{"the master closed the connection without an answer; see its log"};
    if (llhttp_execute(&parser, bytes.data(), static_cast<std::size_t>(n)) != HPE_OK) {
      return Error{"cannot read the master's answer"};
    }
  }
  answer.status = parser.status_code;
  return answer;
}

// `fields`: whole lines, each with its CRLF.
Result<Answer> ask(const CtlOptions& options, std::string_view method, std::string_view target,
                   std::string_view fields = "") {
  auto socket = connect_to_master(options);
  if (!socket) return Error{socket.error()};
  const std::string request = fmt::format(
      "{} {} HTTP/1.1\r\nHost: control\r\nConnection: close\r\n{}\r\n", method, target, fields);
  if (auto sent = send_all(socket->get(), request); !sent) return Error{sent.error()};
  if (options.command != "reload") limit_wait(socket->get());
  return receive(socket->get());
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

int report(const Result<Answer>& answer, bool json) {
  if (!answer) return report(false, (json ? "" : "ringmaster ctl: ") + answer.error(), json);
  return report(answer->status == 200, answer->body, json);
}

// GETs JSON, and prints it as it is or as `render` tells it to people.
int show(const Result<Answer>& answer, bool json, std::string (*render)(const std::string&)) {
  if (!answer || answer->status != 200) return report(answer, json);
  fmt::print("{}", json ? answer->body : render(answer->body));
  return 0;
}

int show_recorder(const CtlOptions& options) {
  const std::string target =
      options.dead ? "/recorder?dead" : fmt::format("/recorder?last={}", options.last);
  return show(ask(options, "GET", target), options.json, render_recorder_table);
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
  return show(ask(options, "GET", "/why", fmt::format("X-Request-Id: {}\r\n", id)), options.json,
              render_request_story);
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
  ctl->add_option("--socket", options.socket,
                  "Control socket; default: the service's, else admin.socket of the config");
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
    return show(ask(options, "GET", "/status"), options.json, render_status_table);
  }
  if (options.command == "recorder") return show_recorder(options);
  if (options.command == "why") return show_why(options);
  if (options.command == "reload" || options.command == "reopen") {
    return report(ask(options, "POST", "/" + options.command), options.json);
  }
  if (!is_visible(options.argument)) {
    return report(Error{"a backend's name has no blanks and no control characters"}, options.json);
  }
  const std::string target = fmt::format("/{}?{}", options.command, options.argument);
  return report(ask(options, "POST", target), options.json);
}

}  // namespace ringmaster
