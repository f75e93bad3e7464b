// Runs rows through the real binary: whole, and cut in two at each byte. One balancer process and
// one thread that is all clients and the backend; many connections at a time, each from an address
// of its own, by which the backend knows whose request it has before it.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "tests/e2e/wire/row.h"
#include "tests/support/ringmaster.h"

namespace ringmaster::test {

class Rig {
 public:
  // `server`: further lines of [server]; `more`: further tables.
  explicit Rig(const std::string& server = "", const std::string& more = "",
               const std::string& ping_prefix = "");
  ~Rig();

  // The next run's requests come as from that address, by a PROXY header.
  void claim(const std::string& ip) { claimed_ip_ = ip; }
  // A failure for each row whose bytes are not as they should be.
  void run(const Rows& rows);

 private:
  struct Run;       // a row on a connection
  struct Upstream;  // a connection that the balancer made

  std::vector<std::unique_ptr<Run>> plan(const Rows& rows);
  void run_batch(std::vector<std::unique_ptr<Run>>& batch);
  void start(Run& run);
  bool settle(std::vector<std::unique_ptr<Run>>& batch);
  bool is_settled(Run& run);
  std::string fault_of(Run& run);
  void report(const Run& run, const std::string& fault);

  void ping();
  void pump(int timeout_ms);
  void flush_deferred();
  void on_client(Run& run);
  void continue_client(Run& run);
  void accept_upstreams();
  void on_upstream(Upstream& upstream);
  void serve(Upstream& upstream);
  bool find_run(Upstream& upstream);
  void take_steps(Upstream& upstream, const Extent& extent);
  void say(Upstream& upstream, const Say& step);
  void leave(Upstream& upstream, Say::Then how);
  void watch(int fd, std::uint64_t key);
  void expect_no_strays();

  UniqueFd listener_;
  std::string backend_;  // address and port
  UniqueFd epoll_;
  std::unique_ptr<Ringmaster> ringmaster_;
  UniqueFd ping_;
  std::string pongs_;
  std::uint64_t next_key_ = 0;
  std::uint32_t next_ip_ = 0;
  std::string claimed_ip_;
  std::map<std::uint64_t, std::function<void()>> handlers_;  // by the key in epoll
  std::map<std::string, Run*> runs_;                         // by client address
  std::list<Upstream> upstreams_;
  std::deque<std::function<void()>> deferred_;  // what follows a cut, once the first part was read
  std::set<const Row*> failed_;
  std::string strays_;
  bool progress_ = false;
};

}  // namespace ringmaster::test
