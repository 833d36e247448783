# cmake -DGIT=... -DCOMMIT=... -DSOURCE=... -DHEADER=... -P write_commit.cmake: cmake/Commit.cmake says what it writes.

set(commit "${COMMIT}")
if(NOT commit AND GIT)
  # The tree itself has to be git's: one that was unpacked inside another repository has no commit of its own.
  execute_process(COMMAND ${GIT} rev-parse --show-toplevel HEAD WORKING_DIRECTORY ${SOURCE}
                  OUTPUT_VARIABLE lines ERROR_QUIET RESULT_VARIABLE status OUTPUT_STRIP_TRAILING_WHITESPACE)
  if(status EQUAL 0)
    string(REPLACE "\n" ";" lines "${lines}")
    list(GET lines 0 top)
    file(REAL_PATH "${top}" top)
    file(REAL_PATH "${SOURCE}" source)
    if(top STREQUAL source)
      list(GET lines 1 commit)
      execute_process(
        COMMAND ${GIT} status --porcelain -- io sharding worker coordinator launch cmake CMakeLists.txt
        WORKING_DIRECTORY ${SOURCE} OUTPUT_VARIABLE changes ERROR_QUIET)
      if(changes)
        string(APPEND commit -dirty)
      endif()
    endif()
  endif()
endif()
if(NOT commit)
  set(commit unknown)
endif()

set(text "#pragma once\n\nnamespace anchorage::launch {\n\ninline constexpr const char* commit = \"${commit}\";\n\n}\n")
set(before "")
if(EXISTS ${HEADER})
  file(READ ${HEADER} before)
endif()
if(NOT text STREQUAL before)
  file(WRITE ${HEADER} "${text}")
endif()
