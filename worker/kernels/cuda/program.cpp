#include "worker/kernels/cuda/program.hpp"

#include <cuda_runtime_api.h>
#include <dlfcn.h>
#include <fmt/format.h>
#include <nvrtc.h>

#include <algorithm>
#include <memory>

#include "io/error.hpp"
#include "worker/kernels/cuda/sources.hpp"

namespace anchorage::worker::kernels::cuda {
namespace {

// The compiler, loaded when it is first asked for: it lies beside the CUDA run-time library, is 100 MB, and few
// commands need it.
class Nvrtc {
 public:
  static const Nvrtc& loaded() {
    static const Nvrtc nvrtc;
    return nvrtc;
  }

  decltype(&::nvrtcCreateProgram) create;
  decltype(&::nvrtcDestroyProgram) destroy;
  decltype(&::nvrtcAddNameExpression) add_name;
  decltype(&::nvrtcCompileProgram) compile;
  decltype(&::nvrtcGetLoweredName) lowered_name;
  decltype(&::nvrtcGetProgramLogSize) log_size;
  decltype(&::nvrtcGetProgramLog) log;
  decltype(&::nvrtcGetCUBINSize) cubin_size;
  decltype(&::nvrtcGetCUBIN) cubin;
  decltype(&::nvrtcGetPTXSize) ptx_size;
  decltype(&::nvrtcGetPTX) ptx;
  decltype(&::nvrtcGetNumSupportedArchs) architecture_count;
  decltype(&::nvrtcGetSupportedArchs) architectures;
  decltype(&::nvrtcGetErrorString) text_of;

  void check(nvrtcResult result, const char* call) const {
    if (result == NVRTC_SUCCESS) return;
    throw io::InternalError(fmt::format("expected {} to succeed, found '{}'", call, text_of(result)));
  }

 private:
  Nvrtc() {
    const std::string name = fmt::format("libnvrtc.so.{}", CUDART_VERSION / 1000);
    void* library = dlopen(name.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (library == nullptr) {
      throw io::InternalError(fmt::format("expected CUDA's run-time compiler {}, found '{}'", name, dlerror()));
    }
    const auto find = [&]<class Call>(Call& call, const char* symbol) {
      call = reinterpret_cast<Call>(dlsym(library, symbol));
      if (call == nullptr) throw io::InternalError(fmt::format("expected {} in {}, found none", symbol, name));
    };
    find(create, "nvrtcCreateProgram");
    find(destroy, "nvrtcDestroyProgram");
    find(add_name, "nvrtcAddNameExpression");
    find(compile, "nvrtcCompileProgram");
    find(lowered_name, "nvrtcGetLoweredName");
    find(log_size, "nvrtcGetProgramLogSize");
    find(log, "nvrtcGetProgramLog");
    find(cubin_size, "nvrtcGetCUBINSize");
    find(cubin, "nvrtcGetCUBIN");
    find(ptx_size, "nvrtcGetPTXSize");
    find(ptx, "nvrtcGetPTX");
    find(architecture_count, "nvrtcGetNumSupportedArchs");
    find(architectures, "nvrtcGetSupportedArchs");
    find(text_of, "nvrtcGetErrorString");
  }
};

// What the sources include of the standard library.
constexpr const char* cstdint = "#pragma once\nnamespace std {\nusing int64_t = long long;\n}\n";

std::string name_of(Element element) {
  const std::string here = "anchorage::worker::kernels::device::";
  switch (element) {
    case Element::bf16:
      return here + "bf16";
    case Element::f16:
      return here + "f16";
    case Element::f32:
      return "float";
    case Element::f64:
      return "double";
  }
  throw io::InternalError("an element without a type");
}

std::string expression_of(const char* kernel, Element element) {
  return fmt::format("anchorage::worker::kernels::device::{}<{}>", kernel, name_of(element));
}

// Of an architecture, sm_90, machine code runs on GPUs of its major capability from it on; PTX, compute_90, is
// compiled by the driver for any later one.
struct Target {
  std::string architecture;
  bool is_machine_code;
};

// The latest architecture that the compiler knows and the GPU is not older than.
Target target_of(const Nvrtc& nvrtc, Capability capability) {
  int count = 0;
  nvrtc.check(nvrtc.architecture_count(&count), "nvrtcGetNumSupportedArchs");
  std::vector<int> known(static_cast<std::size_t>(count));
  nvrtc.check(nvrtc.architectures(known.data()), "nvrtcGetSupportedArchs");
  const int wanted = 10 * capability.major + capability.minor;
  std::erase_if(known, [&](int architecture) { return architecture > wanted; });
  if (known.empty()) {
    throw io::InternalError(fmt::format("expected a GPU of a capability that CUDA {}.{} compiles for, found {}.{}",
                                        CUDART_VERSION / 1000, CUDART_VERSION % 1000 / 10, capability.major,
                                        capability.minor));
  }
  const int latest = *std::ranges::max_element(known);
  const bool is_machine_code = latest / 10 == capability.major;
  return {fmt::format("{}_{}", is_machine_code ? "sm" : "compute", latest), is_machine_code};
}

// An nvrtcProgram, owned.
class Source {
 public:
  Source(const Nvrtc& nvrtc, const Family& family) : nvrtc_(nvrtc) {
    std::vector<const char*> paths{"cstdint"}, texts{cstdint};
    const char* own = nullptr;
    for (const SourceText& source : source_texts()) {
      if (std::string_view(source.path) == family.source) own = source.text;
      paths.push_back(source.path);
      texts.push_back(source.text);
    }
    io::check(own != nullptr, "a family of kernels without its source");
    nvrtc_.check(
        nvrtc_.create(&program_, own, family.source, static_cast<int>(paths.size()), texts.data(), paths.data()),
        "nvrtcCreateProgram");
  }
  ~Source() { nvrtc_.destroy(&program_); }
  Source(const Source&) = delete;
  Source& operator=(const Source&) = delete;

