// With which config a master starts: the one in the file, or, where somebody served here before and
// the file's cannot be used, the last good one.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "master/launch.h"
#include "master/takeover/inheritance.h"
#include "shared/config.h"

namespace ringmaster {

struct StartConfig {
  Config config;
  std::string text;                   // what it was read from
  std::vector<std::string> warnings;  // lines that name file and place
  std::string failure;                // not empty: this is the last good one, and why
};

// The config that `launch` names, unless `inherited` says that it failed already. Nothing when
// there is none that can be used: then all that is wrong was printed.
std::optional<StartConfig> choose_config(const Launch& launch, const Inheritance& inherited);

// The last good config, because of `failure`. Nothing where there is none to go back to.
std::optional<StartConfig> last_good_config(const Inheritance& inherited,
                                            const std::string& failure);

}  // namespace ringmaster
