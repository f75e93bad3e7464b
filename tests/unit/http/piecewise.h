// Feeds a parser the same bytes in every way they could arrive, and demands the same result each
// time: all at once, in two parts cut at every place, and byte by byte.
#pragma once

#include <gtest/gtest.h>

#include <cstddef>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace ringmaster::test {

// Bytes with nothing behind them that could be read by mistake: the sanitizer guards the end.
class ExactBytes {
 public:
  explicit ExactBytes(std::string_view bytes)
      : data_(std::make_unique<char[]>(bytes.size())), size_(bytes.size()) {
    std::memcpy(data_.get(), bytes.data(), size_);
  }
  std::string_view view() const { return {data_.get(), size_}; }

 private:
  std::unique_ptr<char[]> data_;
  std::size_t size_;
};

// Where `bytes` have grown to, call by call.
using Arrivals = std::vector<std::size_t>;

inline std::vector<Arrivals> every_arrival(std::size_t size) {
  std::vector<Arrivals> all;
  all.push_back({size});
  for (std::size_t cut = 1; cut < size; ++cut) all.push_back({cut, size});
  Arrivals bytewise;
  for (std::size_t end = 1; end <= size; ++end) bytewise.push_back(end);
  all.push_back(bytewise);
  return all;
}

// A row's bytes, readable in a failure message.
inline std::string printable(std::string_view bytes) {
  return ::testing::PrintToString(std::string(bytes));
}

// "\n" as the CRLF it stands for, where line ends are not what a row is about.
inline std::string crlf(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '\n') out += '\r';
    out += c;
  }
  return out;
}

}  // namespace ringmaster::test
