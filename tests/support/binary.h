// A program's file that may be replaced while the program runs, as a package upgrade does: another
// file under the same name. At first it is the binary under test.
#pragma once

#include <sys/types.h>

#include <string>

#include "tests/support/files.h"

namespace ringmaster::test {

class Binary {
 public:
  Binary();

  // A copy of `file` takes its place.
  void put(const std::string& file);
  void put_script(const std::string& text);

  std::string path() const { return dir_.path("ringmaster"); }
  ino_t inode() const;

 private:
  TempDir dir_;
};

}  // namespace ringmaster::test
