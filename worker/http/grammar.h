// The small grammars that field values are made of: tokens, lists, numbers, authorities. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace ringmaster {

bool equals_ignore_case(std::string_view a, std::string_view b) noexcept;
bool starts_with_ignore_case(std::string_view text, std::string_view prefix) noexcept;

// 1*tchar (RFC 9110 section 5.6.2).
bool is_token(std::string_view text) noexcept;
// No control character but HTAB (RFC 9110 section 5.5).
bool is_field_value(std::string_view text) noexcept;
std::string_view trim_blanks(std::string_view text) noexcept;

// Takes the next member of a comma-separated list off `rest`, without the white space around it; it
// may be empty. False once there is none. For lists whose members hold no quoted strings.
bool next_member(std::string_view& rest, std::string_view& member) noexcept;

// 1*DIGIT, nothing else, that fits.
std::optional<std::uint64_t> parse_decimal(std::string_view digits) noexcept;

// The longest body, or chunk of one, that is believed: what a reader with signed 64-bit sizes can
// count. A bigger number is an attack on such readers, never a body.
inline constexpr std::uint64_t kMaxBodyLength = 0x7fff'ffff'ffff'ffffu;
// The value of Content-Length (RFC 9110 section 8.6).
std::optional<std::uint64_t> parse_body_length(std::string_view digits) noexcept;

// host [ ":" port ] of RFC 3986 section 3.2, without userinfo and with a host: what Host and an
// absolute-form target may name. A comma, which no name has, is refused: that is how a second Host
// looks once somebody has joined the two (RFC 9110 section 5.3).
bool is_authority(std::string_view text) noexcept;

}  // namespace ringmaster
