# Profile-guided layout of what serves requests. A request spends most of its time in the kernel; what ours costs is
# decided by how much of our code is still in the caches when it comes back. The code of every request is to lie
# together, that of the rare ones apart. The script beside this file counts which is which.
#
# RINGMASTER_COUNT: build the worker that counts. RINGMASTER_PROFILE: build by what was counted.
set(by_name -fprofile-prefix-path=${CMAKE_BINARY_DIR})  # an object is known by its name below the build
if(RINGMASTER_COUNT)
  set(RINGMASTER_COMPILE_FAST -fprofile-generate=${CMAKE_BINARY_DIR}/counts ${by_name})
  set(RINGMASTER_LINK_FAST -fprofile-generate)
elseif(RINGMASTER_PROFILE)
  # What changed since, or was not reached, is compiled as if nothing was known of it. GCC warns of the former (and
  # knows no name for one of these warnings); of all else it has warned, as errors, when the counting worker was built.
  # Where a change leaves the number of branches as it was, the counts are taken for those of the new code, and may
  # contradict each other: corrected then, rather than refused.
  list(APPEND RINGMASTER_COMPILE_FAST -fprofile-use=${RINGMASTER_PROFILE} ${by_name} -fprofile-partial-training
    -fprofile-correction -Wno-missing-profile -Wno-coverage-mismatch -Wno-error)
endif()
