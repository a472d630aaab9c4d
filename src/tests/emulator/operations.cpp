#include "tests/emulator/operations.h"

#include <algorithm>
#include <array>
#include <initializer_list>
#include <type_traits>

#include "tests/emulator/executions.h"

namespace emulator {
namespace {

// f.operator()<T>() for the type of a name, among the kinds asked for; else null.
template <class F>
Execute with_integer(std::string_view type, F f) {
  if (type == "u8" || type == "b8") return f.template operator()<std::uint8_t>();
  if (type == "s8") return f.template operator()<std::int8_t>();
  if (type == "u16" || type == "b16") return f.template operator()<std::uint16_t>();
  if (type == "s16") return f.template operator()<std::int16_t>();
  if (type == "u32" || type == "b32") return f.template operator()<std::uint32_t>();
  if (type == "s32") return f.template operator()<std::int32_t>();
  if (type == "u64" || type == "b64") return f.template operator()<std::uint64_t>();
  if (type == "s64") return f.template operator()<std::int64_t>();
  return nullptr;
}
template <class F>
Execute with_float(std::string_view type, F f) {
  if (type == "f32") return f.template operator()<float>();
  if (type == "f64") return f.template operator()<double>();
  return nullptr;
}
template <class F>
Execute with_number(std::string_view type, F f) {
  if (const Execute e = with_integer(type, f)) return e;
  return with_float(type, f);
}

bool is_type(std::string_view s) { return bytes_of_type(s) > 0; }
bool is_integer(std::string_view type) {
  return type[0] == 'u' || type[0] == 's' || type[0] == 'b';
}

bool has(const Opcode& o, std::string_view word) {
  return std::find(o.begin() + 1, o.end(), word) != o.end();
}
// Whether the words between the name and the types are among these.
bool only(const Opcode& o, std::initializer_list<std::string_view> known) {
  return std::all_of(o.begin() + 1, o.end(), [&](std::string_view word) {
    return is_type(word) || std::find(known.begin(), known.end(), word) != known.end();
  });
}

int directed_rounding(const Opcode& o) {
  return has(o, "rz") ? FE_TOWARDZERO : has(o, "rm") ? FE_DOWNWARD : has(o, "rp") ? FE_UPWARD : -1;
}

// An operation of one type on floats, with its rounding.
template <class T, template <class, class> class Shape, class F>
Operation with_rounding(const Opcode& o) {
  if (const int mode = directed_rounding(o); mode >= 0)
    return {rounded<Shape<T, F>::run>, Cost::other, mode};
  return {Shape<T, F>::run, Cost::other};
}
template <class T, class F>
struct BinaryShape {
  static void run(Warp& w, const Instruction& i, LaneMask lanes) { binary<T, F>(w, i, lanes); }
};
template <class T, class F>
struct TernaryShape {
  static void run(Warp& w, const Instruction& i, LaneMask lanes) { ternary<T, T, F>(w, i, lanes); }
};
template <template <class, class> class Shape, class F>
Operation float_operation(const Opcode& o) {
  if (!only(o, {"rn", "rz", "rm", "rp"})) return {};
  if (o.back() == "f32") return with_rounding<float, Shape, F>(o);
  if (o.back() == "f64") return with_rounding<double, Shape, F>(o);
  return {};
}

template <class F>
Operation sum(const Opcode& o) {
  if (!is_integer(o.back())) return float_operation<BinaryShape, F>(o);
  if (!only(o, {})) return {};
  return {with_integer(o.back(), []<class T>() -> Execute { return binary<T, F>; })};
}

Operation product(const Opcode& o) {
  if (!is_integer(o.back())) return float_operation<BinaryShape, Mul>(o);
  if (!only(o, {"lo", "hi", "wide"})) return {};
  const std::string_view type = o.back();
  if (has(o, "wide"))
    return {with_integer(type, []<class T>() -> Execute {
      if constexpr (sizeof(T) == 2 || sizeof(T) == 4)
        return binary<T, MulWide>;
      else
        return nullptr;
    })};
  if (has(o, "hi"))
    return {with_integer(type, []<class T>() -> Execute {
      if constexpr (sizeof(T) > 1)
        return binary<T, MulHigh>;
      else
        return nullptr;
    })};
  return {with_integer(type, []<class T>() -> Execute { return binary<T, Mul>; })};
}

Operation product_sum(const Opcode& o) {
  if (!is_integer(o.back())) return float_operation<TernaryShape, Fma>(o);
  if (!only(o, {"lo", "hi", "wide"})) return {};
  const std::string_view type = o.back();
  if (has(o, "wide"))
    return {with_integer(type, []<class T>() -> Execute {
      if constexpr (sizeof(T) == 2 || sizeof(T) == 4)
        return ternary<T, Wide<T>, MulAddWide>;
      else
        return nullptr;
    })};
  if (has(o, "hi"))
    return {with_integer(type, []<class T>() -> Execute {
      if constexpr (sizeof(T) > 1)
        return ternary<T, T, MulAddHigh>;
      else
        return nullptr;
    })};
  return {with_integer(type, []<class T>() -> Execute { return ternary<T, T, MulAdd>; })};
}

Operation quotient(const Opcode& o) {
  if (!only(o, {"rn", "full", "approx"})) return {};
  const std::string_view type = o.back();
  if (is_integer(type))
    return {with_integer(type, []<class T>() -> Execute { return binary<T, Div>; }),
            bytes_of_type(type) == 8 ? Cost::divide_64 : Cost::divide_32};
  return {with_float(type, []<class T>() -> Execute { return binary<T, Div>; }),
          has(o, "rn") ? Cost::divide_float : Cost::other};
}

// A function of one float: correctly rounded, or approximated.
template <class F>
Operation function(const Opcode& o) {
  if (!only(o, {"rn", "approx", "ftz"})) return {};
  const bool flushes = has(o, "ftz");
  return {with_float(o.back(),
                     [flushes]<class T>() -> Execute {
                       return flushes ? unary<T, Flushed<F>> : unary<T, F>;
                     }),
          has(o, "rn") ? Cost::divide_float : Cost::other};
}
template <class F>
Operation approximation(const Opcode& o) {
  if (o.back() != "f32" || !only(o, {"approx", "ftz"})) return {};
  return {has(o, "ftz") ? unary<float, Flushed<F>> : unary<float, F>};
}

template <class F>
Operation plain(const Opcode& o) {  // of one number
  if (!only(o, {})) return {};
  return {with_number(o.back(), []<class T>() -> Execute { return unary<T, F>; })};
}
template <class F>
Operation extremum(const Opcode& o) {
  if (!only(o, {})) return {};
  return {with_number(o.back(), []<class T>() -> Execute { return binary<T, F>; })};
}
template <class F>
Operation bits(const Opcode& o) {
  if (o.back() == "pred") return {binary<bool, F>};
  return {with_integer(o.back(), []<class T>() -> Execute { return binary<T, F>; })};
}
template <class F>
Operation shift_operation(const Opcode& o) {
  return {with_integer(o.back(), []<class T>() -> Execute { return shift<T, F>; })};
}
template <class F>
Operation count_bits(const Opcode& o) {
  if (o.back() == "b32") return {unary<std::uint32_t, F>};
  if (o.back() == "b64") return {unary<std::uint64_t, F>};
  return {};
}

Operation set_predicate_operation(const Opcode& o) {
  if (o.size() < 3) return {};
  constexpr std::array<std::string_view, kComparisons> kWords{"lt", "le", "gt",  "ge",
                                                              "eq", "ne", "num", "nan"};
  std::string_view word = o[1];
  if (word == "lo") word = "lt";
  if (word == "ls") word = "le";
  if (word == "hi") word = "gt";
  if (word == "hs") word = "ge";
  std::int32_t variant = 0;
  if (word.size() == 3 && word.ends_with('u')) {
    variant = kOrUnordered;
    word.remove_suffix(1);
  }
  const auto found = std::find(kWords.begin(), kWords.end(), word);
  if (found == kWords.end()) return {};
  variant |= static_cast<std::int32_t>(found - kWords.begin());
  const std::string_view combine = o.size() > 3 ? o[2] : "";
  const auto with = [&]<Combine c>() -> Operation {
    return {with_number(o.back(), []<class T>() -> Execute { return set_predicate<T, c>; }),
            Cost::other, variant};
  };
  if (combine.empty()) return with.template operator()<Combine::none>();
  if (combine == "and") return with.template operator()<Combine::and_>();
  if (combine == "or") return with.template operator()<Combine::or_>();
  if (combine == "xor") return with.template operator()<Combine::xor_>();
  return {};
}

template <class F>
Execute with_any(std::string_view type, F f) {
  if (const Execute e = with_number(type, f)) return e;
  if (type == "f16") return f.template operator()<Half>();
  if (type == "bf16") return f.template operator()<BFloat>();
  return nullptr;
}

Operation conversion(const Opcode& o) {
  if (!only(o, {"rn", "rni", "rzi", "rmi", "rpi", "sat", "bf16x2", "f16x2"})) return {};
  if (o.size() >= 3 && o[o.size() - 2] == "bf16x2") return {convert_pair<BFloat>};
  if (o.size() >= 3 && o[o.size() - 2] == "f16x2") return {convert_pair<Half>};
  const std::string_view to = o[o.size() - 2], from = o.back();
  if (!is_type(to)) return {};
  std::int32_t variant = has(o, "rni")   ? kNearest
                         : has(o, "rzi") ? kTowardsZero
                         : has(o, "rmi") ? kDown
                         : has(o, "rpi") ? kUp
                                         : kNone;
  if (has(o, "sat")) {
    if (is_integer(to) && is_integer(from)) return {};
    variant |= kSaturate;
  }
  return {with_any(to,
                   [&]<class To>() -> Execute {
                     return with_any(from,
                                     []<class From>() -> Execute { return convert<To, From>; });
                   }),
          Cost::other, variant};
}

Operation address_conversion(const Opcode& o) {
  const bool to = has(o, "to");  // from generic to the space
  if (has(o, "global") || has(o, "const")) return {move};
  if (has(o, "shared"))
    return {to ? convert_address<kSharedWindow, true> : convert_address<kSharedWindow, false>};
  if (has(o, "local"))
    return {to ? convert_address<kLocalWindow, true> : convert_address<kLocalWindow, false>};
  if (has(o, "param"))
    return {to ? convert_address<kParameterWindow, true>
               : convert_address<kParameterWindow, false>};
  return {};
}

template <bool loads>
Operation transfer(const Opcode& o) {
  if (!only(o, {"global", "shared", "local", "param", "const", "nc", "volatile", "v2", "v4"}))
    return {};
  const auto in = [&]<Space space>(Cost cost) -> Operation {
    const auto of = []<class T>() -> Execute {
      if constexpr (loads)
        return load<space, T>;
      else
        return store<space, T>;
    };
    return {with_number(o.back(), of), cost};
  };
  if (has(o, "global") || has(o, "const"))
    return in.template operator()<Space::global>(Cost::global_memory);
  if (has(o, "shared")) return in.template operator()<Space::shared>(Cost::shared_memory);
  if (has(o, "local")) return in.template operator()<Space::local>(Cost::other);
  if (has(o, "param"))
    return loads ? in.template operator()<Space::parameter>(Cost::parameter) : Operation{};
  return in.template operator()<Space::generic>(Cost::global_memory);
}

}  // namespace

int bytes_of_type(std::string_view type) {
  if (type == "pred") return 1;
  if (type.size() < 2 || (type[0] != 'u' && type[0] != 's' && type[0] != 'b' && type[0] != 'f'))
    return 0;
  if (type == "bf16" || type == "f16") return 2;
  const std::string_view bits = type.substr(1);
  const bool real = type[0] == 'f';
  if (bits == "8" && !real) return 1;
  if (bits == "16" && !real) return 2;
  if (bits == "32") return 4;
  return bits == "64" ? 8 : 0;
}

Operation find_operation(const Opcode& o) {
  const std::string_view name = o[0];
  if (name == "ld" || name == "ldu") return transfer<true>(o);
  if (name == "st") return transfer<false>(o);
  if (name == "mov") return {move};
  if (name == "cvta") return address_conversion(o);
  if (name == "cvt") return conversion(o);
  if (name == "setp") return set_predicate_operation(o);
  if (name == "selp") return {select};
  if (name == "add") return sum<Add>(o);
  if (name == "sub") return sum<Sub>(o);
  if (name == "mul") return product(o);
  if (name == "mad" || name == "fma") return product_sum(o);
  if (name == "div") return quotient(o);
  if (name == "rem")
    return {with_integer(o.back(), []<class T>() -> Execute { return binary<T, Rem>; }),
            bytes_of_type(o.back()) == 8 ? Cost::divide_64 : Cost::divide_32};
  if (name == "min") return extremum<Min>(o);
  if (name == "max") return extremum<Max>(o);
  if (name == "abs") return plain<Abs>(o);
  if (name == "neg") return plain<Neg>(o);
  if (name == "copysign")
    return {with_float(o.back(), []<class T>() -> Execute { return binary<T, CopySign>; })};
  if (name == "and") return bits<And>(o);
  if (name == "or") return bits<Or>(o);
  if (name == "xor") return bits<Xor>(o);
  if (name == "not") {
    if (o.back() == "pred") return {unary<bool, Not>};
    return {with_integer(o.back(), []<class T>() -> Execute { return unary<T, Not>; })};
  }
  if (name == "shl") return shift_operation<ShiftLeft>(o);
  if (name == "shr") return shift_operation<ShiftRight>(o);
  if (name == "shf" && has(o, "wrap"))
    return {has(o, "l") ? funnel_shift<true> : funnel_shift<false>};
  if (name == "prmt" && o.size() == 2) return {permute_bytes};
  if (name == "clz") return count_bits<LeadingZeros>(o);
  if (name == "popc") return count_bits<PopulationCount>(o);
  if (name == "sqrt") return function<Sqrt>(o);
  if (name == "rcp") return function<Reciprocal>(o);
  if (name == "rsqrt") return function<ReciprocalSqrt>(o);
  if (name == "ex2") return approximation<Exp2>(o);
  if (name == "lg2") return approximation<Log2>(o);
  if (name == "sin") return approximation<Sine>(o);
  if (name == "cos") return approximation<Cosine>(o);
  if (name == "tanh") return approximation<Tanh>(o);
  return {};
}

}  // namespace emulator
