# anchorage_stamp_commit(<target> <source>)
#
# Gives the source a header commit.hpp with the commit that the tree is at when the target is built, with "-dirty"
# after it where the program's files differ from it, and "unknown" where git cannot tell. ANCHORAGE_COMMIT says it for
# trees without git (an archive, a container's context). The header is written anew only where it changes.

set(ANCHORAGE_COMMIT "" CACHE STRING "The commit that the program names; empty: git is asked at every build")
set(anchorage_write_commit ${CMAKE_CURRENT_LIST_DIR}/write_commit.cmake)
find_package(Git QUIET)

function(anchorage_stamp_commit target source)
  set(folder ${CMAKE_CURRENT_BINARY_DIR}/commit)
  add_custom_target(${target}_commit BYPRODUCTS ${folder}/commit.hpp
    COMMAND ${CMAKE_COMMAND} -DGIT=${GIT_EXECUTABLE} -DCOMMIT=${ANCHORAGE_COMMIT} -DSOURCE=${CMAKE_SOURCE_DIR}
            -DHEADER=${folder}/commit.hpp -P ${anchorage_write_commit} VERBATIM)
  add_dependencies(${target} ${target}_commit)
  set_source_files_properties(${source} PROPERTIES
    INCLUDE_DIRECTORIES ${folder} OBJECT_DEPENDS ${folder}/commit.hpp
    COMPILE_DEFINITIONS ANCHORAGE_COMPILER="${CMAKE_CXX_COMPILER_ID} ${CMAKE_CXX_COMPILER_VERSION}")
endfunction()
