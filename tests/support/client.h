// A client on a raw connection: sends exactly the bytes it is told to and reads responses strictly.
// Everything it waits for has a deadline; what goes wrong is a StreamError.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tests/support/http.h"
#include "tests/support/stream.h"

namespace ringmaster::test {

struct Response {
  int status = 0;
  std::string version;  // "HTTP/1.1"
  Head head;
  Framing framing = Framing::kNone;
  std::string body;
  Fields trailers;
  std::vector<int> interim;  // the 1xx that came before

  std::string field(std::string_view name) const { return head.fields.get(name); }
  bool has(std::string_view name) const { return head.fields.has(name); }
  bool says_close() const { return equal_ignoring_case(field("Connection"), "close"); }
  // The name of the test backend that answered.
  std::string backend() const { return field("X-Backend"); }
};

class Client {
 public:
  explicit Client(const Endpoint& server, const std::string& from_ip = "");
  explicit Client(Stream stream) : stream_(std::move(stream)) {}

  void send(std::string_view bytes) { stream_.send(bytes); }
  // Reads one whole final response; `method` is that of its request.
  Response receive(std::string_view method = "GET");
  // As above, but the body goes to `sink`.
  Response receive_into(const Sink& sink, std::string_view method = "GET");
  // The head of the next response, also of a 1xx. The body is left unread.
  Response receive_head(std::string_view method = "GET");
  // Reads what receive_head() left.
  void receive_body(Response& response, const Sink& sink);

  // `fields`: whole lines, each with its CRLF.
  Response get(const std::string& path, const std::string& fields = "");
  Response head(const std::string& path);
  Response post(const std::string& path, std::string_view body, const std::string& fields = "");

  // True if the server ends the connection in an orderly way without sending any further byte;
  // throws StreamError on a reset or if nothing happens.
  bool is_ended() { return stream_.read_some().empty(); }
  Stream& stream() { return stream_; }

 private:
  Stream stream_;
};

// The head of a request; `fields` as above. Host is always "test.example".
std::string request_head(std::string_view method, std::string_view target,
                         std::string_view fields = "");

// Asks for a tunnel.
inline constexpr std::string_view kUpgrade = "Connection: Upgrade\r\nUpgrade: test\r\n";

// One GET on a connection of its own.
Response get(const Endpoint& server, const std::string& path, const std::string& from_ip = "");
// Can a connection be made?
bool is_refused(const Endpoint& server);

}  // namespace ringmaster::test
