// Tables for people: columns as wide as their widest cell.
#pragma once

#include <string>
#include <vector>

namespace ringmaster {

using TableRows = std::vector<std::vector<std::string>>;  // the first one: the headings

// One line a row, two spaces between columns, none behind the last.
std::string align_table(const TableRows& rows);

}  // namespace ringmaster
