// Tables for people: columns as wide as their widest cell.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace ringmaster {

using TableRows = std::vector<std::vector<std::string>>;  // the first one: the headings

// One line a row, two spaces between columns, none behind the last. Columns whose headings are in
// `numbers` are aligned to the right.
std::string align_table(const TableRows& rows, const std::vector<std::string_view>& numbers = {});
// A report's value as a cell or a word of text; null: "-".
std::string text_of(const nlohmann::json& value);

}  // namespace ringmaster
