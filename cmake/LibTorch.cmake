# LibTorch, the CUDA run-time library and NCCL.
#
#   Anchorage::torch   torch, torch_cpu, torch_cuda, c10, c10_cuda with their headers
#   Anchorage::cudart  cuda_runtime_api.h and libcudart
#   Anchorage::nccl    nccl.h and libnccl
#
# Two ways say where they are:
#
#   ANCHORAGE_PYTHON  a virtual environment with PyPI's torch, as launch/setup makes it (the default)
#   Torch_DIR         any LibTorch: its root, the folder that has include/ and lib/, or share/cmake/Torch in it
#
# LibTorch has to be one with CUDA: the program links libtorch_cuda, and works without a GPU all the same. PyPI's
# torch has the CUDA run-time library and NCCL beside it. An archive from pytorch.org has no headers of CUDA and no
# NCCL: then CUDAToolkit_ROOT and NCCL_ROOT name the prefixes that have them, unless they are where compilers look
# anyway.
#
# find_package(Torch) is not used: it asks for a CUDA toolkit and compiles test programs to find the GPU's
# architecture. Nothing here is compiled for a GPU, so one build serves every machine.
#
# Installed with the libraries, this file serves find_package(Anchorage) too.

if(DEFINED ENV{ANCHORAGE_CACHE})
  set(anchorage_cache $ENV{ANCHORAGE_CACHE})
else()
  set(anchorage_cache $ENV{HOME}/.cache/anchorage)
endif()
set(ANCHORAGE_PYTHON ${anchorage_cache}/python CACHE PATH "Virtual environment that holds PyPI's torch")
set(Torch_DIR "$ENV{Torch_DIR}"
    CACHE PATH "Root of LibTorch, or share/cmake/Torch in it; empty: ANCHORAGE_PYTHON's torch")

set(anchorage_torch_header include/torch/csrc/api/include/torch/torch.h)

# anchorage_find_torch(<variable>): the folder of LibTorch that has include/ and lib/
function(anchorage_find_torch result)
  if(Torch_DIR)
    foreach(way . ../../..)
      file(REAL_PATH "${Torch_DIR}/${way}" root)
      if(EXISTS ${root}/${anchorage_torch_header})
        set(${result} ${root} PARENT_SCOPE)
        return()
      endif()
    endforeach()
    message(FATAL_ERROR "expected LibTorch, found no ${anchorage_torch_header}, in Torch_DIR=${Torch_DIR} nor three "
                        "folders above it; set Torch_DIR to the root of LibTorch or to share/cmake/Torch in it")
  endif()
  file(GLOB roots LIST_DIRECTORIES true ${ANCHORAGE_PYTHON}/lib/python3*/site-packages/torch)
  foreach(root ${roots})
    if(EXISTS ${root}/${anchorage_torch_header})
      set(${result} ${root} PARENT_SCOPE)
      return()
    endif()
  endforeach()
  message(FATAL_ERROR "expected PyPI's torch, found none, under ANCHORAGE_PYTHON=${ANCHORAGE_PYTHON}; run launch/setup, "
                      "or set ANCHORAGE_PYTHON to a virtual environment with it, or Torch_DIR to another LibTorch")
endfunction()
anchorage_find_torch(torch_root)

if(NOT EXISTS ${torch_root}/lib/libtorch_cuda.so)
  message(FATAL_ERROR "expected LibTorch with CUDA, found no lib/libtorch_cuda.so, in ${torch_root}; take a build of "
                      "LibTorch for CUDA, which needs no GPU")
endif()

function(anchorage_import name file)
  if(NOT EXISTS ${file})
    message(FATAL_ERROR "expected the library ${file}, found none; run launch/setup again, or install LibTorch again")
  endif()
  add_library(Anchorage::${name} SHARED IMPORTED GLOBAL)
  set_target_properties(Anchorage::${name} PROPERTIES IMPORTED_LOCATION ${file} IMPORTED_NO_SONAME OFF)
endfunction()

# anchorage_import_beside_torch(<name> <header> LIBRARIES <names...> ROOTS <prefixes...>): a library that PyPI's
# wheels have beside torch, at one of the roots, or that is installed elsewhere. A LibTorch's own copy of the library
# comes first.
function(anchorage_import_beside_torch name header)
  cmake_parse_arguments(ARG "" "" "LIBRARIES;ROOTS" ${ARGN})
  set(folder folder-NOTFOUND)
  set(library library-NOTFOUND)
  find_path(folder NAMES ${header} HINTS ${ARG_ROOTS} PATH_SUFFIXES include NO_PACKAGE_ROOT_PATH NO_CACHE)
  file(GLOB own ${torch_root}/lib/lib${name}.so.* ${torch_root}/lib/lib${name}-*.so.*)
  if(own)
    list(GET own 0 library)
  else()
    find_library(library NAMES ${ARG_LIBRARIES} HINTS ${ARG_ROOTS} PATH_SUFFIXES lib lib64 NO_CACHE)
  endif()
  foreach(found folder library)
    if(NOT ${found})
      string(REPLACE folder "${header}" what "${found}")
      string(REPLACE library "lib${name}" what "${what}")
      message(FATAL_ERROR "expected ${what}, found none, in ${ARG_ROOTS} nor where compilers look; install it and set "
                          "CUDAToolkit_ROOT or NCCL_ROOT to its prefix")
    endif()
  endforeach()
  anchorage_import(${name} ${library})
  target_include_directories(Anchorage::${name} SYSTEM INTERFACE ${folder})
endfunction()

set(wheels ${torch_root}/../nvidia)
anchorage_import_beside_torch(cudart cuda_runtime_api.h LIBRARIES libcudart.so.13 cudart
  ROOTS ${CUDAToolkit_ROOT} ${wheels}/cu13 ${wheels}/cuda_runtime ${torch_root} $ENV{CUDAToolkit_ROOT} $ENV{CUDA_HOME})
anchorage_import_beside_torch(nccl nccl.h LIBRARIES libnccl.so.2 nccl
  ROOTS ${NCCL_ROOT} ${wheels}/nccl ${torch_root} $ENV{NCCL_ROOT})
target_link_libraries(Anchorage::nccl INTERFACE Anchorage::cudart)

foreach(library c10 c10_cuda torch_cpu torch_cuda)
  anchorage_import(${library} ${torch_root}/lib/lib${library}.so)
endforeach()
anchorage_import(torch_all ${torch_root}/lib/libtorch.so)
message(STATUS "LibTorch: ${torch_root}")

add_library(Anchorage::torch INTERFACE IMPORTED GLOBAL)
# After the system's folders: the wheel carries headers of a newer fmt, without its library.
target_compile_options(Anchorage::torch INTERFACE
  "SHELL:-idirafter ${torch_root}/include"
  "SHELL:-idirafter ${torch_root}/include/torch/csrc/api/include")
# --no-as-needed: nothing calls into torch_cuda by name, yet loading it is what registers the CUDA kernels.
# libstdc++ first: torch's libraries export parts of an older std::filesystem, in which our calls would crash.
# RPATH instead of RUNPATH: the wheel's NCCL and CUDA also where a cluster's modules put others in LD_LIBRARY_PATH.
target_link_options(Anchorage::torch INTERFACE LINKER:--no-as-needed LINKER:--disable-new-dtags -lstdc++)
target_link_libraries(Anchorage::torch INTERFACE
  Anchorage::torch_all Anchorage::torch_cpu Anchorage::torch_cuda Anchorage::c10 Anchorage::c10_cuda Anchorage::cudart)
