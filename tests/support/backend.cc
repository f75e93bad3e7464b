#include "tests/support/backend.h"

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include <utility>

namespace ringmaster::test {
namespace {

Request parse_request(Head head) {
  Request request;
  const std::string& line = head.start_line;
  const std::size_t first = line.find(' ');
  const std::size_t last = line.rfind(' ');
  if (first == std::string::npos || first == last) {
    throw StreamError(StreamError::Kind::kMalformed, "bad request line: " + line);
  }
  request.method = line.substr(0, first);
  request.target = line.substr(first + 1, last - first - 1);
  request.version = line.substr(last + 1);
  request.head = std::move(head);
  return request;
}

Backend::Script answer_with(Backend::Handler handler) {
  return [handler = std::move(handler)](Conversation& conversation) {
    for (bool more = true; more;) {
      conversation.read_body();
      const Reply reply = handler(conversation.request());
      conversation.reply(reply);
      more = !reply.close && conversation.next();
    }
  };
}

std::string to_bytes(const Reply& reply, const std::string& name, bool head_only) {
  std::string bytes = "HTTP/1.1 " + std::to_string(reply.status) + " Said so\r\n";
  for (const auto& [field, value] : reply.fields) bytes += field + ": " + value + "\r\n";
  bytes += "X-Backend: " + name + "\r\n";
  const bool has_body = reply.status >= 200 && reply.status != 204 && reply.status != 304;
  if (reply.close) bytes += "Connection: close\r\n";
  if (has_body && reply.chunked) bytes += "Transfer-Encoding: chunked\r\n";
  if (has_body && !reply.chunked) {
    bytes += "Content-Length: " + std::to_string(reply.body.size()) + "\r\n";
  }
  bytes += "\r\n";
  if (!has_body || head_only) return bytes;
  if (!reply.chunked) return bytes + reply.body;
  return bytes + (reply.body.empty() ? "" : chunk(reply.body)) + "0\r\n\r\n";
}

}  // namespace

std::string backend_table(const std::string& name, const Endpoint& where, const std::string& more) {
  return "\n[[backend]]\nname = \"" + name + "\"\naddress = \"" + where.to_string() + "\"\n" +
         more + "\n";
}

bool Conversation::next() {
  settle();
  for (;;) {
    stream_.set_patience(std::chrono::hours(1));  // an idle connection may stay so
    try {
      request_ = parse_request(read_head(stream_));
    } catch (const StreamError& error) {
      if (error.kind != StreamError::Kind::kMalformed) return false;
      throw;
    }
    stream_.set_patience(kPatience);
    if (request_.target != kProbePath) break;
    backend_.wait_while_hung();
    stream_.send(to_bytes({}, backend_.name(), request_.method == "HEAD"));
  }
  number_ = backend_.record(request_);
  in_flight_ = true;
  return true;
}

void Conversation::settle() {
  if (std::exchange(in_flight_, false)) --backend_.in_flight_;
}

void Conversation::read_body(bool may_continue) {
  if (may_continue && equal_ignoring_case(request_.field("Expect"), "100-continue")) {
    stream_.send("HTTP/1.1 100 Continue\r\n\r\n");
  }
  std::string body;
  read_body_into([&](std::string_view piece) { body += piece; });
  request_.body = std::move(body);
  backend_.record_body(number_, request_);
}

void Conversation::read_body_into(const Sink& sink) {
  const Framing framing = framing_of(request_.head.fields, Framing::kNone);
  request_.trailers = test::read_body(stream_, framing, request_.head.fields, sink);
}

void Conversation::reply(const Reply& reply) {
  backend_.wait_while_hung();
  stream_.send(to_bytes(reply, backend_.name(), request_.method == "HEAD"));
  settle();
}

Backend::Backend(std::string name) : Backend(name, Endpoint{own_loopback(), 0}) {}

Backend::Backend(std::string name, const Endpoint& where)
    : name_(name),
      script_(answer_with([name](const Request& request) {
        return Reply{.body = name + " " + request.method + " " + request.target + "\n"};
      })),
      endpoint_(where) {
  start();
}

Backend::Backend(std::string name, Handler handler)
    : Backend(std::move(name), answer_with(std::move(handler))) {}

Backend::Backend(std::string name, Script script)
    : name_(std::move(name)), script_(std::move(script)), endpoint_{own_loopback(), 0} {
  start();
}

Backend::~Backend() {
  stop();
}

void Backend::start() {
  UniqueFd listener = listen_at(endpoint_);
  endpoint_ = local_endpoint(listener.get());
  wake_ = UniqueFd(::eventfd(0, EFD_CLOEXEC));
  stopping_ = false;
  acceptor_ = std::thread([this, fd = std::move(listener), wake = wake_.get()] {
    accept_until_stopped(fd.get(), wake);
  });
}

void Backend::stop() {
  if (!acceptor_.joinable()) return;
  ::eventfd_write(wake_.get(), 1);
  acceptor_.join();  // its end closes the listener
  std::list<Connection> ending;
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    hung_ = false;
    changed_.notify_all();
    for (const Connection& connection : open_) {
      if (connection.fd >= 0) ::shutdown(connection.fd, SHUT_RDWR);
    }
    ending.swap(open_);
  }
  for (Connection& connection : ending) connection.thread.join();
}

void Backend::hang() {
  const std::lock_guard lock(mutex_);
  hung_ = true;
}

void Backend::resume() {
  const std::lock_guard lock(mutex_);
  hung_ = false;
  changed_.notify_all();
}

std::string Backend::toml(const std::string& more) const {
  return backend_table(name_, endpoint_, more);
}

std::vector<Request> Backend::requests() const {
  const std::lock_guard lock(mutex_);
  return record_;
}

std::size_t Backend::request_count() const {
  const std::lock_guard lock(mutex_);
  return record_.size();
}

void Backend::accept_until_stopped(int listener, int wake) {
  for (;;) {
    pollfd waiting[] = {{listener, POLLIN, 0}, {wake, POLLIN, 0}};
    ::poll(waiting, 2, -1);
    if (waiting[1].revents != 0) return;
    UniqueFd fd(::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC));
    if (!fd.is_open()) continue;
    const std::lock_guard lock(mutex_);
    open_.remove_if([](Connection& connection) {
      if (connection.fd >= 0) return false;
      connection.thread.join();
      return true;
    });
    Connection& connection = open_.emplace_back();
    connection.fd = fd.get();
    connection.thread = std::thread([this, &connection, socket = std::move(fd)]() mutable {
      serve(Stream(std::move(socket)), connection);
    });
  }
}

void Backend::serve(Stream stream, Connection& self) {
  try {
    Conversation conversation(*this, stream);
    if (conversation.next()) {
      ++connections_;
      script_(conversation);
    }
  } catch (const StreamError& error) {
    // That the proxy went away is its right, and the test's to judge.
    if (error.kind == StreamError::Kind::kMalformed) {
      ADD_FAILURE() << "backend " << name_ << " received nonsense: " << error.what();
    }
  }
  const std::lock_guard lock(mutex_);
  self.fd = -1;
  stream.close();
}

std::size_t Backend::record(const Request& request) {
  const std::lock_guard lock(mutex_);
  ++in_flight_;
  record_.push_back(request);
  return record_.size();
}

void Backend::record_body(std::size_t number, const Request& request) {
  const std::lock_guard lock(mutex_);
  record_[number - 1].body = request.body;
  record_[number - 1].trailers = request.trailers;
}

void Backend::wait_while_hung() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return !hung_ || stopping_; });
}

}  // namespace ringmaster::test
