#include "tests/support/behaviour.h"

namespace ringmaster::test {

Backend::Handler answers_after(Event& event, const std::string& body) {
  return [&event, body](const Request&) {
    event.wait(kPatience * 2);
    return Reply{.body = body};
  };
}

void switch_protocols(Conversation& conversation) {
  conversation.stream().send(
      "HTTP/1.1 101 Switching Protocols\r\n"
      "Connection: Upgrade\r\nUpgrade: " +
      conversation.request().field("Upgrade") + "\r\n\r\n");
}

void echo(Conversation& conversation) {
  switch_protocols(conversation);
  Stream& stream = conversation.stream();
  for (std::string bytes; !(bytes = stream.read_some()).empty();) stream.send(bytes);
}

}  // namespace ringmaster::test
