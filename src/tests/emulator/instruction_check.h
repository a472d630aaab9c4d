// The results of single instructions against what they should be.
#pragma once
#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <string>
#include <type_traits>
#include <vector>

#include "tests/emulator/interpreter_fixture.h"

namespace emulator {

inline constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
inline constexpr float kInfinity = std::numeric_limits<float>::infinity();

struct Type {
  const char *name, *registers;
};
template <class T>
Type type_of() {
  if (std::is_same_v<T, bool>) return {"pred", "%p"};
  if (std::is_same_v<T, float>) return {"f32", "%f"};
  if (std::is_same_v<T, double>) return {"f64", "%fd"};
  constexpr bool is_signed = std::is_signed_v<T>;
  if (sizeof(T) == 1) return {is_signed ? "s8" : "u8", "%rs"};
  if (sizeof(T) == 2) return {is_signed ? "s16" : "u16", "%rs"};
  if (sizeof(T) == 4) return {is_signed ? "s32" : "u32", "%r"};
  return {is_signed ? "s64" : "u64", "%rd"};
}
template <class T>
std::string name_of() {
  return type_of<T>().name;
}
template <class T>
std::string bits_name() {
  return "b" + std::to_string(8 * sizeof(T));
}
template <class T>
std::uint64_t word(T value) {
  std::uint64_t w = 0;
  std::memcpy(&w, &value, sizeof value);
  return w;
}

using Operands = std::array<std::uint64_t, 3>;

// The results of one instruction for each of the operands, a thread for each.
inline std::vector<std::uint64_t> executed(const std::string& opcode, const Type& to,
                                           const std::vector<Type>& from,
                                           const std::vector<Operands>& inputs) {
  const auto name = [](const Type& t, std::size_t k) {
    return t.registers + std::to_string(10 + k);
  };
  const auto is_predicate = [](const Type& t) { return std::string(t.name) == "pred"; };
  std::string text =
      kHeader + ".visible .entry f(.param .u64 f_to, .param .u64 f_from, .param .u32 f_n)\n{\n" +
      kRegisters +
      "mov.u32 %r1, %ctaid.x;\nmov.u32 %r2, %ntid.x;\nmov.u32 %r3, %tid.x;\n"
      "mad.lo.s32 %r4, %r1, %r2, %r3;\nld.param.u32 %r5, [f_n];\n"
      "setp.ge.u32 %p1, %r4, %r5;\n@%p1 bra $L_end;\n"
      "ld.param.u64 %rd1, [f_to];\nmul.wide.u32 %rd2, %r4, 8;\n"
      "add.s64 %rd3, %rd1, %rd2;\nld.param.u64 %rd4, [f_from];\n"
      "mul.wide.u32 %rd5, %r4, 24;\nadd.s64 %rd6, %rd4, %rd5;\n";
  std::string instruction = opcode + " " + name(to, 0);
  for (std::size_t k = 0; k < from.size(); ++k) {
    const std::string at = ", [%rd6+" + std::to_string(8 * k) + "];\n";
    if (is_predicate(from[k]))
      text += "ld.global.u8 %rs1" + at + "setp.ne.u16 " + name(from[k], k + 1) + ", %rs1, 0;\n";
    else
      text += std::string("ld.global.") + from[k].name + " " + name(from[k], k + 1) + at;
    instruction += ", " + name(from[k], k + 1);
  }
  text += instruction + ";\n";
  if (is_predicate(to))
    text += "selp.u16 %rs2, 1, 0, " + name(to, 0) + ";\nst.global.u8 [%rd3], %rs2;\n";
  else
    text += std::string("st.global.") + to.name + " [%rd3], " + name(to, 0) + ";\n";
  text += "$L_end:\nret;\n}\n";

  Memory memory(std::size_t{4} << 20);
  const std::size_t in_bytes = inputs.size() * sizeof(Operands), out_bytes = inputs.size() * 8;
  void* const in = memory.allocate(in_bytes, MemoryKind::device, 0);
  void* const out = memory.allocate(out_bytes, MemoryKind::device, 0);
  std::memcpy(memory.view(in, in_bytes, 0), inputs.data(), in_bytes);
  std::memset(memory.view(out, out_bytes, 0), 0, out_bytes);
  struct {
    void *out, *in;
    std::uint32_t n;
  } const parameters{out, in, static_cast<std::uint32_t>(inputs.size())};
  std::vector<std::uint64_t> results(inputs.size());
  try {
    Module module(text, memory, 0);
    Counts counts;
    run_kernel(module.kernel("f"), {(parameters.n + 63) / 64, 64},
               {reinterpret_cast<const unsigned char*>(&parameters), 20}, memory, 0, counts);
    std::memcpy(results.data(), memory.view(out, out_bytes, 0), out_bytes);
  } catch (const Fault& fault) {
    ADD_FAILURE() << fault.what();
  }
  return results;
}

template <class T>
bool same(T a, T b) {
  if constexpr (std::is_floating_point_v<T>)
    if (std::isnan(a) && std::isnan(b)) return true;
  return word(a) == word(b);
}
template <class T>
auto printed(T value) {
  if constexpr (sizeof(T) == 1)
    return static_cast<int>(value);
  else
    return value;
}

template <class To, class... From>
void compare(const std::string& opcode, const std::vector<Operands>& inputs,
             const std::vector<To>& expected) {
  const std::vector<std::uint64_t> results =
      executed(opcode, type_of<To>(), {type_of<From>()...}, inputs);
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    To result;
    std::memcpy(&result, &results[i], sizeof result);
    ASSERT_TRUE(same(result, expected[i]))
        << opcode << " of 0x" << std::hex << inputs[i][0] << ", 0x" << inputs[i][1] << ", 0x"
        << inputs[i][2] << std::dec << ": " << printed(result) << " for " << printed(expected[i]);
  }
}

