#include "master/config/config_reader.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <cmath>

#include "master/config/config_text.h"
#include "master/config/config_values.h"

namespace ringmaster {
namespace {

// What the operator wrote, as the subject of "X, must be ...".
std::string described(const toml::node& node) {
  if (const auto* text = node.as_string()) return quoted(text->get()) + " is a string";
  if (const auto* value = node.as_integer()) return fmt::format("{} is a number", value->get());
  if (const auto* value = node.as_floating_point()) {
    const bool is_whole = std::floor(value->get()) == value->get();
    const std::string shown = is_whole ? fmt::format("{:.1f}", value->get())  // or it looks right
                                       : fmt::format("{}", value->get());
    return shown + " is a number with decimals";
  }
  if (const auto* value = node.as_boolean()) return fmt::format("{} is a boolean", value->get());
  if (node.is_array()) return "is a list";
  if (node.is_table()) return "is a table";
  return "is a date or a time";
}

// A key as it is shown: bare if TOML would take it bare.
std::string shown_key(std::string_view key) {
  const bool bare = !key.empty() && std::all_of(key.begin(), key.end(), [](char c) {
    return is_alnum(c) || c == '_' || c == '-';
  });
  return bare && key.size() <= 80 ? std::string(key) : quoted(key);
}

std::string joined(const std::vector<std::string>& words, std::string_view separator) {
  std::string result;
  for (const std::string& word : words) {
    if (!result.empty()) result += separator;
    result += word;
  }
  return result;
}

// As [backend.s1], for which [[backend]] was meant: of its parts nothing can be said.
bool holds_tables(const toml::table& table) {
  return !table.empty() && table.begin()->second.is_table();
}

std::string range_text(Range<std::int64_t> range) {
  if (range.most == INT64_MAX) return fmt::format("a whole number, {} or more", range.least);
  return fmt::format("a whole number from {} to {}", range.least, range.most);
}

}  // namespace

// ---- One table ----

const toml::node* TableReader::find(std::string_view key) const {
  return table_ == nullptr ? nullptr : table_->get(key);
}

const toml::node* TableReader::find_known(std::string_view key) {
  document_->learn(name_, key);
  return find(key);
}

bool TableReader::has_gaps() const noexcept {
  return document_->has_gaps();
}

bool TableReader::is_string(std::string_view key) const {
  const toml::node* node = find(key);
  return node != nullptr && node->is_string();
}

toml::source_position TableReader::position_of(std::string_view key) const {
  if (const toml::node* node = find(key)) return node->source().begin;
  return table_ == nullptr ? toml::source_position{} : table_->source().begin;
}

toml::source_position TableReader::position_of(std::string_view key, std::size_t index) const {
  const toml::node* node = find(key);
  const toml::array* list = node == nullptr ? nullptr : node->as_array();
  if (list == nullptr || index >= list->size()) return position_of(key);
  return (*list)[index].source().begin;
}

void TableReader::problem(std::string_view key, std::string_view what) {
  problem(key, position_of(key), what);
}

void TableReader::problem(std::string_view key, toml::source_position at, std::string_view what) {
  document_->problem(at, fmt::format("{}.{}", name_, key), what);
}

bool TableReader::refuse_type(const toml::node& node, std::string_view key,
                              std::string_view expected) {
  problem(key, node.source().begin, fmt::format("{}, must be {}", described(node), expected));
  return false;
}

const std::string* TableReader::string_in(const toml::node& node, std::string_view key,
                                          std::string_view expected) {
  if (const auto* text = node.as_string()) return &text->get();
  refuse_type(node, key, expected);
  return nullptr;
}

const toml::array* TableReader::find_list(std::string_view key, std::string_view expected) {
  const toml::node* node = find_known(key);
  if (node == nullptr) return nullptr;
  if (node->is_array()) return node->as_array();
  refuse_type(*node, key, expected);
  return nullptr;
}

bool TableReader::read_flag(std::string_view key, bool& out) {
  const toml::node* node = find_known(key);
  if (node == nullptr) return true;
  const auto* value = node->as_boolean();
  if (value == nullptr) return refuse_type(*node, key, "true or false");
  out = value->get();
  return true;
}

bool TableReader::read_integer(std::string_view key, Range<std::int64_t> range, std::int64_t& out) {
  const toml::node* node = find_known(key);
  if (node == nullptr) return true;
  const auto* value = node->as_integer();
  if (value == nullptr) return refuse_type(*node, key, range_text(range));
  if (value->get() < range.least || value->get() > range.most) {
    problem(key, fmt::format("{} is out of range, must be {}", value->get(), range_text(range)));
    return false;
  }
  out = value->get();
  return true;
}

bool TableReader::read_number(std::string_view key, Range<double> range, double& out) {
  const toml::node* node = find_known(key);
  if (node == nullptr) return true;
  const std::string expected = fmt::format("a number from {} to {}", range.least, range.most);
  if (!node->is_number()) return refuse_type(*node, key, expected);
  const double value = node->value<double>().value_or(range.least);
  const bool inside = value >= range.least && value <= range.most;  // false for NaN
  if (inside) {
    out = value;
  } else {
    problem(key, fmt::format("{} is out of range, must be {}", value, expected));
  }
  return inside;
}

bool TableReader::read_duration(std::string_view key, Range<Duration> range, Duration& out) {
  const toml::node* node = find_known(key);
  if (node == nullptr) return true;
  if (node->is_number()) {
    const auto whole = node->value<std::int64_t>().value_or(0);
    const std::string shown =
        node->is_integer() ? std::to_string(whole) : fmt::format("{}", *node->value<double>());
    problem(key, fmt::format("{0} has no unit, write \"{0}s\" (units: ms, s, m, h)", shown));
    return false;
  }
  Duration value{};
  if (!parse_text(*node, key, "a duration such as \"30s\"", parse_duration, value)) return false;
  if (value < range.least || value > range.most) {
    problem(key, fmt::format("{} is out of range, must be from \"{}\" to \"{}\"",
                             quoted(node->value<std::string_view>().value_or("")),
                             to_text(range.least), to_text(range.most)));
    return false;
  }
  out = value;
  return true;
}

// ---- The document ----

TableReader ConfigReader::table(const std::string& name) {
  known_.push_back({name, false, {}});
  const toml::node* node = root_.get(name);
  const toml::table* table = node == nullptr ? nullptr : node->as_table();
  if (node != nullptr && table == nullptr) {
    const std::string_view what =
        node->is_array_of_tables() ? "is given as a list of tables" : "is not a table";
    problem(node->source().begin, name, fmt::format("{}, write [{}] once", what, name));
  }
  return {*this, name, table};
}

std::vector<TableReader> ConfigReader::tables(const std::string& name) {
  known_.push_back({name, true, {}});
  std::vector<TableReader> result;
  const toml::node* node = root_.get(name);
  if (node == nullptr) return result;
  const toml::array* list = node->as_array();
  if (list == nullptr) {
    problem(node->source().begin, name,
            fmt::format("is not a list of tables, write [[{}]] in double brackets", name));
    // Read it all the same: what is wrong inside is found in the same run.
    const toml::table* table = node->as_table();
    if (table != nullptr && !holds_tables(*table)) result.push_back({*this, name, table});
    return result;
  }
  for (const toml::node& element : *list) {
    if (element.is_table()) {
      result.push_back({*this, name, element.as_table()});
    } else {
      problem(element.source().begin, name,
              fmt::format("{}, must be a table: write [[{}]]", described(element), name));
    }
  }
  return result;
}

void ConfigReader::learn(const std::string& table, std::string_view key) {
  for (KnownTable& known : known_) {
    if (known.name != table) continue;
    const bool is_new = std::find(known.keys.begin(), known.keys.end(), key) == known.keys.end();
    if (is_new) known.keys.emplace_back(key);
  }
}

void ConfigReader::problem(toml::source_position at, std::string_view path, std::string_view what) {
  problems_.push_back({at.line, at.column, fmt::format("{}: {}", path, what)});
}

void ConfigReader::report_unknown_keys() {
  for (const auto& [key, node] : root_) {
    const auto known =
        std::find_if(known_.begin(), known_.end(),
                     [&key = key](const KnownTable& t) { return t.name == key.str(); });
    if (known == known_.end()) {
      problem(key.source().begin, shown_key(key.str()),
              node.is_table() || node.is_array_of_tables() ? hint_for_table(key.str())
                                                           : hint_for_key(nullptr, key.str()));
      continue;
    }
    const toml::table* table = node.as_table();
    if (table != nullptr && !(known->is_list && holds_tables(*table))) {
      report_unknown_in(*table, *known);
    }
    if (!node.is_array()) continue;
    for (const toml::node& element : *node.as_array()) {
      if (element.is_table()) report_unknown_in(*element.as_table(), *known);
    }
  }
}

void ConfigReader::report_unknown_in(const toml::table& table, const KnownTable& known) {
  for (const auto& [key, node] : table) {
    if (std::find(known.keys.begin(), known.keys.end(), key.str()) != known.keys.end()) continue;
    problem(key.source().begin, fmt::format("{}.{}", known.name, shown_key(key.str())),
            hint_for_key(&known, key.str()));
  }
}

std::string ConfigReader::hint_for_table(std::string_view name) const {
  std::vector<std::string> names;
  std::vector<std::string> shown;
  for (const KnownTable& known : known_) {
    names.push_back(known.name);
    shown.push_back(known.written());
  }
  const std::string_view meant = nearest(name, names);
  for (const KnownTable& known : known_) {
    if (known.name == meant) return "unknown table, did you mean " + known.written() + "?";
  }
  return "unknown table, known are " + joined(shown, ", ");
}

std::string ConfigReader::hint_for_key(const KnownTable* table, std::string_view key) const {
  std::vector<std::string> homes;
  for (const KnownTable& known : known_) {
    const bool here = std::find(known.keys.begin(), known.keys.end(), key) != known.keys.end();
    if (here) homes.push_back(known.written());
  }
  if (!homes.empty()) return "unknown key here, it belongs in " + joined(homes, " or ");
  if (table == nullptr) return hint_for_table(key);

  const std::string_view meant = nearest(key, table->keys);
  if (!meant.empty()) return fmt::format("unknown key, did you mean \"{}\"?", meant);
  return fmt::format("unknown key, known in {} are {}", table->written(),
                     joined(table->keys, ", "));
}

std::vector<ConfigProblem> ConfigReader::take_problems() {
  sort_by_position(problems_);
  return std::move(problems_);
}

}  // namespace ringmaster
