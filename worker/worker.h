// A worker process: what the master calls after the fork. It serves until it is told to drain, or
// the master is gone, and answers what is in flight before it goes.
#pragma once

#include "shared/worker_birth.h"

namespace ringmaster {

// Runs the worker to its end; returns the process's exit code. Called in the child, with a clean
// stack, deaf to SIGPIPE and to what a terminal sends, and no descriptor of the master's open but
// those given.
int run_worker(WorkerBirth birth);

}  // namespace ringmaster
