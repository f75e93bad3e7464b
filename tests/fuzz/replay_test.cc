// Every input that fuzzing ever found worth keeping, once more: seeds, what led to new branches,
// and each past finding. Runs under GCC with the other tests, so that nobody needs clang for it.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <memory>
#include <ostream>
#include <string>
#include <vector>

#include "tests/fuzz/finding.h"
#include "tests/fuzz/targets.h"
#include "tests/support/files.h"
#include "tests/support/places.h"

namespace ringmaster::fuzz {

void PrintTo(const Target& target, std::ostream* out) {
  *out << target.name;
}

namespace {

std::vector<std::filesystem::path> corpus_of(const Target& target) {
  const std::string folder = test::source_path("tests/fuzz/corpus/" + std::string(target.name));
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  return files;
}

class FuzzCorpus : public ::testing::TestWithParam<Target> {};

TEST_P(FuzzCorpus, HoldsNoFinding) {
  const auto files = corpus_of(GetParam());
  EXPECT_FALSE(files.empty());
  for (const auto& file : files) {
    SCOPED_TRACE(file.string());
    const std::string bytes = test::read_whole_file(file);
    // Exactly as long as it is, for the sanitizer to guard its end.
    const auto input = std::make_unique<char[]>(bytes.size());
    std::copy(bytes.begin(), bytes.end(), input.get());
    try {
      GetParam().run({input.get(), bytes.size()});
    } catch (const Finding& finding) {
      ADD_FAILURE() << finding.what();
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Targets, FuzzCorpus, ::testing::ValuesIn(kTargets),
                         [](const auto& one) { return std::string(one.param.name); });

}  // namespace
}  // namespace ringmaster::fuzz
