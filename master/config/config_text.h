// Small tools of the config loader for texts, beside those of everybody (shared/base/text.h): how
// they are compared, and shown in messages.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "shared/base/ascii.h"
#include "shared/base/text.h"

namespace ringmaster {

// ASCII only, whatever the locale.
std::string lower(std::string_view text);
std::string_view trimmed(std::string_view text);  // of spaces

// A line without its end, from 1 on; empty behind the last one.
std::string_view line_at(std::string_view text, std::size_t number);
// Makes a part of `text` blanks, and leaves the rest where it is.
void blank(std::string& text, std::string_view part);

// In double quotes, what cannot be printed escaped and what is long cut: for messages.
std::string quoted(std::string_view text);

// The candidate that `text` is most likely a slip of (case, separators, two typing errors); or "".
std::string_view nearest(std::string_view text, const std::vector<std::string>& candidates);

}  // namespace ringmaster
