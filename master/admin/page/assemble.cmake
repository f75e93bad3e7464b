# Makes the page: cmake -D SOURCE= -D OUTPUT= -D SCRIPTS= -D LIBRARIES= -D GZIP= -P assemble.cmake
# Style and scripts are put into page.html as they are, and named in the Content-Security-Policy by
# their hashes, so that a browser runs these and nothing else.

# Base64 of a SHA-256, three hex digits (two characters) at a time; 64 digits leave one over.
function(csp_hash text result)
  set(alphabet "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")
  string(SHA256 hex "${text}")
  set(base64 "")
  foreach(at RANGE 0 60 3)
    string(SUBSTRING ${hex} ${at} 3 digits)
    math(EXPR high "0x${digits} >> 6")
    math(EXPR low "0x${digits} & 63")
    string(SUBSTRING ${alphabet} ${high} 1 first)
    string(SUBSTRING ${alphabet} ${low} 1 second)
    string(APPEND base64 ${first}${second})
  endforeach()
  string(SUBSTRING ${hex} 63 1 digit)
  math(EXPR last "0x${digit} << 2")
  string(SUBSTRING ${alphabet} ${last} 1 character)
  set(${result} "sha256-${base64}${character}=" PARENT_SCOPE)
endfunction()

function(read_all files result)
  set(all "\n")
  foreach(file IN LISTS files)
    file(READ ${file} text)
    string(APPEND all "${text}")
  endforeach()
  string(FIND "${all}" "</script" end)
  if(NOT end EQUAL -1)
    message(FATAL_ERROR "A script of the page holds \"</script\", where the browser would end it")
  endif()
  set(${result} "${all}" PARENT_SCOPE)
endfunction()

read_all("${LIBRARIES}" libraries)
read_all("${SCRIPTS}" scripts)
set(scripts "\n(() => {\n'use strict';${scripts}})();\n")
file(READ ${SOURCE}/page.css style)
set(style "\n${style}")
file(READ ${SOURCE}/page.html page)

string(SHA256 id "${page}${style}${libraries}${scripts}")
string(SUBSTRING ${id} 0 16 id)
string(REPLACE "{{id}}" "${id}" page "${page}")
string(REPLACE "{{style}}" "${style}" page "${page}")
string(REPLACE "{{libraries}}" "${libraries}" page "${page}")
string(REPLACE "{{scripts}}" "${scripts}" page "${page}")
file(WRITE ${OUTPUT}/page.html "${page}")
execute_process(COMMAND ${GZIP} --best --no-name --keep --force ${OUTPUT}/page.html
                COMMAND_ERROR_IS_FATAL ANY)

csp_hash("${style}" style_hash)
csp_hash("${libraries}" libraries_hash)
csp_hash("${scripts}" scripts_hash)
string(CONCAT policy "default-src 'none'; connect-src 'self'; img-src data:; "
  "style-src '${style_hash}'; script-src '${libraries_hash}' '${scripts_hash}'; "
  "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
  "require-trusted-types-for 'script'; trusted-types 'none'")

# %object and %progbits are spelled alike on all processors.
set(object "/* Made by master/admin/page/assemble.cmake. */\n.section .rodata\n")
foreach(part html gzip)
  set(file page.html)
  if(part STREQUAL "gzip")
    set(file page.html.gz)
  endif()
  string(APPEND object ".globl ringmaster_page_${part}, ringmaster_page_${part}_end\n"
    "ringmaster_page_${part}: .incbin \"${OUTPUT}/${file}\"\nringmaster_page_${part}_end: .byte 0\n")
endforeach()
string(APPEND object ".globl ringmaster_page_policy, ringmaster_page_id\n"
  "ringmaster_page_policy: .asciz \"${policy}\"\nringmaster_page_id: .asciz \"${id}\"\n"
  ".section .note.GNU-stack,\"\",%progbits\n")
file(WRITE ${OUTPUT}/embedded_page.S "${object}")
