#include "master/systemd/service_store.h"

#include <fcntl.h>
#include <systemd/sd-daemon.h>

#include <algorithm>
#include <cstdlib>
#include <string>
#include <string_view>
#include <utility>

#include "master/systemd/systemd_socket.h"
#include "shared/base/log.h"

namespace ringmaster {
namespace {

constexpr std::string_view kMemoryName = "ringmaster-memory";
constexpr std::string_view kHandoverInName = "ringmaster-handover-in";
constexpr std::string_view kHandoverOutName = "ringmaster-handover-out";
constexpr std::string_view kListenerPrefix = "ringmaster-listener-";

// Where a stored descriptor of that name goes; nullptr: it is a listener.
UniqueFd* place_of(std::string_view name, StoredDescriptors& stored) {
  if (name == kMemoryName) return &stored.memory;
  if (name == kHandoverInName) return &stored.handover.in;
  if (name == kHandoverOutName) return &stored.handover.out;
  return nullptr;
}

// systemd has as much else to do as it likes, but it does read.
constexpr int kPatienceMs = 1000;

// systemd adds to a name: what was stored under it before goes first.
bool forget(std::string_view name) {
  const std::string message = fmt::format("FDSTOREREMOVE=1\nFDNAME={}", name);
  return tell_systemd(message, kPatienceMs) >= 0;
}

bool store(std::string_view name, int fd) {
  const std::string message = fmt::format("FDSTORE=1\nFDNAME={}", name);
  return tell_systemd(message, kPatienceMs, fd) >= 0;
}

// A name of its own for each, or none could be forgotten without all others.
std::string name_of(const Listener& listener) {
  std::string name = std::string(kListenerPrefix) + listener.address.to_string();
  std::replace(name.begin(), name.end(), ':', '_');  // which a name must not have
  return name;
}

// What systemd has of them already stays as it is; its own it has anyway.
bool store_all(const std::vector<Listener>& listeners) {
  return std::all_of(listeners.begin(), listeners.end(), [](const Listener& listener) {
    return listener.is_systemds || store(name_of(listener), listener.socket.get());
  });
}

// One that does not read is not waited for again and again.
void log_failure() {
  log::warning(
      "systemd refused to store descriptors: after a crash, listeners and counters will start "
      "fresh");
}

}  // namespace

StoredDescriptors take_from_systemd() {
  StoredDescriptors stored;
  char** names = nullptr;
  const int count = sd_listen_fds_with_names(/*unset_environment=*/1, &names);
  for (int i = 0; i < count; ++i) {
    UniqueFd fd(SD_LISTEN_FDS_START + i);
    const std::string_view name = names[i];
    if (UniqueFd* place = place_of(name, stored)) {
      ::fcntl(fd.get(), F_SETFD, FD_CLOEXEC);
      *place = std::move(fd);
      continue;
    }
    auto listener = adopt_listener(std::move(fd));
    if (!listener) {
      log::warning("systemd passed a descriptor \"{}\" that is not used: {}", name,
                   listener.error());
      continue;
    }
    listener->is_systemds = !name.starts_with(kListenerPrefix);
    stored.listeners.push_back(*std::move(listener));
  }
  for (int i = 0; i < count; ++i) std::free(names[i]);
  std::free(names);
  return stored;
}

void store_with_systemd(int memory, const HandoverChannel& handover,
                        const std::vector<Listener>& listeners, bool in_place) {
  for (const auto& [name, fd] : {std::pair{kMemoryName, memory},
                                 {kHandoverInName, handover.in.get()},
                                 {kHandoverOutName, handover.out.get()}}) {
    if (in_place && !forget(name)) return log_failure();
    if (!store(name, fd)) return log_failure();
  }
  if (!store_all(listeners)) log_failure();
}

void forget_stored(const Listener& listener) {
  if (!listener.is_systemds) forget(name_of(listener));
}

}  // namespace ringmaster
