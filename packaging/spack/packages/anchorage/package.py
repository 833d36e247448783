from spack.package import *


class Anchorage(CMakePackage):
    """Keeps a large language model's knowledge current: batches of factual edits written into its weights, distributed
    over Open MPI and NCCL."""

    license("Apache-2.0")
    maintainers()

    # A checkout is built in place: spack develop --path CHECKOUT anchorage@main
    version("main")

    depends_on("c", type="build")
    depends_on("cxx", type="build")
    depends_on("cmake@3.25:", type="build")
    depends_on("ninja", type="build")
    depends_on("pkgconfig", type="build")
    depends_on("help2man", type="build")
    depends_on("python@3.9:", type=("build", "run"))

    depends_on("boost@1.74:")
    depends_on("cli11@2.1:")
    depends_on("cuda@12:")
    depends_on("fmt@9:")
    depends_on("hdf5@1.10: ~mpi")
    depends_on("highway@1.0:")
    depends_on("icu4c")
    depends_on("libzip")
    depends_on("nccl@2.20:")
    depends_on("nlohmann-json@3.11:")
    depends_on("openmpi@4.1:4")
    depends_on("openssl@3:")
    depends_on("py-torch@2.11 +cuda +nccl")
    depends_on("py-transformers", type="run")
    depends_on("spdlog@1.10: +fmt_external")
    depends_on("yaml-cpp@0.7:")

    conflicts("%gcc@:11", msg="expected GCC 12 or newer: the source is C++20 with std::source_location")

    generator("ninja")

    def cmake_args(self):
        return [
            self.define("ANCHORAGE_TESTS", False),
            self.define("ANCHORAGE_PYTHON", self.spec["python"].prefix),
            self.define("Torch_DIR", join_path(self.spec["py-torch"].package.cmake_prefix_paths[0], "Torch")),
            self.define("CUDAToolkit_ROOT", self.spec["cuda"].prefix),
            self.define("NCCL_ROOT", self.spec["nccl"].prefix),
        ]

    def setup_run_environment(self, env):
        env.set("ANCHORAGE_SOURCE", self.prefix.share.anchorage)

    @run_after("install")
    @on_package_attributes(run_tests=True)
    def smoke_test(self):
        Executable(join_path(self.prefix.share.anchorage, "smoke", "smoke_test"))(self.prefix)
