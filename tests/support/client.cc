#include "tests/support/client.h"

#include <charconv>

namespace ringmaster::test {
namespace {

void parse_status_line(const std::string& line, Response& response) {
  const bool shaped =
      line.size() >= 13 && line.starts_with("HTTP/1.") && line[8] == ' ' && line[12] == ' ';
  int status = 0;
  if (shaped) std::from_chars(line.data() + 9, line.data() + 12, status);
  if (status < 100 || status > 999) {
    throw StreamError(StreamError::Kind::kMalformed, "bad status line: " + line);
  }
  response.version = line.substr(0, 8);
  response.status = status;
}

bool has_no_body(int status, std::string_view method) {
  return method == "HEAD" || status < 200 || status == 204 || status == 304;
}

}  // namespace

Client::Client(const Endpoint& server, const std::string& from_ip)
    : stream_(Stream::connect(server, from_ip)) {}

Response Client::receive_head(std::string_view method) {
  Response response;
  response.head = read_head(stream_);
  parse_status_line(response.head.start_line, response);
  response.framing = has_no_body(response.status, method)
                         ? Framing::kNone
                         : framing_of(response.head.fields, Framing::kUntilClose);
  return response;
}

void Client::receive_body(Response& response, const Sink& sink) {
  response.trailers = read_body(stream_, response.framing, response.head.fields, sink);
}

Response Client::receive_into(const Sink& sink, std::string_view method) {
  std::vector<int> interim;
  Response response = receive_head(method);
  while (response.status < 200) {
    interim.push_back(response.status);
    response = receive_head(method);
  }
  response.interim = std::move(interim);
  receive_body(response, sink);
  return response;
}

Response Client::receive(std::string_view method) {
  std::string body;
  Response response = receive_into([&](std::string_view piece) { body += piece; }, method);
  response.body = std::move(body);
  return response;
}

Response Client::get(const std::string& path, const std::string& fields) {
  send(request_head("GET", path, fields));
  return receive();
}

Response Client::head(const std::string& path) {
  send(request_head("HEAD", path));
  return receive("HEAD");
}

Response Client::post(const std::string& path, std::string_view body, const std::string& fields) {
  send(request_head("POST", path,
                    "Content-Length: " + std::to_string(body.size()) + "\r\n" + fields));
  send(body);
  return receive("POST");
}

std::string request_head(std::string_view method, std::string_view target,
                         std::string_view fields) {
  std::string head;
  head.append(method).append(" ").append(target).append(" HTTP/1.1\r\nHost: test.example\r\n");
  return head.append(fields).append("\r\n");
}

Response get(const Endpoint& server, const std::string& path, const std::string& from_ip) {
  Client client(server, from_ip);
  return client.get(path, "Connection: close\r\n");
}

bool is_refused(const Endpoint& server) {
  try {
    Stream::connect(server);
    return false;
  } catch (const StreamError& error) {
    return error.kind == StreamError::Kind::kRefused;
  }
}

}  // namespace ringmaster::test
