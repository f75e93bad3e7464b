// Parses requests to the admin endpoint: bounded heads, no bodies. Whatever is sent, the outcome is
// a request or an answer that refuses it. Pure: no sockets, no clock.
#pragma once

#include <llhttp.h>

#include <cstddef>
#include <string>
#include <string_view>

#include "master/admin/admin_message.h"

namespace ringmaster {

class AdminParser {
 public:
  enum class Status { kIncomplete, kComplete, kRefused };

  // `accepts_post`: also requests that change something, without a body all the same.
  explicit AdminParser(std::size_t max_head_bytes, bool accepts_post = false) noexcept;
  AdminParser(const AdminParser&) = delete;
  AdminParser& operator=(const AdminParser&) = delete;

  // Takes the next bytes of the connection; `consumed` says how many belonged to this request.
  Status parse(std::string_view bytes, std::size_t& consumed);
  // Forgets the request: ready for the next one.
  void reset();

  bool is_idle() const noexcept { return fed_ == 0; }  // no byte of a request so far
  // After kComplete.
  const AdminRequest& request() const noexcept { return request_; }
  bool is_head() const noexcept { return llhttp_.method == HTTP_HEAD; }
  bool keep_alive() const noexcept { return keep_alive_; }
  bool is_http_1_0() const noexcept { return llhttp_.http_minor == 0; }
  // After kRefused: the answer; the connection closes after it.
  const AdminResponse& refusal() const noexcept { return refusal_; }

 private:
  static const llhttp_settings_t& settings();
  void append_to_name(std::string_view piece);
  Status judge();
  Status refuse(int status, std::string_view why);
  bool has_body() const noexcept;
  void split_target();

  // Constant after construction.
  const std::size_t max_head_bytes_;
  const bool accepts_post_;
  // Owned.
  llhttp_t llhttp_;
  std::size_t fed_ = 0;  // bytes of this request so far
  bool complete_ = false;
  bool name_complete_ = true;  // of the field at the back
  bool keep_alive_ = false;
  std::string target_;
  AdminRequest request_;
  AdminResponse refusal_;
};

}  // namespace ringmaster
