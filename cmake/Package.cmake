# The Debian package: `cpack` in the build folder, once `anchorage` and `manual` are built. It depends on Debian's
# libraries and on no torch, which Debian has none of that is new enough: the launcher finds the one of a Python
# environment.

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME anchorage)
set(CPACK_PACKAGE_VENDOR Anchorage)
set(CPACK_PACKAGE_CONTACT "Anchorage developers <anchorage@example.org>"
    CACHE STRING "Maintainer of the Debian package")
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_COMPONENTS_ALL launcher data debian)
set(CPACK_COMPONENTS_GROUPING ALL_COMPONENTS_IN_ONE)
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_INSTALL_DEFAULT_DIRECTORY_PERMISSIONS
    OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ GROUP_EXECUTE WORLD_READ WORLD_EXECUTE)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_RELEASE 1)
set(CPACK_DEBIAN_PACKAGE_SECTION science)
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "factual edits written into the weights of a language model")
set(CPACK_DEBIAN_PACKAGE_DESCRIPTION "Anchorage keeps a large language model's knowledge current. It writes
batches of facts into the weights of a model, batch after batch, while
limiting how far the weights drift; every batch is journaled, and any edit
can be taken back.

The program needs PyPI's torch ${anchorage_torch_version} for CUDA, in a Python environment that
ANCHORAGE_PYTHON names or that is active; it works without a GPU too.")
set(CPACK_DEBIAN_PACKAGE_DEPENDS "openmpi-bin, python3")
set(CPACK_DEBIAN_PACKAGE_RECOMMENDS "python3-venv")
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
get_target_property(nccl Anchorage::nccl IMPORTED_LOCATION)
get_filename_component(nccl_folder ${nccl} DIRECTORY)
get_filename_component(cudart_folder ${cudart} DIRECTORY)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS_PRIVATE_DIRS ${torch_root}/lib ${nccl_folder} ${cudart_folder})

string(TIMESTAMP date "%a, %d %b %Y %H:%M:%S +0000" UTC)
set(changelog ${CMAKE_BINARY_DIR}/changelog.Debian)
file(WRITE ${changelog} "anchorage (${PROJECT_VERSION}-1) bookworm; urgency=medium

  * Version ${PROJECT_VERSION}; changelog.gz has what changed.

 -- ${CPACK_PACKAGE_CONTACT}  ${date}
")
install(FILES packaging/debian/copyright DESTINATION share/doc/anchorage COMPONENT debian EXCLUDE_FROM_ALL)
install(FILES packaging/debian/lintian-overrides DESTINATION share/lintian/overrides RENAME anchorage
        COMPONENT debian EXCLUDE_FROM_ALL)
find_program(ANCHORAGE_GZIP gzip)
install(CODE "
  set(documents \"\$ENV{DESTDIR}\${CMAKE_INSTALL_PREFIX}/share/doc/anchorage\")
  execute_process(COMMAND ${ANCHORAGE_GZIP} -9nc ${changelog} COMMAND_ERROR_IS_FATAL ANY
                  OUTPUT_FILE \"\${documents}/changelog.Debian.gz\")
  execute_process(COMMAND ${ANCHORAGE_GZIP} -9nc ${CMAKE_SOURCE_DIR}/CHANGELOG.md COMMAND_ERROR_IS_FATAL ANY
                  OUTPUT_FILE \"\${documents}/changelog.gz\")"
  COMPONENT debian EXCLUDE_FROM_ALL)
include(CPack)
