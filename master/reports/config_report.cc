#include "master/reports/config_report.h"

#include <sstream>

#include "master/config/config_reader.h"

namespace ringmaster {

std::string render_config(const std::string& text) {
  std::ostringstream json;
  json << toml::json_formatter(toml::parse(text)) << "\n";
  return json.str();
}

}  // namespace ringmaster
