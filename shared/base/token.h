// token (RFC 9110 section 5.6.2): what methods, field names and options consist of. The same for
// the config, which names such fields, and for the parsers, which meet them.
#pragma once

#include <string_view>

#include "shared/base/ascii.h"

namespace ringmaster {

constexpr bool is_token_char(char c) noexcept {
  constexpr std::string_view kSymbols = "!#$%&'*+-.^_`|~";
  return is_alnum(c) || kSymbols.find(c) != kSymbols.npos;
}

}  // namespace ringmaster
