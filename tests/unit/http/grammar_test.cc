// The grammars that values are made of, each byte of the alphabet at each place in a machine word.
#include <gtest/gtest.h>

#include <string>

#include "worker/http/grammar.h"

namespace ringmaster {
namespace {

TEST(FieldValue, HoldsNoControlCharacterAnywhere) {
  for (int byte = 0; byte < 256; ++byte) {
    const bool fits = byte == '\t' || (byte >= 0x20 && byte != 0x7f);
    for (std::size_t at = 0; at < 20; ++at) {
      for (const char around : {'x', '\t', '\xff'}) {
        std::string text(20, around);
        text[at] = static_cast<char>(byte);
        ASSERT_EQ(is_field_value(text), fits) << byte << " at " << at;
      }
    }
  }
  EXPECT_TRUE(is_field_value(""));
}

TEST(Token, ConsistsOfTokenCharacters) {
  const std::string others = "!#$%&'*+-.^_`|~";
  for (int byte = 0; byte < 256; ++byte) {
    const char c = static_cast<char>(byte);
    const bool alnum = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
    EXPECT_EQ(is_token(std::string("a") + c), alnum || others.find(c) != std::string::npos) << byte;
  }
  EXPECT_FALSE(is_token(""));
}

TEST(List, IsTakenApartAtItsCommas) {
  std::string_view rest = " a ,, b\t,";
  std::string members;
  std::string_view member;
  while (next_member(rest, member)) members.append("[").append(member).append("]");
  EXPECT_EQ(members, "[a][][b][]");
}

TEST(Decimal, FitsOrIsNone) {
  EXPECT_EQ(parse_decimal("0"), 0u);
  EXPECT_EQ(parse_decimal("0018"), 18u);
  EXPECT_EQ(parse_decimal("18446744073709551615"), 18446744073709551615u);
  for (const char* text : {"", "-1", "+1", " 1", "1 ", "1a", "18446744073709551616",
                           "18446744073709551620", "184467440737095516150"}) {
    EXPECT_EQ(parse_decimal(text), std::nullopt) << text;
  }
}

TEST(BodyLength, IsWhatSignedReadersCanCount) {
  EXPECT_EQ(parse_body_length("9223372036854775807"), kMaxBodyLength);
  EXPECT_EQ(parse_body_length("9223372036854775808"), std::nullopt);
  EXPECT_EQ(parse_body_length("18446744073709551615"), std::nullopt);
}

TEST(Authority, NamesAHost) {
  for (const char* text : {"a", "a:", "a:0", "a:65535", "a:00080", "1.2.3.4", "[::]", "[::1]:1",
                           "[1:2:3:4:5:6:7:8]", "[vF.x]", "%20", "-", "_", "a;b"}) {
    EXPECT_TRUE(is_authority(text)) << text;
  }
  for (const char* text : {"",
                           ":",
                           ":1",
                           "a:65536",
                           "a:b",
                           "a:1:2",
                           "[",
                           "[]",
                           "]",
                           "[::1",
                           "[::1]a",
                           "[1.2.3.4]",
                           "[::1%25eth0]",
                           "[vF.]",
                           "[vx.y]",
                           "a@b",
                           "a,b",
                           "a b",
                           "a\tb",
                           "a/b",
                           "a[b]",
                           "%2",
                           "%",
                           "%g0",
                           "[1:2:3:4:5:6:7:8:9]",
                           "[0000:0000:0000:0000:0000:0000:0000:0000:0000:0000]"}) {
    EXPECT_FALSE(is_authority(text)) << text;
  }
}

}  // namespace
}  // namespace ringmaster
