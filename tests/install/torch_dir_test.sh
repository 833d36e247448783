#!/usr/bin/env bash
# torch_dir_test.sh SOURCE TORCH: CMake takes LibTorch from Torch_DIR, in the layouts of PyPI's wheel and of
# pytorch.org's archives, and says what is missing otherwise. TORCH is the torch of the build.
# packaging/test/build_by_hand builds with one.
source "$(dirname "$0")/expectations.sh"
torch=$2
nvidia=$(dirname "$torch")/nvidia
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
unset CUDA_HOME CUDAToolkit_ROOT NCCL_ROOT Torch_DIR

# configures NAME OPTION...: what CMake says, with its exit code in $status
configures() {
  status=0
  said=$(cmake -S "$1" -B "$folder/build-$2" -G Ninja -DANCHORAGE_TESTS=OFF -DANCHORAGE_PYTHON="$folder/nowhere" "${@:3}" 2>&1) ||
    status=$?
  said=$(tr -s ' \n' '  ' <<<"$said") # CMake folds its messages
}
# takes WHAT EXPECTED_ROOT
takes() {
  ((status == 0)) || fail "expected CMake to take $1, found: $said"
  expect_within "what CMake says of $1" "LibTorch: $2 " "$said"
}
refuses() { # WHAT PATTERN
  ((status != 0)) || fail "expected CMake to refuse $1, found that it does not"
  expect_within "what CMake says of $1" "$2" "$said"
}

configures "$1" wheel -DTorch_DIR="$torch"
takes "the wheel's root" "$torch"
configures "$1" cmake -DTorch_DIR="$torch/share/cmake/Torch"
takes "the wheel's share/cmake/Torch" "$torch"
Torch_DIR=$torch configures "$1" environment
takes "Torch_DIR of the environment" "$torch"

# As pytorch.org's archives: no wheels beside it, the CUDA run-time library in lib/.
mkdir -p "$folder/libtorch/lib" "$folder/cpu/lib"
for library in "$torch"/lib/*.so*; do
  ln -s "$library" "$folder/libtorch/lib"
  [[ $library == *cuda* ]] || ln -s "$library" "$folder/cpu/lib"
done
ln -s "$torch/include" "$torch/share" "$folder/libtorch"
ln -s "$torch/include" "$torch/share" "$folder/cpu"
ln -s "$nvidia"/cu13/lib/libcudart.so.* "$folder/libtorch/lib/libcudart-1a2b3c4d.so.13"
configures "$1" archive -DTorch_DIR="$folder/libtorch" -DCUDAToolkit_ROOT="$nvidia/cu13" -DNCCL_ROOT="$nvidia/nccl"
takes "an archive with CUDA and NCCL elsewhere" "$folder/libtorch"
expect_within "what it links" "$folder/libtorch/lib/libcudart-1a2b3c4d.so.13" "$(cat "$folder/build-archive/build.ninja")"
expect_within "what it links" "$nvidia/nccl/lib/libnccl.so.2" "$(cat "$folder/build-archive/build.ninja")"
if [[ ! -e /usr/include/nccl.h && ! -e /usr/local/include/nccl.h ]]; then
  PATH=/usr/bin:/bin configures "$1" no-nccl -DTorch_DIR="$folder/libtorch" -DCUDAToolkit_ROOT="$nvidia/cu13"
  refuses "an archive without NCCL" 'expected nccl\.h, found none.*NCCL_ROOT'
fi
configures "$1" cpu -DTorch_DIR="$folder/cpu"
refuses "LibTorch without CUDA" 'expected LibTorch with CUDA, found no lib/libtorch_cuda\.so'
configures "$1" none -DTorch_DIR="$folder"
refuses "a folder that is no LibTorch" 'expected LibTorch, found no include/.*Torch_DIR='
configures "$1" nothing
refuses "no LibTorch at all" "expected PyPI's torch, found none.*launch/setup.*Torch_DIR"
