#include "worker/worker.h"

#include <fmt/format.h>
#include <sys/signalfd.h>

#include <cerrno>
#include <chrono>
#include <csignal>
#include <exception>
#include <system_error>
#include <utility>

#include "worker/acceptor.h"
#include "worker/client/client_connections.h"
#include "worker/housekeeping.h"
#include "worker/proxy/proxy.h"

namespace ringmaster {
namespace {

constexpr std::chrono::milliseconds kBeat{200};
constexpr std::uint32_t kBeatsALook = 5;

// The parts of a worker and what it does when the master rings.
class Worker {
 public:
  Worker(uv_loop_t* loop, WorkerBirth birth)
      : context_(loop, birth.config, birth.segment, birth.slot, birth.generation, birth.report_fd,
                 birth.hand_over_out),
        proxy_(context_),
        clients_(context_, proxy_),
        housekeeping_(context_, proxy_, clients_),
        acceptor_(context_, clients_, std::move(birth.listeners), birth.hand_over_in),
        control_(std::move(birth.control)),
        turn_(open_handle<uv_prepare_t>(this, uv_prepare_init, loop)),
        turn_end_(open_handle<uv_check_t>(this, uv_check_init, loop)),
        beat_(open_handle<uv_timer_t>(this, uv_timer_init, loop)),
        grace_(open_handle<uv_timer_t>(this, uv_timer_init, loop)),
        control_poll_(open_handle<uv_poll_t>(this, uv_poll_init, loop, control_.get())),
        signals_(watch_signals()),
        signal_poll_(open_handle<uv_poll_t>(this, uv_poll_init, loop, signals_.get())) {}

  int run() {
    start();
    // The order in which a worker lives: serve, and once draining leave with the last client.
    while (!leaving_) {
      uv_run(context_.loop, UV_RUN_ONCE);
      housekeeping_.notice();
      if (context_.is_draining() && clients_.size() == 0 && !takes_what_is_left()) leaving_ = true;
    }
    if (context_.access_log) context_.access_log->finish();
    return context_.slot.cut_requests() == 0 ? kWorkerDone : kWorkerCut;
  }

 private:
  using Stage = WorkerContext::Stage;

  void start() {
    start_timer<&Worker::on_beat>(beat_, {}, kBeat);
    // Right before the kernel is asked: what timers do still belongs to the turn before.
    uv_prepare_start(turn_.get(), [](uv_prepare_t* prepare) noexcept {
      auto* self = owner_of<Worker>(prepare);
      if (self == nullptr) return;
      self->context_.outbox.send_held();
      self->context_.outbox.turn().begin();
    });
    uv_check_start(turn_end_.get(), [](uv_check_t* check) noexcept {
      if (auto* self = owner_of<Worker>(check)) self->context_.outbox.send_held();
    });
    uv_poll_start(control_poll_.get(), UV_READABLE, [](uv_poll_t* poll, int, int) noexcept {
      if (auto* self = owner_of<Worker>(poll)) self->on_ring();
    });
    uv_poll_start(signal_poll_.get(), UV_READABLE, [](uv_poll_t* poll, int, int) noexcept {
      if (auto* self = owner_of<Worker>(poll)) self->on_signal();
    });
    acceptor_.start();
    context_.slot.announce(WorkerState::kServing);
    context_.ring_master();
  }

  void on_beat() {
    context_.slot.beat();
    context_.look_at_wall_clock();
    clients_.heed_newcomers();
    // No master rings; the next one watches the backends all the same.
    if (is_orphan_) proxy_.on_routes_changed();
    if (++beats_ % kBeatsALook == 0) proxy_.look_for_clients();
    if (context_.access_log) context_.access_log->on_beat();
  }

  // SIGTERM to a single worker: it drains, and the master starts another one; to an orphan: the
  // master after ours gave it an order. SIGUSR1: it hands over what it can besides.
  static UniqueFd watch_signals() {
    sigset_t mask;
    sigemptyset(&mask);
    sigaddset(&mask, SIGTERM);
    sigaddset(&mask, SIGUSR1);
    ::sigprocmask(SIG_BLOCK, &mask, nullptr);
    UniqueFd signals(::signalfd(-1, &mask, SFD_NONBLOCK | SFD_CLOEXEC));
    if (!signals.is_open()) throw std::system_error(errno, std::generic_category(), "signalfd");
    return signals;
  }

