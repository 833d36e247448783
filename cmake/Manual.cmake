# Man pages and completion for bash and zsh, written from what the built program says of itself: the target `manual`,
# part of `all`. Man pages need help2man and are left out where there is none.

find_program(ANCHORAGE_PYTHON3 NAMES python3 HINTS ${ANCHORAGE_PYTHON}/bin DOC "Any Python 3, for scripts of the build")
find_program(ANCHORAGE_HELP2MAN help2man)
if(NOT ANCHORAGE_HELP2MAN)
  message(STATUS "No help2man: man pages are left out")
endif()

set(manual ${CMAKE_BINARY_DIR}/manual)
add_custom_command(OUTPUT ${manual}/made 
  DEPENDS anchorage cmake/write_manual.py packaging/anchorage-env.1
  COMMENT "Writing man pages and completion"
  COMMAND ${ANCHORAGE_PYTHON3} ${CMAKE_SOURCE_DIR}/cmake/write_manual.py $<TARGET_FILE:anchorage> ${manual}
          ${CMAKE_SOURCE_DIR}/packaging/anchorage-env.1
          "--help2man=$<$<BOOL:${ANCHORAGE_HELP2MAN}>:${ANCHORAGE_HELP2MAN}>"
  COMMAND ${CMAKE_COMMAND} -E touch ${manual}/made VERBATIM)
add_custom_target(manual ALL DEPENDS ${manual}/made)

install(DIRECTORY ${manual}/man1 DESTINATION share/man COMPONENT data OPTIONAL)
install(FILES ${manual}/anchorage.bash DESTINATION share/bash-completion/completions RENAME anchorage
        COMPONENT data OPTIONAL)
# Debian's zsh looks elsewhere for what packages bring.
install(FILES ${manual}/_anchorage DESTINATION share/zsh/site-functions COMPONENT program OPTIONAL)
install(FILES ${manual}/_anchorage DESTINATION share/zsh/vendor-completions COMPONENT debian EXCLUDE_FROM_ALL OPTIONAL)
