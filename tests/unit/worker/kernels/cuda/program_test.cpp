// The device sources compile, for GPUs that need not be there.
#include "worker/kernels/cuda/program.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string_view>

#include "io/error.hpp"
#include "tests/support/message_of.hpp"
#include "worker/kernels/cuda/launch.hpp"

namespace anchorage::worker::kernels::cuda {
namespace {

using testing::HasSubstr;

constexpr Element elements[] = {Element::bf16, Element::f16, Element::f32, Element::f64};

TEST(DeviceProgram, EveryFamilyCompilesForEveryElementWithoutAWarning) {
  for (const Capability capability : {Capability{8, 0}, Capability{9, 0}, Capability{10, 0}}) {
    for (const Family* family : families) {
      for (const Element element : elements) {
        const Program program = compile(*family, element, capability);
        EXPECT_EQ(program.log, "") << family->source << " for " << capability.major << '.' << capability.minor;
        EXPECT_EQ(std::string_view(program.code.data(), 4),
                  "\x7F"
                  "ELF");
        EXPECT_EQ(program.names.size(), family->names.size());
      }
    }
  }
}

// The bytes that a kernel takes, from the PTX: "_param_0[96]".
std::size_t parameter_bytes(const Program& program, const std::string& kernel) {
  const std::string_view ptx(program.code.data(), program.code.size());
  const std::string parameter = program.names.at(kernel) + "_param_0[";
  const std::size_t place = ptx.find(parameter);
  if (place == std::string_view::npos) return 0;
  return std::stoul(std::string(ptx.substr(place + parameter.size(), 8)));
}

TEST(DeviceProgram, ALaterGpuGetsPtxWhoseKernelsTakeWhatIsLaunchedWith) {
  const auto bytes = [](const Kernel& kernel) {
    return parameter_bytes(compile(*kernel.family, Element::bf16, {99, 0}), kernel.name);
  };
  EXPECT_EQ(bytes(norm_rows_back), sizeof(NormRows));
  EXPECT_EQ(bytes(gate_rows), sizeof(GateRows));
  EXPECT_EQ(bytes(rotate_rows), sizeof(RotationRows));
  EXPECT_EQ(bytes(attend_back_by_columns), sizeof(AttentionRows));
  EXPECT_EQ(bytes(loss_rows), sizeof(LossRows));
}

TEST(DeviceProgram, ProductsAreRoundedBeforeTheyAreAdded) {
  const Program program = compile(norm_family, Element::f32, {99, 0});
  const std::string_view ptx(program.code.data(), program.code.size());
  const std::size_t kernel = ptx.find(".entry " + program.names.at("norm_rows") + "(");
  ASSERT_NE(kernel, std::string_view::npos);
  const std::string body(ptx.substr(kernel, ptx.find("\n}", kernel) - kernel));
  EXPECT_THAT(body, HasSubstr("mul.rn.f32"));
  EXPECT_THAT(body, Not(HasSubstr("fma.rn.f32")));
}

TEST(DeviceProgram, WhatDoesNotCompileIsAnErrorWithTheCompilersLog) {
  static constexpr const char* names[] = {"no_kernel"};
  const Family wrong{norm_family.source, names};
  const std::string message = tests::message_of<io::InternalError>([&] {
    (void)compile(wrong, Element::f32, {9, 0});
  });
  EXPECT_THAT(message, AllOf(HasSubstr("norm.cu"), HasSubstr("sm_90"), HasSubstr("no_kernel")));
}

TEST(DeviceProgram, AGpuThatTheCompilerDoesNotKnowIsRefused) {
  const std::string message = tests::message_of<io::InternalError>([&] {
    (void)compile(norm_family, Element::f32, {3, 5});
  });
  EXPECT_THAT(message, HasSubstr("3.5"));
}

}  // namespace
}  // namespace anchorage::worker::kernels::cuda
