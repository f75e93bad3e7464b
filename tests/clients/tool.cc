#include "tests/clients/tool.h"

#include <unistd.h>

#include <sstream>
#include <stdexcept>

#include "tests/support/places.h"

namespace ringmaster::test {

std::vector<std::string> tool(const std::string& name, std::vector<std::string> arguments) {
  // Debian's, whatever else is in PATH: it has the modules that our scripts need.
  const std::string path = "/usr/bin/" + name;
  if (::access(path.c_str(), X_OK) != 0) {
    throw std::runtime_error(path + " is missing: ./dev deps installs it");
  }
  arguments.insert(arguments.begin(), path);
  return arguments;
}

std::vector<std::string> script(const std::string& interpreter, const std::string& file,
                                std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), source_path("tests/clients/" + file));
  return tool(interpreter, std::move(arguments));
}

std::size_t count_lines(const std::string& text, const std::string& line) {
  std::istringstream lines(text);
  std::size_t count = 0;
  for (std::string each; std::getline(lines, each);) count += each == line;
  return count;
}

}  // namespace ringmaster::test
