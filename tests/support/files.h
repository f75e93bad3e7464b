// Files of the tests: a directory that goes with whoever made it, and whole files read and written
// in one call.
#pragma once

#include <string>

namespace ringmaster::test {

// A directory for one object's files, removed with them.
class TempDir {
 public:
  TempDir();
  ~TempDir();
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;
  std::string path(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

// Empty if there is no such file.
std::string read_whole_file(const std::string& path);
// Throws std::runtime_error.
void write_whole_file(const std::string& path, const std::string& text);

}  // namespace ringmaster::test
