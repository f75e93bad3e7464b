// The Unix socket behind `ringmaster ctl`: whoever may open it may change things, so it is the
// owner's alone (0600). Held by the master, handed on across exec.
#pragma once

#include <chrono>
#include <string>

#include "shared/base/result.h"
#include "shared/base/unique_fd.h"

namespace ringmaster {

struct ControlSocket {
  UniqueFd socket;   // listening; not open where there is none
  std::string path;  // "" where there is none
};

// control.sock in the directory that systemd made for the service ($RUNTIME_DIRECTORY); "" where it
// made none.
std::string service_control_path();

// Where the socket of this config is: admin.socket, else the service's place, else "" for nowhere.
std::string control_socket_path(const std::string& configured);

// Whether it is this socket that lies at `path`, by whatever name it was opened.
bool lies_at(const ControlSocket& socket, const std::string& path);

// Replaces the socket that a dead master left there; fails where a living one answers.
Result<ControlSocket> open_control_socket(const std::string& path);

// Lets the service's place lead to `path`, where the config wants the socket elsewhere: a file that
// was changed since does not tell where the master listens that is to load it (systemctl reload).
void lead_to_control_socket(const std::string& path);

// Removes what lies at `path` if it is a socket itself, and no link to one.
void remove_socket_at(const std::string& path);

// The socket that nobody answers any more, and what led to it.
void remove_control_socket(const std::string& path);

// A connected stream socket to the master behind `path`, who may take `patience` to get round to
// us; so may each send() on it.
Result<UniqueFd> connect_to_control_socket(const std::string& path, std::chrono::seconds patience);

}  // namespace ringmaster
