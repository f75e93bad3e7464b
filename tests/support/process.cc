#include "tests/support/process.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <ostream>
#include <sstream>
#include <system_error>

namespace ringmaster::test {
namespace {

std::vector<char*> pointers(std::vector<std::string>& strings) {
  std::vector<char*> result;
  for (std::string& text : strings) result.push_back(text.data());
  result.push_back(nullptr);
  return result;
}

// The test's environment and what is added; sanitizers hold back less freed memory than they like
// to, so that memory can be measured.
std::vector<std::string> full_environment(std::vector<std::string> added) {
  bool has_asan = false;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string text = *entry;
    const std::string name = text.substr(0, text.find('=') + 1);
    has_asan = has_asan || name == "ASAN_OPTIONS=";
    const bool replaced = std::any_of(added.begin(), added.end(),
                                      [&](const auto& other) { return other.starts_with(name); });
    if (!replaced && name != "NOTIFY_SOCKET=" && name != "LISTEN_FDS=") added.push_back(text);
  }
  if (!has_asan) added.push_back("ASAN_OPTIONS=quarantine_size_mb=4");
  return added;
}

// Tests hold thousands of sockets, and so may the product.
void raise_file_limit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
    limit.rlim_cur = limit.rlim_max;
    ::setrlimit(RLIMIT_NOFILE, &limit);
  }
}

Exit to_exit(int status) {
  if (WIFSIGNALED(status)) return {-1, WTERMSIG(status)};
  return {WEXITSTATUS(status), 0};
}

// Only calls that are safe between fork and exec in a process with threads.
[[noreturn]] void become(char* const* argv, char* const* environment, const char* out_path,
                         const char* log_path, pid_t parent) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent) ::_exit(127);
  ::setpgid(0, 0);
  const int out = ::open(out_path, O_WRONLY | O_CREAT | O_APPEND, 0600);
  const int log = ::open(log_path, O_WRONLY | O_CREAT | O_APPEND, 0600);
  const int in = ::open("/dev/null", O_RDONLY);
  ::dup2(in, STDIN_FILENO);
  ::dup2(out, STDOUT_FILENO);
  ::dup2(log, STDERR_FILENO);
  for (const int fd : {in, out, log}) {
    if (fd > STDERR_FILENO) ::close(fd);
  }
  ::execve(argv[0], argv, environment);
  ::_exit(127);
}

// The third field of /proc/PID/stat; 'X' if there is no such process.
char state_of(pid_t pid) {
  const std::string stat = read_whole_file("/proc/" + std::to_string(pid) + "/stat");
  const std::size_t end = stat.rfind(')');
  return end == std::string::npos || end + 2 >= stat.size() ? 'X' : stat[end + 2];
}

}  // namespace

void PrintTo(const Exit& exit, std::ostream* out) {
  if (exit == Exit{}) {
    *out << "no end, for as long as was waited";
  } else if (exit.signal != 0) {
    *out << "killed by signal " << exit.signal;
  } else {
    *out << "exit code " << exit.code;
  }
}

Process::Process(std::vector<std::string> argv, std::vector<std::string> environment) {
  raise_file_limit();
  ::prctl(PR_SET_CHILD_SUBREAPER, 1);  // orphans of a killed master come to us
  environment = full_environment(std::move(environment));
  start(argv, environment);
}

void Process::start(std::vector<std::string>& argv, std::vector<std::string>& environment) {
  const auto argv_pointers = pointers(argv);
  const auto environment_pointers = pointers(environment);
  const std::string out_path = dir_.path("stdout");
  const std::string log_path = dir_.path("stderr");
  const pid_t parent = ::getpid();
  pid_ = ::fork();
  if (pid_ == 0) {
    become(argv_pointers.data(), environment_pointers.data(), out_path.c_str(), log_path.c_str(),
           parent);
  }
  if (pid_ < 0) throw std::system_error(errno, std::generic_category(), "fork");
  ::setpgid(pid_, pid_);  // here too: whoever comes first
}

Process::~Process() {
  ::kill(-pid_, SIGKILL);
  if (!exit_) wait_exit();
  if (!wait_until([this] { return is_group_gone(); })) {
    ::kill(-pid_, SIGKILL);
  }
}

void Process::signal(int number) const {
  ::kill(pid_, number);
  if (number != SIGSTOP) return;
  siginfo_t stopped;  // only then does it answer nothing any more
  ::waitid(P_PID, static_cast<id_t>(pid_), &stopped, WSTOPPED | WEXITED | WNOWAIT);
}

std::optional<Exit> Process::wait_exit(milliseconds patience) {
  const auto ended = [this] {
    int status = 0;
    if (!exit_ && ::waitpid(pid_, &status, WNOHANG) == pid_) exit_ = to_exit(status);
    return exit_.has_value();
  };
  if (!wait_until(ended, patience)) return std::nullopt;
  return exit_;
}

std::vector<pid_t> Process::children() const {
  std::vector<pid_t> pids = children_of(pid_);
  std::erase_if(pids, [](pid_t child) { return !is_alive(child); });
  return pids;
}

bool Process::is_group_gone() {
  if (exit_) reap_orphans();
  return ::kill(-pid_, 0) != 0 && errno == ESRCH;
}

void Process::reap_orphans() {
  while (::waitpid(-pid_, nullptr, WNOHANG) > 0) continue;
}

std::string Process::output() const {
  return read_whole_file(dir_.path("stdout"));
}
std::string Process::log() const {
  return read_whole_file(dir_.path("stderr"));
}

Finished run(std::vector<std::string> argv, std::vector<std::string> environment,
             milliseconds patience) {
  std::string command;
  for (const std::string& word : argv) command += word + " ";
  Process process(std::move(argv), std::move(environment));
  const std::optional<Exit> exit = process.wait_exit(patience);
  Finished finished{exit.value_or(Exit{}), process.output(), process.log()};
  if (!exit) {
    ADD_FAILURE() << command << "did not end within " << patience.count() << " ms\n"
                  << finished.output << finished.log;
  }
  return finished;
}

std::vector<pid_t> children_of(pid_t pid) {
  const std::string number = std::to_string(pid);
  std::istringstream list(read_whole_file("/proc/" + number + "/task/" + number + "/children"));
  std::vector<pid_t> pids;
  for (pid_t child = 0; list >> child;) pids.push_back(child);
  return pids;
}

bool is_alive(pid_t pid) {
  const char state = state_of(pid);
  return state != 'X' && state != 'Z';
}

bool are_gone(const std::vector<pid_t>& pids) {
  return std::none_of(pids.begin(), pids.end(), is_alive);
}

bool is_stopped(pid_t pid) {
  return state_of(pid) == 'T';
}

std::size_t resident_bytes(pid_t pid) {
  std::istringstream statm(read_whole_file("/proc/" + std::to_string(pid) + "/statm"));
  std::size_t total = 0;
  std::size_t resident = 0;
  statm >> total >> resident;
  return resident * static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
}

}  // namespace ringmaster::test
