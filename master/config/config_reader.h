// Typed, bounded access to the tables of a TOML config file. Every read leaves its target as it was
// where the key is absent or wrong; every wrong value becomes one problem with its position. Keys
// are known by being read: what nobody read is reported at the end.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

// Debian builds toml++ as a shared library; without these its headers would compile it once more.
#ifndef TOML_SHARED_LIB
#define TOML_SHARED_LIB 1
#endif
#ifndef TOML_HEADER_ONLY
#define TOML_HEADER_ONLY 0
#endif
#include <toml++/toml.h>

#include "master/config/config_problem.h"
#include "shared/base/result.h"
#include "shared/config.h"

namespace ringmaster {

class ConfigReader;

// Bounds of a value, both included.
template <class T>
struct Range {
  T least;
  T most;
};

// One [table] of the file, or one of several [[tables]]; an absent one reads as empty.
class TableReader {
 public:
  bool has(std::string_view key) const { return find(key) != nullptr; }
  bool is_string(std::string_view key) const;
  // Where the value is; where the key is absent, where its table is.
  toml::source_position position_of(std::string_view key) const;
  bool has_gaps() const noexcept;  // the document has
  // Records what is wrong with `key`, at its value.
  void problem(std::string_view key, std::string_view what);
  void problem(std::string_view key, toml::source_position at, std::string_view what);

  // Each returns false if the key is there and its value is wrong.
  bool read_flag(std::string_view key, bool& out);
  bool read_number(std::string_view key, Range<double> range, double& out);
  bool read_duration(std::string_view key, Range<Duration> range, Duration& out);
  template <class Integer>
  bool read_whole(std::string_view key, Range<std::int64_t> range, Integer& out) {
    std::int64_t value = 0;
    if (!read_integer(key, range, value)) return false;
    if (has(key)) out = static_cast<Integer>(value);
    return true;
  }
  // `expected` completes "must be ...".
  template <class T>
  bool read_text(std::string_view key, std::string_view expected,
                 Result<T> (*parse)(std::string_view), T& out) {
    const toml::node* node = find_known(key);
    return node == nullptr || parse_text(*node, key, expected, parse, out);
  }
  // A list of strings. Elements that are wrong are in `out` too, as T{}, so that what is wrong with
  // the list as a whole can be found in the same run.
  template <class T>
  bool read_texts(std::string_view key, std::string_view expected,
                  Result<T> (*parse)(std::string_view), std::vector<T>& out) {
    const toml::array* list = find_list(key, expected);
    if (list == nullptr) return !has(key);
    std::vector<T> values;
    bool ok = true;
    for (const toml::node& element : *list) {
      T value;
      ok = parse_text(element, key, expected, parse, value) && ok;
      values.push_back(std::move(value));
    }
    out = std::move(values);
    return ok;
  }
  // Position of element `index` of a list that was read.
  toml::source_position position_of(std::string_view key, std::size_t index) const;

 private:
  friend class ConfigReader;
  TableReader(ConfigReader& document, std::string name, const toml::table* table)
      : document_(&document), name_(std::move(name)), table_(table) {}

  const toml::node* find(std::string_view key) const;
  const toml::node* find_known(std::string_view key);  // find(), and from now on the key is known
  const toml::array* find_list(std::string_view key, std::string_view expected);
  bool read_integer(std::string_view key, Range<std::int64_t> range, std::int64_t& out);
  // The value has the wrong type.
  bool refuse_type(const toml::node& node, std::string_view key, std::string_view expected);
  // The string in `node`, or nullptr and a problem.
  const std::string* string_in(const toml::node& node, std::string_view key,
                               std::string_view expected);

  template <class T>
  bool parse_text(const toml::node& node, std::string_view key, std::string_view expected,
                  Result<T> (*parse)(std::string_view), T& out) {
    const std::string* text = string_in(node, key, expected);
    if (text == nullptr) return false;
    Result<T> value = parse(*text);
    if (value.ok()) {
      out = *std::move(value);
    } else {
      problem(key, node.source().begin, value.error());
    }
    return value.ok();
  }

  // Borrowed: the ConfigReader and its document outlive every TableReader.
  ConfigReader* document_;
  std::string name_;
  const toml::table* table_;  // nullptr: absent
};

// The whole document, the problems found in it, and which keys are known.
class ConfigReader {
 public:
  // `has_gaps`: of the file some lines could not be read.
  ConfigReader(const toml::table& root, bool has_gaps) : root_(root), has_gaps_(has_gaps) {}
  ConfigReader(const ConfigReader&) = delete;
  ConfigReader& operator=(const ConfigReader&) = delete;

  // What is missing may stand in a line that could not be read: nobody is to complain of it.
  bool has_gaps() const noexcept { return has_gaps_; }
  // Whether something stands there, be it as it should or not.
  bool has_some(std::string_view table) const {
    const toml::node* node = root_.get(table);
    return node != nullptr && !(node->is_array() && node->as_array()->empty());
  }
  TableReader table(const std::string& name);                // [name]
  std::vector<TableReader> tables(const std::string& name);  // [[name]]
  // Where the value of a key of [table] is, or of the [[table]] of that index; or line 0.
  toml::source_position position_of(std::string_view table, std::string_view key) const {
    return position_of(root_[table][key]);
  }
  toml::source_position position_of(std::string_view table, std::size_t index,
                                    std::string_view key) const {
    return position_of(root_[table][index][key]);
  }
  void problem(toml::source_position at, std::string_view path, std::string_view what);
  // After everything has been read: what is in the file and was never asked for.
  void report_unknown_keys();
  // All problems so far, by position.
  std::vector<ConfigProblem> take_problems();

 private:
  friend class TableReader;
  static toml::source_position position_of(toml::node_view<const toml::node> value) {
    return value ? value.node()->source().begin : toml::source_position{};
  }
  struct KnownTable {
    std::string name;
    bool is_list;                   // [[name]]
    std::vector<std::string> keys;  // in the order of their first reading

    std::string written() const { return is_list ? "[[" + name + "]]" : "[" + name + "]"; }
  };

  void learn(const std::string& table, std::string_view key);
  void report_unknown_in(const toml::table& table, const KnownTable& known);
  std::string hint_for_table(std::string_view name) const;
  // `table` is nullptr for a key outside of all tables.
  std::string hint_for_key(const KnownTable* table, std::string_view key) const;

  const toml::table& root_;  // Borrowed.
  const bool has_gaps_;
  std::vector<KnownTable> known_;  // in the order of their first reading
  std::vector<ConfigProblem> problems_;
};

}  // namespace ringmaster
