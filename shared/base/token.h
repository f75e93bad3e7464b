// token (RFC 9110 section 5.6.2): what methods, field names and options consist of. The same for
// the config, which names such fields, and for the parsers, which meet them.
#pragma once

#include <string_view>

namespace ringmaster {

constexpr bool is_token_char(char c) noexcept {
  constexpr std::string_view kSymbols = "!#$%&'*+-.^_`|~";
  const bool is_letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
  return is_letter || (c >= '0' && c <= '9') || kSymbols.find(c) != kSymbols.npos;
}

}  // namespace ringmaster
