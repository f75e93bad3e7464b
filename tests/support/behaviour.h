// What the backends of many tests do: answer when they are told to, or let a tunnel through.
#pragma once

#include <string>

#include "tests/support/backend.h"

namespace ringmaster::test {

// Answers every request when `event` has happened, which must outlive the backend. Until then it is
// silent for longer than any test is patient.
Backend::Handler answers_after(Event& event, const std::string& body = "");

// Accepts the upgrade that is asked for: what follows is the tunnel's.
void switch_protocols(Conversation& conversation);
// Does so and sends back whatever comes, until the client ends its side.
void echo(Conversation& conversation);

}  // namespace ringmaster::test
