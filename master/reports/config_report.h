// /status/config: the config in force, as JSON: what its file says, without the comments, which are
// between its authors. What the file leaves out is at its default (ringmaster.toml(5)).
#pragma once

#include <string>

namespace ringmaster {

// `text`: TOML that was loaded before, so that it has no errors.
std::string render_config(const std::string& text);

}  // namespace ringmaster
