// The schema of the config file: every table and key, its bounds, its default, and what may not
// stand together. The defaults themselves are those of shared/config.h.
#pragma once

#include "master/config/config_reader.h"
#include "shared/config.h"

namespace ringmaster {

// Reads all of `document` into `config`; what is wrong is left with the reader.
void read_schema(ConfigReader& document, Config& config);

}  // namespace ringmaster
