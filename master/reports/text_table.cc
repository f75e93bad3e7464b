#include "master/reports/text_table.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

namespace ringmaster {

std::string align_table(const TableRows& rows, const std::vector<std::string_view>& numbers) {
  std::vector<std::size_t> widths;
  for (const auto& row : rows) {
    widths.resize(std::max(widths.size(), row.size()));
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  }
  std::string text;
  for (const auto& row : rows) {
    for (std::size_t i = 0; i < row.size(); ++i) {
      const bool is_number =
          std::find(numbers.begin(), numbers.end(), rows.front()[i]) != numbers.end();
      const bool is_last = i + 1 == row.size();
      const std::string cell = is_number ? fmt::format("{:>{}}", row[i], widths[i])
                               : is_last ? row[i]
                                         : fmt::format("{:<{}}", row[i], widths[i]);
      text += cell + (is_last ? "\n" : "  ");
    }
  }
  return text;
}

std::string text_of(const nlohmann::json& value) {
  return value.is_string() ? value.get<std::string>() : value.is_null() ? "-" : value.dump();
}

}  // namespace ringmaster
