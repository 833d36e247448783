# anchorage_add_library(<folder> [TORCH] [SOURCES <files...>] LINKS <targets...>)
#
# The library of the folder that calls it: every .cpp below the folder is part of it, so a file's place is
# its target, unless SOURCES says which. TORCH adds LibTorch, with the one precompiled header that all torch users share.
function(anchorage_add_library name)
  cmake_parse_arguments(ARG "TORCH" "" "SOURCES;LINKS" ${ARGN})
  if(NOT ARG_SOURCES)
    file(GLOB_RECURSE ARG_SOURCES CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*.cpp)
  endif()
  add_library(anchorage_${name} STATIC ${ARG_SOURCES})
  add_library(Anchorage::${name} ALIAS anchorage_${name})
  set_target_properties(anchorage_${name} PROPERTIES EXPORT_NAME ${name})
  target_include_directories(anchorage_${name} PUBLIC $<BUILD_INTERFACE:${CMAKE_SOURCE_DIR}>
                                                      $<INSTALL_INTERFACE:include/anchorage>)
  target_link_libraries(anchorage_${name} PUBLIC ${ARG_LINKS} PRIVATE $<BUILD_INTERFACE:anchorage_flags>)
  if(ARG_TORCH)
    anchorage_use_torch(anchorage_${name})
  endif()
endfunction()

# Links LibTorch to a target that links anchorage_flags and reuses the precompiled header. The header is compiled
# with -fPIC and serves nothing that is compiled with -fPIE, so programs are compiled with -fPIC too.
# -fpch-preprocess is what ccache asks for.
function(anchorage_use_torch target)
  target_link_libraries(${target} PUBLIC Anchorage::torch)
  target_precompile_headers(${target} REUSE_FROM anchorage_torch_header)
  target_compile_options(${target} PRIVATE -fpch-preprocess)
  get_target_property(type ${target} TYPE)
  if(type STREQUAL "EXECUTABLE")
    set_target_properties(${target} PROPERTIES POSITION_INDEPENDENT_CODE OFF)
    target_compile_options(${target} PRIVATE -fPIC)
  endif()
endfunction()

# The owner of the precompiled header: compiled once, for all. It has tensors and autograd, not the whole front end of
# torch/torch.h, with which an empty file takes more than three times as long.
file(WRITE ${CMAKE_BINARY_DIR}/torch_header.cpp "")
add_library(anchorage_torch_header STATIC ${CMAKE_BINARY_DIR}/torch_header.cpp)
target_link_libraries(anchorage_torch_header PRIVATE Anchorage::torch anchorage_flags)
target_precompile_headers(anchorage_torch_header PRIVATE <torch/types.h> <torch/utils.h> <torch/csrc/autograd/autograd.h>)
target_compile_options(anchorage_torch_header PRIVATE -fpch-preprocess)
