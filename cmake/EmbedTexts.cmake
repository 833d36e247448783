# anchorage_embed_texts(<target> HEADER <header> FUNCTION <namespace::name> TEXTS <files...>)
#
# Compiles text files into a target: writes a source with the function that the header declares, which returns the path
# of each file from the source root and what it says, as std::span<const SourceText>.

set(anchorage_write_texts ${CMAKE_CURRENT_LIST_DIR}/write_texts.cmake)

function(anchorage_embed_texts target)
  cmake_parse_arguments(ARG "" "HEADER;FUNCTION" "TEXTS" ${ARGN})
  string(REGEX REPLACE ".*::" "" name ${ARG_FUNCTION})
  set(source ${CMAKE_CURRENT_BINARY_DIR}/${name}.cpp)
  add_custom_command(OUTPUT ${source} DEPENDS ${ARG_TEXTS} ${anchorage_write_texts}
    COMMENT "Embedding the texts of ${name}"
    COMMAND ${CMAKE_COMMAND} -DROOT=${CMAKE_SOURCE_DIR} -DHEADER=${ARG_HEADER} -DFUNCTION=${ARG_FUNCTION}
            "-DTEXTS=${ARG_TEXTS}" -DSOURCE=${source} -P ${anchorage_write_texts} VERBATIM)
  set_source_files_properties(${source} PROPERTIES SKIP_PRECOMPILE_HEADERS ON)
  target_sources(${target} PRIVATE ${source})
endfunction()
