#include "tests/support/binary.h"

#include <sys/stat.h>

#include <filesystem>

#include "tests/support/places.h"

namespace ringmaster::test {

Binary::Binary() {
  put(ringmaster_binary());
}

void Binary::put(const std::string& file) {
  const std::string fresh = path() + ".new";
  std::filesystem::copy_file(file, fresh, std::filesystem::copy_options::overwrite_existing);
  std::filesystem::rename(fresh, path());
}

void Binary::put_script(const std::string& text) {
  const std::string fresh = path() + ".new";
  write_whole_file(fresh, text);
  ::chmod(fresh.c_str(), 0755);
  std::filesystem::rename(fresh, path());
}

ino_t Binary::inode() const {
  struct stat status;
  return ::stat(path().c_str(), &status) == 0 ? status.st_ino : 0;
}

}  // namespace ringmaster::test