  nvrtcProgram get() const { return program_; }

  std::string log() const {
    std::size_t size = 0;
    nvrtc_.check(nvrtc_.log_size(program_, &size), "nvrtcGetProgramLogSize");
    std::string text(size, '\0');
    nvrtc_.check(nvrtc_.log(program_, text.data()), "nvrtcGetProgramLog");
    return text.substr(0, text.find('\0'));
  }

 private:
  const Nvrtc& nvrtc_;
  nvrtcProgram program_ = nullptr;
};

}  // namespace

Program compile(const Family& family, Element element, Capability capability) {
  const Nvrtc& nvrtc = Nvrtc::loaded();
  const Target target = target_of(nvrtc, capability);
  const Source source(nvrtc, family);
  for (const char* kernel : family.names)
    nvrtc.check(nvrtc.add_name(source.get(), expression_of(kernel, element).c_str()), "nvrtcAddNameExpression");
  // A product is rounded before it is added to something, unless the source says otherwise.
  const std::string architecture = "--gpu-architecture=" + target.architecture;
  const std::vector<const char*> options{architecture.c_str(), "--std=c++20", "--fmad=false"};
  const nvrtcResult result = nvrtc.compile(source.get(), static_cast<int>(options.size()), options.data());
  Program program{.code = {}, .names = {}, .log = source.log()};
  if (result != NVRTC_SUCCESS) {
    throw io::InternalError(fmt::format("expected {} to compile for {}, found '{}': {}", family.source,
                                        target.architecture, nvrtc.text_of(result), program.log));
  }
  for (const char* kernel : family.names) {
    const char* name = nullptr;
    nvrtc.check(nvrtc.lowered_name(source.get(), expression_of(kernel, element).c_str(), &name),
                "nvrtcGetLoweredName");
    program.names[kernel] = name;
  }
  std::size_t size = 0;
  const auto measure = target.is_machine_code ? nvrtc.cubin_size : nvrtc.ptx_size;
  const auto read = target.is_machine_code ? nvrtc.cubin : nvrtc.ptx;
  nvrtc.check(measure(source.get(), &size), "the size of the code");
  program.code.resize(size);
  nvrtc.check(read(source.get(), program.code.data()), "reading the code");
  return program;
}

}  // namespace anchorage::worker::kernels::cuda
