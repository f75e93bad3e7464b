#include "master/ctl/control_place.h"

#include <cstddef>
#include <exception>
#include <string_view>
#include <utility>

#include "master/admin/control_socket.h"
#include "master/config/config_loader.h"
#include "master/config/config_reader.h"
#include "master/config/config_text.h"

namespace ringmaster {
namespace {

// Where the packaged service has its socket.
constexpr const char* kServiceSocket = "/run/ringmaster/control.sock";

constexpr const char* kWhere = "\nwhere is the master's control socket? Give it with --socket";

// From its heading to the next; empty if there is none.
std::string_view find_table(std::string_view toml_text, std::string_view heading) {
  std::size_t at = 0;
  while (!toml_text.substr(at).starts_with(heading)) {
    const std::size_t end = toml_text.find('\n', at);
    if (end == toml_text.npos) return {};
    at = end + 1;
  }
  return toml_text.substr(at, toml_text.find("\n[", at) - at);
}

// Line by line, what is no TOML is passed over.
std::string read_control_socket(std::string toml_text) {
  constexpr int kMostBrokenLines = 100;
  for (int broken = 0; broken < kMostBrokenLines; ++broken) {
    try {
      const toml::table root = toml::parse(toml_text);
      return root["admin"]["socket"].value_or(std::string());
    } catch (const toml::parse_error& error) {
      blank(toml_text, line_at(toml_text, error.source().begin.line));
    } catch (const std::exception&) {
      break;
    }
  }
  return {};
}

// The admin.socket of a config that may be broken in any other place; empty: none can be made out.
std::string find_control_socket(std::string_view toml_text) {
  // The table by itself first: what is not closed before it breaks all that follows.
  for (const std::string_view part : {find_table(toml_text, "[admin]"), toml_text}) {
    std::string socket = read_control_socket(std::string(part));
    if (!socket.empty()) return socket;
  }
  return {};
}

}  // namespace

// The service's own place leads to the master whatever its config says by now; for any other, the
// config must tell.
Result<std::vector<std::string>> find_control_places(const std::string& config_file) {
  std::vector<std::string> places;
  if (const std::string ours = service_control_path(); !ours.empty()) {
    places.push_back(ours);
  } else if (config_file == kDefaultConfig) {
    places.push_back(kServiceSocket);
  }
  // Also of a file that was just broken: then more than ever somebody wants to look.
  const Result<std::string> text = read_config_file(config_file);
  const std::string configured = text ? find_control_socket(*text) : std::string();
  if (!configured.empty()) places.push_back(configured);
  if (!places.empty()) return places;
  if (!text) return Error{config_file + ": " + text.error() + kWhere};
  const LoadedConfig loaded = load_config(*text);
  std::string why;
  for (const ConfigProblem& problem : loaded.problems) {
    why += (why.empty() ? "" : "\n") + format_problem(config_file, problem);
  }
  if (why.empty()) why = config_file + " names no admin.socket";
  return Error{why + kWhere};
}

}  // namespace ringmaster
