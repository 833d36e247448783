# LibTorch, the CUDA run-time library and NCCL from PyPI's torch wheel, as launch/setup installs it.
#
#   Anchorage::torch   torch, torch_cpu, torch_cuda, c10, c10_cuda with their headers
#   Anchorage::cudart  cuda_runtime_api.h and libcudart
#   Anchorage::nccl    nccl.h and libnccl
#
# find_package(Torch) is not used: it asks for a CUDA toolkit and compiles test programs to find the GPU's
# architecture. Nothing here is compiled for a GPU, so one build serves every machine.

if(DEFINED ENV{ANCHORAGE_CACHE})
  set(anchorage_cache $ENV{ANCHORAGE_CACHE})
else()
  set(anchorage_cache $ENV{HOME}/.cache/anchorage)
endif()
set(ANCHORAGE_PYTHON ${anchorage_cache}/python CACHE PATH "Virtual environment that holds PyPI's torch")

file(GLOB site_packages LIST_DIRECTORIES true ${ANCHORAGE_PYTHON}/lib/python3*/site-packages)
find_path(ANCHORAGE_TORCH_DIR NAMES include/torch/csrc/api/include/torch/torch.h
          PATHS ${site_packages} PATH_SUFFIXES torch NO_DEFAULT_PATH)
find_path(ANCHORAGE_NVIDIA_DIR NAMES nccl/include/nccl.h
          PATHS ${site_packages} PATH_SUFFIXES nvidia NO_DEFAULT_PATH)
if(NOT ANCHORAGE_TORCH_DIR OR NOT ANCHORAGE_NVIDIA_DIR)
  message(FATAL_ERROR "expected PyPI's torch with its CUDA and NCCL packages, found none under "
                      "${ANCHORAGE_PYTHON}; run launch/setup, or set ANCHORAGE_PYTHON to a virtual environment with it")
endif()

function(anchorage_import name file)
  if(NOT EXISTS ${file})
    message(FATAL_ERROR "expected the library ${file}, found none; run launch/setup again")
  endif()
  add_library(Anchorage::${name} SHARED IMPORTED GLOBAL)
  set_target_properties(Anchorage::${name} PROPERTIES IMPORTED_LOCATION ${file} IMPORTED_NO_SONAME OFF)
endfunction()

anchorage_import(cudart ${ANCHORAGE_NVIDIA_DIR}/cu13/lib/libcudart.so.13)
target_include_directories(Anchorage::cudart SYSTEM INTERFACE ${ANCHORAGE_NVIDIA_DIR}/cu13/include)
anchorage_import(nccl ${ANCHORAGE_NVIDIA_DIR}/nccl/lib/libnccl.so.2)
target_include_directories(Anchorage::nccl SYSTEM INTERFACE ${ANCHORAGE_NVIDIA_DIR}/nccl/include)
target_link_libraries(Anchorage::nccl INTERFACE Anchorage::cudart)

foreach(library c10 c10_cuda torch_cpu torch_cuda)
  anchorage_import(${library} ${ANCHORAGE_TORCH_DIR}/lib/lib${library}.so)
endforeach()
anchorage_import(torch_all ${ANCHORAGE_TORCH_DIR}/lib/libtorch.so)

add_library(Anchorage::torch INTERFACE IMPORTED GLOBAL)
# After the system's folders: the wheel carries headers of a newer fmt, without its library.
target_compile_options(Anchorage::torch INTERFACE
  "SHELL:-idirafter ${ANCHORAGE_TORCH_DIR}/include"
  "SHELL:-idirafter ${ANCHORAGE_TORCH_DIR}/include/torch/csrc/api/include")
# --no-as-needed: nothing calls into torch_cuda by name, yet loading it is what registers the CUDA kernels.
# libstdc++ first: torch's libraries export parts of an older std::filesystem, in which our calls would crash.
# RPATH instead of RUNPATH: the wheel's NCCL and CUDA also where a cluster's modules put others in LD_LIBRARY_PATH.
target_link_options(Anchorage::torch INTERFACE LINKER:--no-as-needed LINKER:--disable-new-dtags -lstdc++)
target_link_libraries(Anchorage::torch INTERFACE
  Anchorage::torch_all Anchorage::torch_cpu Anchorage::torch_cuda Anchorage::c10 Anchorage::c10_cuda Anchorage::cudart)
