#include "master/health/resolver.h"

#include <algorithm>
#include <utility>

#include "shared/base/log.h"
#include "shared/base/uv_handle.h"

namespace ringmaster {
namespace {

// Freed by its own callback, which libuv calls in any case; `data` is the Name, or null if that is
// gone.
using LookupRequest = uv_getaddrinfo_t;

std::vector<SocketAddress> addresses_of(const addrinfo* answer, std::uint16_t port) {
  std::vector<SocketAddress> addresses;
  for (; answer != nullptr; answer = answer->ai_next) {
    SocketAddress address = SocketAddress::from(answer->ai_addr);
    if (address.is_empty()) continue;
    address.set_port(port);
    if (std::find(addresses.begin(), addresses.end(), address) == addresses.end()) {
      addresses.push_back(address);
    }
  }
  return addresses;
}

}  // namespace

std::optional<SocketAddress> literal_address(const BackendConfig& backend) {
  if (!IpAddress::parse(backend.host)) return std::nullopt;
  return SocketAddress::parse(backend.address());
}

SocketAddress choose_address(const SocketAddress& current,
                             const std::vector<SocketAddress>& answer) {
  const bool still_there = std::find(answer.begin(), answer.end(), current) != answer.end();
  return still_there ? current : answer.front();
}

// One host name: a timer, which starts lookups and watches over one under way, and its last good
// answer.
class Resolver::Name {
 public:
  Name(Resolver& resolver, std::size_t name_id, const BackendConfig& backend,
       const SocketAddress& current)
      : id(name_id),
        resolver_(resolver),
        backend_(backend),
        current_(current),
        timer_(open_handle<uv_timer_t>(this, uv_timer_init, resolver.loop_)) {
    arm(Duration{0});
  }
  Name(const Name&) = delete;
  Name& operator=(const Name&) = delete;
  ~Name() {
    if (lookup_ != nullptr) lookup_->data = nullptr;
  }

  std::optional<SocketAddress> next_address() {
    if (answer_.size() < 2) return std::nullopt;
    const auto here = std::find(answer_.begin(), answer_.end(), current_);
    const bool last = here == answer_.end() || std::next(here) == answer_.end();
    current_ = last ? answer_.front() : *std::next(here);
    return current_;
  }
  std::size_t address_count() const noexcept { return answer_.size(); }
  bool is_looked_up() const noexcept { return lookup_ != nullptr; }

  const std::size_t id;

 private:
  void arm(Duration delay);
  void on_timer();
  void start_lookup();
  void on_answer(int status, const addrinfo* answer);
  void on_failure(const std::string& why);

  // Borrowed: the resolver owns us; the config outlives us both.
  Resolver& resolver_;
  const BackendConfig& backend_;
  // Owned.
  SocketAddress current_;  // empty: never resolved
  std::vector<SocketAddress> answer_;
  OwnedHandle<uv_timer_t> timer_;
  LookupRequest* lookup_ = nullptr;  // under way; belongs to its callback
  bool failing_ = false;             // the streak of failures was logged
};

void Resolver::Name::arm(Duration delay) {
  start_timer<&Name::on_timer>(timer_, delay);
}

void Resolver::Name::on_timer() {
  if (lookup_ == nullptr) return start_lookup();
  if (current_.is_empty()) resolver_.observer_.on_unresolved(id, "no answer yet");
}

void Resolver::Name::start_lookup() {
  auto request = std::make_unique<LookupRequest>();
  request->data = this;
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  const auto answered = [](uv_getaddrinfo_t* done, int status, addrinfo* answer) noexcept {
    const std::unique_ptr<LookupRequest> freed_at_end(done);
    const std::unique_ptr<addrinfo, decltype(&uv_freeaddrinfo)> also(answer, uv_freeaddrinfo);
    if (auto* self = static_cast<Name*>(done->data)) self->on_answer(status, answer);
  };
  arm(resolver_.timing_.patience);
  const int error = resolver_.lookup_(resolver_.loop_, request.get(), answered,
                                      backend_.host.c_str(), nullptr, &hints);
  if (error != 0) return on_failure(uv_strerror(error));
  lookup_ = request.release();
}

void Resolver::Name::on_answer(int status, const addrinfo* answer) {
  lookup_ = nullptr;
  auto addresses = addresses_of(answer, backend_.port);
  if (status != 0) return on_failure(uv_strerror(status));
  if (addresses.empty()) return on_failure("no address");
  answer_ = std::move(addresses);
  arm(resolver_.timing_.refresh);
  if (std::exchange(failing_, false))
    log::info("{}: {} resolves again", backend_.name, backend_.host);

  const SocketAddress chosen = choose_address(current_, answer_);
  if (chosen == current_) return;
  log::info("{}: {} is at {}", backend_.name, backend_.host, chosen.to_string());
  current_ = chosen;
  resolver_.observer_.on_resolved(id, chosen);
}

void Resolver::Name::on_failure(const std::string& why) {
  const bool known = !current_.is_empty();
  arm(known ? resolver_.timing_.refresh : resolver_.timing_.retry);
  if (!std::exchange(failing_, true)) {
    log::warning("{}: cannot resolve {}: {}{}", backend_.name, backend_.host, why,
                 known ? "; keeping " + current_.to_string() : "");
  }
  if (!known) resolver_.observer_.on_unresolved(id, why);
}

Resolver::Resolver(uv_loop_t* loop, Observer& observer, Lookup lookup, const Timing& timing)
    : loop_(loop), observer_(observer), lookup_(lookup), timing_(timing) {}

Resolver::~Resolver() = default;

void Resolver::add(std::size_t id, const BackendConfig& backend, const SocketAddress& current) {
  names_.push_back(std::make_unique<Name>(*this, id, backend, current));
}

std::optional<SocketAddress> Resolver::next_address(std::size_t id) {
  Name* name = find(id);
  return name != nullptr ? name->next_address() : std::nullopt;
}

std::size_t Resolver::address_count(std::size_t id) const noexcept {
  const Name* name = find(id);
  return name != nullptr ? name->address_count() : 1;
}

bool Resolver::has_lookups_under_way() const noexcept {
  return std::any_of(names_.begin(), names_.end(),
                     [](const auto& name) { return name->is_looked_up(); });
}

Resolver::Name* Resolver::find(std::size_t id) const noexcept {
  const auto it =
      std::find_if(names_.begin(), names_.end(), [id](const auto& name) { return name->id == id; });
  return it != names_.end() ? it->get() : nullptr;
}

}  // namespace ringmaster
