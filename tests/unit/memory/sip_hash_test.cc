// SipHash-2-4 against the test vectors of its authors.
#include "shared/memory/sip_hash.h"

#include <gtest/gtest.h>

#include <array>

namespace ringmaster {
namespace {

// Key 00 01 … 0f; input n is the n bytes 00 01 … n-1. From the reference implementation, there as
// bytes, here as little-endian numbers; input 15 is the worked example of the paper.
constexpr SipKey kReferenceKey{0x0706050403020100, 0x0f0e0d0c0b0a0908};
constexpr std::array<std::uint64_t, 24> kReference{
    0x726fdb47dd0e0e31, 0x74f839c593dc67fd, 0x0d6c8009d9a94f5a, 0x85676696d7fb7e2d,
    0xcf2794e0277187b7, 0x18765564cd99a68d, 0xcbc9466e58fee3ce, 0xab0200f58b01d137,
    0x93f5f5799a932462, 0x9e0082df0ba9e4b0, 0x7a5dbbc594ddb9f3, 0xf4b32f46226bada7,
    0x751e8fbc860ee5fb, 0x14ea5627c0843d90, 0xf723ca908e7af2ee, 0xa129ca6149be45e5,
    0x3f2acc7f57c29bdb, 0x699ae9f52cbe4794, 0x4bc1b3f0968dd39c, 0xbb6dc91da77961bd,
    0xbed65cf21aa2ee98, 0xd0f2cbb02e3b67c7, 0x93536795e3a33e88, 0xa80c038ccd5ccec8,
};

TEST(SipHash, GivesTheReferenceValues) {
  std::array<std::uint8_t, kReference.size()> input{};
  for (std::size_t i = 0; i < input.size(); ++i) input[i] = static_cast<std::uint8_t>(i);
  for (std::size_t length = 0; length < kReference.size(); ++length) {
    EXPECT_EQ(sip_hash(kReferenceKey, input.data(), length), kReference[length]) << length;
  }
}

TEST(SipHash, DependsOnBothHalvesOfTheKey) {
  const std::array<std::uint8_t, 16> input{};
  const std::uint64_t value = sip_hash({1, 2}, input.data(), input.size());
  EXPECT_NE(sip_hash({1, 3}, input.data(), input.size()), value);
  EXPECT_NE(sip_hash({0, 2}, input.data(), input.size()), value);
}

TEST(SipHash, ReadsInputThatIsNotAligned) {
  std::array<std::uint8_t, 17> input{};
  for (std::size_t i = 0; i < 16; ++i) input[i + 1] = static_cast<std::uint8_t>(i);
  EXPECT_EQ(sip_hash(kReferenceKey, input.data() + 1, 15), kReference[15]);
}

}  // namespace
}  // namespace ringmaster
