#include "master/takeover/handoff.h"

#include <fcntl.h>
#include <sys/mman.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <utility>

namespace ringmaster {
namespace {

using Json = nlohmann::json;

constexpr int kFormat = 1;

Json to_json(const std::vector<Listener>& listeners) {
  Json list = Json::array();
  for (const Listener& listener : listeners) {
    list.push_back({{"fd", listener.socket.get()},
                    {"configured", listener.configured.to_string()},
                    {"systemd", listener.is_systemds}});
  }
  return list;
}

Json to_json(const std::vector<UniqueFd>& descriptors) {
  Json list = Json::array();
  for (const UniqueFd& fd : descriptors) list.push_back(fd.get());
  return list;
}

Json to_json(const Handoff& handoff) {
  Json workers = Json::array();
  for (const HandedWorker& worker : handoff.workers) {
    workers.push_back({{"pid", worker.pid},
                       {"slot", worker.slot},
                       {"control", worker.control.get()},
                       {"started_ms", worker.started_ms},
                       {"deadline_ms", worker.deadline_ms},
                       {"superseded", worker.superseded}});
  }
  // What is new here may be missing in what an older image wrote.
  return {{"format", kFormat},
          {"memory", handoff.memory.get()},
          {"report", handoff.report.get()},
          {"hand_over", {handoff.handover.in.get(), handoff.handover.out.get()}},
          {"listeners", to_json(handoff.listeners)},
          {"admin", to_json(handoff.admin)},
          {"control", {{"fd", handoff.control.socket.get()}, {"path", handoff.control.path}}},
          {"workers", workers},
          {"waiters", to_json(handoff.reloads.waiters)},
          {"later", to_json(handoff.reloads.later)},
          {"again", handoff.reloads.again},
          {"renews", handoff.renews},
          {"calls_orphans", handoff.calls_orphans},
          {"config", handoff.config},
          {"backends", backends_to_json(handoff.backends)},
          {"failure", handoff.failure}};
}

std::vector<Listener> listeners_from(const Json& list) {
  std::vector<Listener> listeners;
  for (const Json& entry : list) {
    auto listener = adopt_listener(UniqueFd(entry.at("fd").get<int>()));
    if (!listener) throw std::runtime_error("a listener: " + listener.error());
    const auto configured = SocketAddress::parse(entry.at("configured").get<std::string>());
    if (configured) listener->configured = *configured;
    listener->is_systemds = entry.at("systemd").get<bool>();
    listeners.push_back(*std::move(listener));
  }
  return listeners;
}

// Close-on-exec from now on.
UniqueFd fd_at(const Json& number) {
  UniqueFd fd(number.get<int>());
  if (fd.is_open()) ::fcntl(fd.get(), F_SETFD, FD_CLOEXEC);
  return fd;
}

Handoff from_json(const Json& json) {
  if (json.at("format").get<int>() != kFormat) throw std::runtime_error("its format is unknown");
  Handoff handoff;
  handoff.memory = fd_at(json.at("memory"));
  handoff.report = fd_at(json.at("report"));
  handoff.handover = {fd_at(json.at("hand_over").at(0)), fd_at(json.at("hand_over").at(1))};
  handoff.listeners = listeners_from(json.at("listeners"));
  handoff.admin = listeners_from(json.at("admin"));
  handoff.control.socket = fd_at(json.at("control").at("fd"));
  handoff.control.path = json.at("control").at("path").get<std::string>();
  for (const Json& worker : json.at("workers")) {
    handoff.workers.push_back(
        {worker.at("pid").get<pid_t>(), worker.at("slot").get<std::uint32_t>(),
         fd_at(worker.at("control")), worker.at("started_ms").get<std::uint64_t>(),
         worker.at("deadline_ms").get<std::uint64_t>(), worker.value("superseded", false)});
  }
  for (const Json& waiter : json.at("waiters")) handoff.reloads.waiters.push_back(fd_at(waiter));
  for (const Json& waiter : json.at("later")) handoff.reloads.later.push_back(fd_at(waiter));
  handoff.reloads.again = json.at("again").get<bool>();
  handoff.failure = json.at("failure").get<std::string>();
  handoff.renews = json.value("renews", false);
  handoff.calls_orphans = json.value("calls_orphans", false);
  handoff.config = json.value("config", std::string());
  if (json.contains("backends")) handoff.backends = backends_from_json(json.at("backends"));
  return handoff;
}

std::string read_all(int fd) {
  std::string text;
  std::array<char, 4096> piece;
  ::lseek(fd, 0, SEEK_SET);
  for (ssize_t n; (n = ::read(fd, piece.data(), piece.size())) > 0;) {
    text.append(piece.data(), static_cast<std::size_t>(n));
  }
  return text;
}

}  // namespace

Result<UniqueFd> write_handoff(const Handoff& handoff) {
  UniqueFd memo(::memfd_create("ringmaster-handoff", 0));
  const std::string text = to_json(handoff).dump(-1, ' ', false, Json::error_handler_t::replace);
  if (!memo.is_open() ||
      ::write(memo.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size())) {
    return Error{std::string("cannot write the handoff: ") + std::strerror(errno)};
  }
  return memo;
}

Result<std::optional<Handoff>> read_handoff() {
  const char* number = std::getenv(kHandoffVariable);
  if (number == nullptr) return std::optional<Handoff>();
  const UniqueFd memo(std::atoi(number));
  ::unsetenv(kHandoffVariable);
  try {
    return std::optional<Handoff>(from_json(Json::parse(read_all(memo.get()))));
  } catch (const std::exception& error) {
    return Error{std::string("cannot read the previous image's handoff: ") + error.what()};
  }
}

}  // namespace ringmaster
