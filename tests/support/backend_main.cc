// The test backend as a program: `backend NAME` prints the address it listens on, and answers until
// it is killed.
#include <unistd.h>

#include <cstdio>

#include "tests/support/backend.h"

int main(int argc, char** argv) {
  if (argc != 2) return 1;
  const ringmaster::test::Backend backend(argv[1]);
  std::printf("%s\n", backend.endpoint().to_string().c_str());
  std::fflush(stdout);
  for (;;) ::pause();
}
