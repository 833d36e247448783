"""Facts about cmake/check_arrows.py: what it lets pass, and that it finds each kind of violation."""

import importlib.util
import sys
import tempfile
import unittest
from pathlib import Path

SCRIPT = Path(__file__).resolve().parents[3] / "cmake" / "check_arrows.py"
spec = importlib.util.spec_from_file_location("check_arrows", SCRIPT)
check_arrows = importlib.util.module_from_spec(spec)
sys.modules["check_arrows"] = check_arrows
spec.loader.exec_module(check_arrows)


def source(folder: str, *lines: str) -> str:
    return "\n".join([*lines, f"namespace anchorage::{folder} {{", "}"])


class CheckArrows(unittest.TestCase):
    # A house without a fault. Each test adds the one file that has one.
    HOUSE = {
        "io/error.hpp": source("io", "#include <string>", "// hid_t and MPI_Send in a comment are no use of them"),
        "io/hdf5/file.cpp": source("io", "#include <hdf5.h>", "hid_t file = H5Fopen(name);"),
        "sharding/protocol/command.hpp": source("sharding", '#include "io/error.hpp"'),
        "sharding/collective/mpi_communicator.hpp": source("sharding", "#include <mpi.h>", "MPI_Comm comm;"),
        "sharding/collective/nccl_communicator.hpp": source("sharding", "#include <nccl.h>", "ncclComm_t comm;"),
        "worker/model.hpp": source("worker", "#include <torch/torch.h>", '#include "sharding/protocol/command.hpp"'),
        "worker/device.cpp": source(
            "worker", "#include <cuda_runtime_api.h>", "#include <torch/cuda.h>", "cudaSetDevice(at::cuda::current_device());"
        ),
        "worker/kernels/cuda/launch.cpp": source("worker::kernels::cuda", "#include <nvrtc.h>", "cudaLaunchKernel();"),
        "coordinator/queue.hpp": source("coordinator", '#include "sharding/protocol/command.hpp"'),
        "launch/program/main.cpp": '#include "worker/model.hpp"\n#include "coordinator/queue.hpp"\nint main() {}',
    }

    def violations(self, **added: str) -> list[str]:
        files = self.HOUSE | {
            name.replace("__", "/").replace("_hpp", ".hpp").replace("_cpp", ".cpp"): text
            for name, text in added.items()
        }
        with tempfile.TemporaryDirectory() as folder:
            for name, text in files.items():
                path = Path(folder) / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text)
            return check_arrows.violations(Path(folder))

    def assert_one(self, found: list[str], *parts: str) -> None:
        self.assertEqual(len(found), 1, found)
        for part in parts:
            self.assertIn(part, found[0])

    def test_a_house_in_order_has_no_violation(self):
        self.assertEqual(self.violations(), [])

    def test_a_tree_without_sources_is_not_in_order(self):
        with tempfile.TemporaryDirectory() as folder:
            self.assertEqual(len(check_arrows.violations(Path(folder))), 1)

    def test_io_must_not_include_sharding(self):
        self.assert_one(
            self.violations(io__a_cpp=source("io", '#include "sharding/protocol/command.hpp"')),
            "io/a.cpp:1",
            "io must not include sharding",
        )

    def test_worker_and_coordinator_must_not_include_each_other(self):
        self.assert_one(
            self.violations(worker__a_cpp=source("worker", '#include "coordinator/queue.hpp"')),
            "worker must not include coordinator",
        )
        found = self.violations(coordinator__a_cpp=source("coordinator", "", '#include "worker/model.hpp"'))
        self.assertTrue(
            any("coordinator/a.cpp:2: coordinator must not include worker" in line for line in found), found
        )

    def test_nothing_includes_launch(self):
        self.assert_one(
            self.violations(
                launch__a_hpp=source("launch"), worker__a_cpp=source("worker", '#include "launch/a.hpp"')
            ),
            "worker must not include launch",
        )

    def test_io_must_not_reach_torch(self):
        self.assert_one(
            self.violations(io__a_cpp=source("io", "#include <ATen/ATen.h>")), "io must not reach torch"
        )

    def test_coordinator_must_not_reach_torch_through_another_folders_header(self):
        added = {
            "sharding__a_hpp": source("sharding", "#include <torch/torch.h>"),
            "sharding__b_hpp": source("sharding", '#include "sharding/a.hpp"'),
        }
        found = self.violations(**added, coordinator__a_cpp=source("coordinator", '#include "sharding/b.hpp"'))
        self.assert_one(found, "coordinator/a.cpp:1", "sharding/b.hpp -> sharding/a.hpp -> torch/torch.h")

    def test_coordinator_must_not_reach_mpi(self):
        found = self.violations(
            coordinator__a_cpp=source("coordinator", '#include "sharding/collective/mpi_communicator.hpp"')
        )
        self.assert_one(found, "coordinator must not reach MPI")

    def test_coordinator_must_not_reach_cuda(self):
        found = self.violations(
            sharding__a_hpp=source("sharding", "#include <cuda_runtime_api.h>"),
            coordinator__a_cpp=source("coordinator", '#include "sharding/a.hpp"'),
        )
        self.assertTrue(any("coordinator must not reach CUDA" in line for line in found), found)

    def test_hdf5_is_kept_to_io_hdf5(self):
        self.assert_one(self.violations(io__a_hpp=source("io", "hid_t file;")), "HDF5 is used outside its place")
        self.assert_one(
            self.violations(worker__a_cpp=source("worker", "#include <H5Fpublic.h>")),
            "HDF5 is used outside its place",
        )

    def test_mpi_and_nccl_are_kept_to_their_communicators(self):
        self.assert_one(
            self.violations(sharding__topology_cpp=source("sharding", "MPI_Comm_rank(c, &r);")),
            "MPI is used outside",
        )
        self.assert_one(
            self.violations(worker__a_cpp=source("worker", "#include <nccl.h>")), "NCCL is used outside"
        )

    def test_mpi_is_kept_out_of_launch_too(self):
        self.assert_one(
            self.violations(launch__program__a_cpp=source("launch", "#include <mpi.h>")), "MPI is used outside"
        )

    def test_cuda_is_kept_to_the_device_module_and_nccl(self):
        for line in (
            "#include <cuda_runtime_api.h>",
            "#include <cuda_runtime.h>",
            "#include <cuda.h>",
            "#include <nvrtc.h>",
            "#include <cublas_v2.h>",
            "#include <torch/cuda.h>",
            "#include <ATen/cuda/CUDAContext.h>",
            "#include <c10/cuda/CUDAStream.h>",
            "#include <torch/csrc/cuda/Stream.h>",
            "cudaMemGetInfo(&free, &total);",
            "cudaStream_t stream;",
            "auto stream = c10::cuda::getCurrentCUDAStream();",
            "at::cuda::getCurrentDeviceProperties();",
            "if (torch::cuda::is_available()) return;",
        ):
            with self.subTest(line):
                self.assert_one(
                    self.violations(worker__model__a_cpp=source("worker", line)),
                    "worker/model/a.cpp:1: CUDA is used outside its place",
                )

    def test_what_torch_says_of_a_device_is_no_use_of_cuda(self):
        for line in (
            "if (device.is_cuda()) return torch::kCUDA;",
            '#include <torch/types.h> // the devices of torch, "cuda" too',
            "const c10::Device cuda = device();",
            'if (name == "cudaSetDevice()") return;',
        ):
            with self.subTest(line):
                self.assertEqual(self.violations(worker__model__a_cpp=source("worker", line)), [])

    def test_a_files_namespace_is_its_folders(self):
        self.assert_one(self.violations(io__a_cpp=source("worker")), "namespace anchorage::worker in folder io")
        self.assert_one(self.violations(io__a_cpp="int x;"), "expected namespace anchorage::io, found none")
        self.assertEqual(self.violations(io__a_cpp=source("io::detail")), [])

    def test_names_that_say_nothing_are_refused(self):
        self.assert_one(self.violations(io__string_utils_cpp=source("io")), "'utils'")

    def test_includes_are_written_from_the_source_root(self):
        self.assert_one(
            self.violations(io__a_cpp=source("io", '#include "error.hpp"')), "not a file from the source root"
        )


if __name__ == "__main__":
    unittest.main()
