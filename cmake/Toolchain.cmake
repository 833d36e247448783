# Compiler settings of our own code, as one interface target that every library, program and test links.

if(NOT CMAKE_BUILD_TYPE AND NOT CMAKE_CONFIGURATION_TYPES)
  set(CMAKE_BUILD_TYPE Release CACHE STRING "Debug, Release or RelWithDebInfo" FORCE)
endif()

add_library(anchorage_flags INTERFACE)
# The last two cry wolf in GCC 12 on moved strings and vectors (GCC bugs 105329 and 105651).
target_compile_options(anchorage_flags INTERFACE -Wall -Wextra -Wpedantic -Wconversion
                                                 -Wno-maybe-uninitialized -Wno-restrict)
# A unity build (CMAKE_UNITY_BUILD) compiles several files as one: what a file calls its own locals may be another file's
# global, and is no mistake of either.
target_compile_options(anchorage_flags INTERFACE $<IF:$<BOOL:${CMAKE_UNITY_BUILD}>,-Wshadow=local,-Wshadow>)
set(CMAKE_UNITY_BUILD_BATCH_SIZE 8 CACHE STRING "Files that a unity build compiles as one; each takes memory")
# The tree's own place is in no object: messages and debug information name files from the tree's root.
target_compile_options(anchorage_flags INTERFACE -ffile-prefix-map=${CMAKE_SOURCE_DIR}/=)
if(ANCHORAGE_WERROR)
  target_compile_options(anchorage_flags INTERFACE -Werror)
endif()
if(ANCHORAGE_SANITIZE STREQUAL address)
  target_compile_options(anchorage_flags INTERFACE -fsanitize=address,undefined -fno-omit-frame-pointer
                                                   -fno-sanitize-recover=undefined)
  target_link_options(anchorage_flags INTERFACE -fsanitize=address,undefined)
elseif(ANCHORAGE_SANITIZE STREQUAL thread)
  target_compile_options(anchorage_flags INTERFACE -fsanitize=thread -fno-omit-frame-pointer)
  target_link_options(anchorage_flags INTERFACE -fsanitize=thread)
  # ThreadSanitizer knows no fences. Asio's mutexes order what its fences do, which are for handlers without any.
  target_compile_definitions(anchorage_flags INTERFACE BOOST_ASIO_DISABLE_FENCED_BLOCK)
elseif(ANCHORAGE_SANITIZE)
  message(FATAL_ERROR "expected 'address', 'thread' or nothing, found '${ANCHORAGE_SANITIZE}' in ANCHORAGE_SANITIZE")
endif()

# ccache where there is one. The sloppiness is what its manual asks for with precompiled headers; the base and no hash of
# the folder let trees at different places share objects.
find_program(ANCHORAGE_CCACHE ccache)
if(ANCHORAGE_CCACHE)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CMAKE_COMMAND} -E env
      CCACHE_SLOPPINESS=pch_defines,time_macros,include_file_mtime,include_file_ctime
      CCACHE_BASEDIR=${CMAKE_SOURCE_DIR} CCACHE_NOHASHDIR=1 ${ANCHORAGE_CCACHE})
endif()
