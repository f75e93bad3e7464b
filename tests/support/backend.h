// A small real HTTP/1.1 backend, a thread a connection. It answers through a handler (a request in,
// a reply out) or follows a script that has the connection in its hands, counts what reached it,
// and can be stopped, started again on the same port, and hung. Probes to kProbePath are answered
// and never counted.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <list>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "tests/support/http.h"
#include "tests/support/stream.h"

namespace ringmaster::test {

inline constexpr std::string_view kProbePath = "/probe";

// A [[backend]] table of a config; `more`: further lines.
std::string backend_table(const std::string& name, const Endpoint& where,
                          const std::string& more = "");

struct Request {
  Head head;
  std::string method;
  std::string target;
  std::string version;
  std::string body;  // once it was read
  Fields trailers;

  std::string field(std::string_view name) const { return head.fields.get(name); }
  bool has(std::string_view name) const { return head.fields.has(name); }
};

struct Reply {
  int status = 200;
  std::string body = {};
  std::vector<Field> fields = {};
  bool chunked = false;
  bool close = false;
};

class Backend;

// One connection as a script sees it, with the head of its first request read. When the script
// returns, or a StreamError leaves it, the connection closes.
class Conversation {
 public:
  Conversation(Backend& backend, Stream& stream) : backend_(backend), stream_(stream) {}
  ~Conversation() { settle(); }

  // Reads the next request's head, answering probes; false when the proxy has closed. What a proxy
  // must never send (a head that breaks the rules) fails the test.
  bool next();
  const Request& request() const { return request_; }
  // Reads the body, saying 100 Continue first where it is expected (and `may_continue`).
  void read_body(bool may_continue = true);
  void read_body_into(const Sink& sink);
  void reply(const Reply& reply);
  Stream& stream() { return stream_; }

 private:
  // The request is no longer in flight.
  void settle();

  Backend& backend_;
  Stream& stream_;
  Request request_;
  bool in_flight_ = false;
  std::size_t number_ = 0;  // of the request in the backend's record
};

class Backend {
 public:
  using Handler = std::function<Reply(const Request&)>;
  using Script = std::function<void(Conversation&)>;

  // Answers every request with its own name, the method and the target.
  explicit Backend(std::string name);
  Backend(std::string name, Handler handler);
  Backend(std::string name, Script script);
  // Elsewhere than at a port of its own.
  Backend(std::string name, const Endpoint& where);
  Backend(const Backend&) = delete;
  Backend& operator=(const Backend&) = delete;
  ~Backend();

  // Refuses connections and ends those there are; start() binds the same port again.
  void stop();
  void start();
  // Accepts but answers nothing more, probes neither, until resume() or stop().
  void hang();
  void resume();

  const std::string& name() const { return name_; }
  const Endpoint& endpoint() const { return endpoint_; }
  std::string toml(const std::string& more = "") const;

  std::vector<Request> requests() const;
  std::size_t request_count() const;
  // Connections that carried at least one request.
  std::uint64_t connection_count() const { return connections_; }
  // Requests whose head was read and whose reply was not yet sent, on connections that stand.
  std::int64_t in_flight() const { return in_flight_; }

 private:
  friend class Conversation;
  struct Connection {
    int fd = -1;  // -1: done
    std::thread thread;
  };

  void accept_until_stopped(int listener, int wake);
  void serve(Stream stream, Connection& self);
  std::size_t record(const Request& request);
  void record_body(std::size_t number, const Request& request);
  void wait_while_hung();

  const std::string name_;
  const Script script_;
  Endpoint endpoint_;
  UniqueFd wake_;  // an eventfd: written to end the accepting
  std::thread acceptor_;

  mutable std::mutex mutex_;  // of all below
  std::condition_variable changed_;
  std::list<Connection> open_;
  std::vector<Request> record_;
  bool hung_ = false;
  bool stopping_ = false;
  std::atomic<std::uint64_t> connections_ = 0;
  std::atomic<std::int64_t> in_flight_ = 0;
};

// The tables of all.
template <class... Backends>
std::string toml_of(const Backends&... backends) {
  return (backends.toml() + ...);
}

}  // namespace ringmaster::test
