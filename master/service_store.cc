#include "master/service_store.h"

#include <fcntl.h>
#include <systemd/sd-daemon.h>

#include <cstdlib>
#include <string_view>

#include "shared/base/log.h"

namespace ringmaster {
namespace {

constexpr std::string_view kMemoryName = "ringmaster-memory";
constexpr std::string_view kListenerName = "ringmaster-listener";

// systemd adds to a name: what was stored under it before goes first.
void forget(std::string_view name) {
  sd_notify(0, fmt::format("FDSTOREREMOVE=1\nFDNAME={}", name).c_str());
}

void store(std::string_view name, int fd) {
  const std::string message = fmt::format("FDSTORE=1\nFDNAME={}", name);
  sd_pid_notify_with_fds(0, 0, message.c_str(), &fd, 1);
}

}  // namespace

StoredDescriptors take_from_systemd() {
  StoredDescriptors stored;
  char** names = nullptr;
  const int count = sd_listen_fds_with_names(/*unset_environment=*/1, &names);
  for (int i = 0; i < count; ++i) {
    UniqueFd fd(SD_LISTEN_FDS_START + i);
    const std::string_view name = names[i];
    if (name == kMemoryName) {
      ::fcntl(fd.get(), F_SETFD, FD_CLOEXEC);
      stored.memory = std::move(fd);
      continue;
    }
    auto listener = adopt_listener(std::move(fd));
    if (!listener) {
      log::warning("systemd passed a descriptor \"{}\" that is not used: {}", name,
                   listener.error());
      continue;
    }
    listener->is_systemds = name != kListenerName;
    stored.listeners.push_back(*std::move(listener));
  }
  for (int i = 0; i < count; ++i) std::free(names[i]);
  std::free(names);
  return stored;
}

void store_with_systemd(int memory, const std::vector<Listener>& listeners) {
  forget(kMemoryName);
  store(kMemoryName, memory);
  forget(kListenerName);
  for (const Listener& listener : listeners) {
    if (!listener.is_systemds) store(kListenerName, listener.socket.get());
  }
}

void forget_stored_listeners() {
  forget(kListenerName);
}

}  // namespace ringmaster