// The instruction against f, for every combination of operands.
template <class To, class A, class F>
void check(const std::string& opcode, const std::vector<A>& as, F f) {
  std::vector<Operands> inputs;
  std::vector<To> expected;
  for (const A a : as) {
    inputs.push_back({word(a)});
    expected.push_back(f(a));
  }
  compare<To, A>(opcode, inputs, expected);
}
template <class To, class A, class B, class F>
void check(const std::string& opcode, const std::vector<A>& as, const std::vector<B>& bs, F f) {
  std::vector<Operands> inputs;
  std::vector<To> expected;
  for (const A a : as)
    for (const B b : bs) {
      inputs.push_back({word(a), word(b)});
      expected.push_back(f(a, b));
    }
  compare<To, A, B>(opcode, inputs, expected);
}
template <class To, class A, class B, class C, class F>
void check(const std::string& opcode, const std::vector<A>& as, const std::vector<B>& bs,
           const std::vector<C>& cs, F f) {
  std::vector<Operands> inputs;
  std::vector<To> expected;
  for (const A a : as)
    for (const B b : bs)
      for (const C c : cs) {
        inputs.push_back({word(a), word(b), word(c)});
        expected.push_back(f(a, b, c));
      }
  compare<To, A, B, C>(opcode, inputs, expected);
}

template <class T>
std::vector<T> integers() {
  using Limits = std::numeric_limits<T>;
  const T low = Limits::min(), high = Limits::max(), middle = static_cast<T>(high / 2);
  return {0,
          1,
          2,
          3,
          7,
          100,
          static_cast<T>(-1),
          static_cast<T>(-2),
          static_cast<T>(-100),
          low,
          static_cast<T>(low + 1),
          high,
          static_cast<T>(high - 1),
          middle,
          static_cast<T>(middle + 1),
          static_cast<T>(0x5A3C96E1D2B4F708)};
}

using FloatTypes = testing::Types<float, double>;
template <class T>
std::vector<T> reals() {
  using Limits = std::numeric_limits<T>;
  std::vector<T> v{0,
                   1,
                   T{.1},
                   T{1.5},
                   3,
                   T{1e10},
                   T{1e-10},
                   Limits::max(),
                   Limits::min(),
                   Limits::denorm_min(),
                   Limits::infinity(),
                   1 + Limits::epsilon()};
  for (std::size_t i = 0, n = v.size(); i < n; ++i) v.push_back(-v[i]);
  v.push_back(Limits::quiet_NaN());
  return v;
}

}  // namespace emulator
