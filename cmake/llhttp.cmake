# llhttp as the target `llhttp`: a system libllhttp where there is one, else compiled from the C sources
# that Debian's package node-llhttp installs.
find_package(PkgConfig REQUIRED)
pkg_check_modules(SYSTEM_LLHTTP QUIET IMPORTED_TARGET libllhttp)
if(SYSTEM_LLHTTP_FOUND)
  add_library(llhttp INTERFACE)
  target_link_libraries(llhttp INTERFACE PkgConfig::SYSTEM_LLHTTP)
else()
  find_path(LLHTTP_INCLUDE llhttp.h PATHS /usr/share/include/llhttp REQUIRED)
  find_path(LLHTTP_SOURCE llhttp.c PATHS /usr/share/llhttp REQUIRED)
  add_library(llhttp STATIC ${LLHTTP_SOURCE}/llhttp.c ${LLHTTP_SOURCE}/api.c ${LLHTTP_SOURCE}/http.c)
  target_include_directories(llhttp SYSTEM PUBLIC ${LLHTTP_INCLUDE})
  # Generated C: its strict mode is what we want, its style is not ours to warn about.
  target_compile_definitions(llhttp PUBLIC LLHTTP_STRICT_MODE=1)
  target_compile_options(llhttp PRIVATE -w ${RINGMASTER_COMPILE_FAST})
endif()
