#include "master/ctl/control_client.h"

#include <fmt/format.h>
#include <llhttp.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstring>

#include "master/admin/control_socket.h"

namespace ringmaster {
namespace {

constexpr std::chrono::seconds kPatience{5};

// To the first that answers.
Result<UniqueFd> connect_to_master(const std::vector<std::string>& places) {
  std::string errors;
  for (const std::string& place : places) {
    auto socket = connect_to_control_socket(place, kPatience);
    if (socket) return socket;
    errors += socket.error() + "; ";
  }
  return Error{errors +
               "is ringmaster running, with admin.socket set or under systemd? Give the socket "
               "with --socket"};
}

Result<void> send_all(int socket, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t n = ::send(socket, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return Error{std::string("the master does not listen: ") + std::strerror(errno)};
    bytes.remove_prefix(static_cast<std::size_t>(n));
  }
  return {};
}

// A master that turns its loop answers at once; but a reload waits for its new workers.
void limit_wait(int socket) {
  const timeval patience{.tv_sec = kPatience.count(), .tv_usec = 0};
  ::setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
}

// One response, read to its end.
Result<ControlAnswer> receive(int socket) {
  ControlAnswer answer;
  bool complete = false;
  struct State {
    ControlAnswer& answer;
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
          kPatience.count())};
    }
    if (n <= 0) return Error{"the master closed the connection without an answer; see its log"};
    if (llhttp_execute(&parser, bytes.data(), static_cast<std::size_t>(n)) != HPE_OK) {
      return Error{"cannot read the master's answer"};
    }
  }
  answer.status = parser.status_code;
  return answer;
}

}  // namespace

Result<ControlAnswer> ask_master(const std::vector<std::string>& places,
                                 const ControlRequest& request) {
  auto socket = connect_to_master(places);
  if (!socket) return Error{socket.error()};
  const std::string bytes =
      fmt::format("{} {} HTTP/1.1\r\nHost: control\r\nConnection: close\r\n{}\r\n", request.method,
                  request.target, request.fields);
  if (auto sent = send_all(socket->get(), bytes); !sent) return Error{sent.error()};
  if (!request.takes_its_time) limit_wait(socket->get());
  return receive(socket->get());
}

}  // namespace ringmaster
