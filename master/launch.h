// How to run this program again: for the check of a new config, and for the exec that follows it.
#pragma once

#include <string>
#include <vector>

namespace ringmaster {

struct Launch {
  std::string binary;                  // path of the file that this program was started from
  std::vector<std::string> arguments;  // argv, the first one included
  std::string config_file;             // empty: there is no file to load anew (the demo)
};

// The path of this program's file, also if another has taken its place meanwhile. `name`: argv[0].
// As it was named, if by a path: a link on the way ("current") may lead to a new version by the
// next reload.
std::string path_of_binary(const std::string& name);

}  // namespace ringmaster
