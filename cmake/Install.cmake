# What `cmake --install` puts below a prefix, by components (docs/install.md draws the tree):
#
#   program       bin/anchorage, which looks for its libraries where they were at the build, wherever the tree moves
#   data          hyper-parameters, refreshes, the acceptance and the smoke test, man pages, completion, documents
#   development   headers, static libraries and lib/cmake/Anchorage for find_package(Anchorage)
#   launcher      for packages, left out otherwise: lib/anchorage/anchorage, which knows no folder of this machine, and
#                 bin/anchorage, which finds torch and starts it (packaging/anchorage-env)

include(CMakePackageConfigHelpers)
include(GNUInstallDirs)

# Programs link what lies at other places than the system's by its path. A tree that is installed into the Python
# environment can be moved together with it: then torch is found from $ORIGIN.
file(RELATIVE_PATH torch_from_python ${ANCHORAGE_PYTHON} ${torch_root}/lib)
set_target_properties(anchorage PROPERTIES
  INSTALL_RPATH "$ORIGIN/../${CMAKE_INSTALL_LIBDIR};$ORIGIN/../${torch_from_python}"
  INSTALL_RPATH_USE_LINK_PATH ON)
install(TARGETS anchorage RUNTIME DESTINATION bin COMPONENT program)

install(PROGRAMS $<TARGET_FILE:anchorage> DESTINATION lib/anchorage COMPONENT launcher EXCLUDE_FROM_ALL)
install(CODE "set(CMAKE_STRIP \"${CMAKE_STRIP}\")" COMPONENT launcher EXCLUDE_FROM_ALL)
install(CODE [[
  set(installed "$ENV{DESTDIR}${CMAKE_INSTALL_PREFIX}/lib/anchorage/anchorage")
  file(RPATH_REMOVE FILE "${installed}")
  execute_process(COMMAND "${CMAKE_STRIP}" "${installed}" COMMAND_ERROR_IS_FATAL ANY)
]] COMPONENT launcher EXCLUDE_FROM_ALL)
file(STRINGS ${torch_root}/include/torch/headeronly/version.h version_lines REGEX "TORCH_VERSION_(MAJOR|MINOR) [0-9]+")
string(REGEX REPLACE "[^;]*MAJOR ([0-9]+);[^;]*MINOR ([0-9]+)" "\\1.\\2" anchorage_torch_version "${version_lines}")
get_target_property(cudart Anchorage::cudart IMPORTED_LOCATION)
get_filename_component(anchorage_cudart_name ${cudart} NAME)
configure_file(packaging/anchorage-env.in ${CMAKE_BINARY_DIR}/anchorage-env @ONLY)
install(PROGRAMS ${CMAKE_BINARY_DIR}/anchorage-env DESTINATION bin COMPONENT launcher EXCLUDE_FROM_ALL)
install(CODE [[
  file(CREATE_LINK anchorage-env "$ENV{DESTDIR}${CMAKE_INSTALL_PREFIX}/bin/anchorage" SYMBOLIC)
]] COMPONENT launcher EXCLUDE_FROM_ALL)

set(share share/anchorage)
install(DIRECTORY launch/hparams DESTINATION ${share}/launch COMPONENT data)
install(FILES launch/subjects/subjects.jsonl DESTINATION ${share}/launch/subjects COMPONENT data)
install(DIRECTORY launch/refresh DESTINATION ${share}/launch COMPONENT data USE_SOURCE_PERMISSIONS)
file(GLOB jobs launch/refresh/slurm/*.sbatch)
install(PROGRAMS ${jobs} DESTINATION ${share}/launch/refresh/slurm COMPONENT data)
install(FILES launch/observe/grafana.json DESTINATION ${share}/launch/observe COMPONENT data)
install(FILES packaging/systemd/anchorage-serve@.service DESTINATION ${share}/systemd COMPONENT data)
install(DIRECTORY launch/acceptance DESTINATION ${share}/launch COMPONENT data USE_SOURCE_PERMISSIONS
        PATTERN __pycache__ EXCLUDE)
install(DIRECTORY tests/install/smoke DESTINATION ${share} COMPONENT data USE_SOURCE_PERMISSIONS)
install(FILES README.md CONTRIBUTING.md CITATION.cff THIRD_PARTY_NOTICES.md DESTINATION share/doc/anchorage
        COMPONENT data)
# Debian has its own names for these two.
install(FILES CHANGELOG.md LICENSE DESTINATION share/doc/anchorage COMPONENT program)
install(DIRECTORY docs DESTINATION share/doc/anchorage COMPONENT data FILES_MATCHING PATTERN *.md PATTERN *.svg)
install(FILES packaging/modules/anchorage.tcl DESTINATION share/modulefiles/anchorage RENAME ${PROJECT_VERSION}
        COMPONENT program)
install(FILES packaging/modules/anchorage.lua DESTINATION share/modulefiles/anchorage RENAME ${PROJECT_VERSION}.lua
        COMPONENT program)
include(Manual)

# The libraries, for other programs.
set(libraries anchorage_io anchorage_sharding_host anchorage_sharding anchorage_worker anchorage_coordinator)
install(TARGETS ${libraries} EXPORT AnchorageTargets ARCHIVE DESTINATION lib COMPONENT development)
foreach(folder io sharding worker coordinator)
  install(DIRECTORY ${folder} DESTINATION include/anchorage COMPONENT development FILES_MATCHING PATTERN *.hpp)
endforeach()
set(package lib/cmake/Anchorage)
install(EXPORT AnchorageTargets NAMESPACE Anchorage:: DESTINATION ${package} COMPONENT development)
configure_package_config_file(cmake/AnchorageConfig.cmake.in ${CMAKE_BINARY_DIR}/AnchorageConfig.cmake
                              INSTALL_DESTINATION ${package} NO_SET_AND_CHECK_MACRO)
write_basic_package_version_file(${CMAKE_BINARY_DIR}/AnchorageConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_BINARY_DIR}/AnchorageConfig.cmake ${CMAKE_BINARY_DIR}/AnchorageConfigVersion.cmake
              cmake/LibTorch.cmake DESTINATION ${package} COMPONENT development)
include(Package)