  void on_signal() {
    signalfd_siginfo info;
    while (::read(signals_.get(), &info, sizeof info) == static_cast<ssize_t>(sizeof info)) {
      drain(info.ssi_signo == SIGUSR1 ? Stage::kHandingOver : Stage::kEnding);
    }
    if (context_.slot.order() == WorkerOrder::kCut) cut();
  }

  void on_ring() {
    const bool master_lives = hear(control_.get());
    if (!master_lives) {
      // Nobody will give orders any more: free the ports at once, finish, and go; not for ever.
      uv_poll_stop(control_poll_.get());
      is_orphan_ = true;
      if (!context_.is_draining())
        log::warning("master is gone: closing the listeners and draining");
      drain(Stage::kEnding);
      start_timer<&Worker::cut>(grace_, context_.config.server.drain_timeout);
      return;
    }
    const WorkerOrder order = context_.slot.order();
    if (order >= WorkerOrder::kHandOver) {
      drain(order == WorkerOrder::kHandOver ? Stage::kHandingOver : Stage::kEnding);
    }
    if (order == WorkerOrder::kCut) return cut();
    proxy_.on_routes_changed();
  }

  // May be called again: without a hand-over when the service stops and nobody takes over; with one
  // when the next master's workers take over from an orphan.
  void drain(Stage stage) {
    if (context_.stage == stage) return;
    const bool is_first = !context_.is_draining();
    // Of a service that stops, nobody takes over.
    if (!is_first && stage == Stage::kHandingOver && !is_orphan_ &&
        context_.slot.order() >= WorkerOrder::kDrain) {
      return;
    }
    context_.stage = stage;
    clients_.heed_newcomers();
    if (is_first) acceptor_.close();
    takes_what_is_left();
    context_.slot.announce(WorkerState::kDraining);
    if (context_.hands_over()) {
      clients_.hand_over_all();
    } else {
      clients_.begin_drain();
    }
    proxy_.upstreams.close_all_idle();
    context_.ring_master();
  }

  // Where nobody takes over, what others have given away would end with us. Orphans leave it to the
  // workers of the next master.
  bool takes_what_is_left() {
    if (context_.hands_over() || is_orphan_ || context_.slot.order() < WorkerOrder::kDrain) {
      return false;
    }
    return acceptor_.take_what_is_left();
  }

  void cut() {
    context_.outbox.send_held();  // what is ready is no more cut than what was sent before
    const std::uint32_t requests = clients_.cut_all(RejectReason::kDrainTimeout);
    context_.slot.count_cut(requests);
    leaving_ = true;
  }

  // Owned, in the order in which they need each other.
  WorkerContext context_;
  Proxy proxy_;
  ClientConnections clients_;
  Housekeeping housekeeping_;
  Acceptor acceptor_;
  UniqueFd control_;
  OwnedHandle<uv_prepare_t> turn_;    // before the kernel is asked what happened
  OwnedHandle<uv_check_t> turn_end_;  // after all of it was acted upon
  OwnedHandle<uv_timer_t> beat_;
  OwnedHandle<uv_timer_t> grace_;
  OwnedHandle<uv_poll_t> control_poll_;
  UniqueFd signals_;
  OwnedHandle<uv_poll_t> signal_poll_;
  std::uint32_t beats_ = 0;
  bool is_orphan_ = false;
  bool leaving_ = false;
};

}  // namespace

int run_worker(WorkerBirth birth) {
  log::start(fmt::format("worker {}", birth.slot), birth.config.log.level);
  uv_loop_t loop;
  if (const int error = uv_loop_init(&loop); error != 0) {
    log::error("cannot start: event loop: {}", uv_strerror(error));
    return kWorkerCannotStart;
  }
  // The process ends right after: what is still open goes with it, and nothing waits for it.
  Worker* worker = nullptr;
  try {
    worker = new Worker(&loop, std::move(birth));
  } catch (const std::exception& error) {  // no memory, descriptor or thread to be had
    log::error("cannot start: {}", error.what());
    return kWorkerCannotStart;
  }
  return worker->run();
}

}  // namespace ringmaster
