#include "tests/emulator/ptx.h"

#include <algorithm>
#include <charconv>
#include <cstring>
#include <optional>
#include <regex>

#include "tests/emulator/fault.h"
#include "tests/emulator/operations.h"

namespace emulator {
namespace {

[[noreturn]] void refuse(const std::string& what, std::string_view where) {
  throw Fault(FaultKind::instruction, "PTX: " + what + ": " + std::string(where));
}

std::string_view trim(std::string_view s) {
  const auto begin = s.find_first_not_of(" \t\r\n");
  if (begin == s.npos) return {};
  return s.substr(begin, s.find_last_not_of(" \t\r\n") - begin + 1);
}

// The first word of `s`, taken off it.
std::string_view take_word(std::string_view& s) {
  s = trim(s);
  const auto end = std::min(s.find_first_of(" \t\n"), s.size());
  const std::string_view word = s.substr(0, end);
  s = trim(s.substr(end));
  return word;
}

std::vector<std::string_view> split(std::string_view s, char separator) {
  std::vector<std::string_view> parts;
  int depth = 0;
  std::size_t begin = 0;
  for (std::size_t i = 0; i < s.size(); ++i) {
    if (s[i] == '[' || s[i] == '{' || s[i] == '(') ++depth;
    if (s[i] == ']' || s[i] == '}' || s[i] == ')') --depth;
    if (s[i] != separator || depth > 0) continue;
    parts.push_back(trim(s.substr(begin, i - begin)));
    begin = i + 1;
  }
  if (const auto last = trim(s.substr(begin)); !last.empty()) parts.push_back(last);
  return parts;
}

std::int64_t align_up(std::int64_t at, std::int64_t alignment) {
  return (at + alignment - 1) / alignment * alignment;
}

std::optional<std::uint64_t> parse_number(std::string_view s) {
  const bool negative = s.starts_with('-');
  if (negative) s.remove_prefix(1);
  int base = 10;
  if (s.starts_with("0f") || s.starts_with("0F") || s.starts_with("0d") || s.starts_with("0D") ||
      s.starts_with("0x") || s.starts_with("0X")) {
    base = 16;
    s.remove_prefix(2);
  }
  if (base == 10 && (s.ends_with('U') || s.ends_with('u'))) s.remove_suffix(1);
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(s.data(), s.data() + s.size(), value, base);
  if (error != std::errc() || end != s.data() + s.size() || s.empty()) return std::nullopt;
  return negative ? ~value + 1 : value;
}

// A declaration ".align 8 .b8 name[24]" or ".u64 name".
struct Declaration {
  std::int64_t alignment = 1, element = 1, elements = 1;
  std::string_view name;
  std::int64_t bytes() const { return element * elements; }
};

Declaration parse_declaration(std::string_view s) {
  Declaration d;
  bool aligned = false;
  for (std::string_view rest = s; !rest.empty();) {
    const std::string_view word = take_word(rest);
    if (word == ".align") {
      d.alignment = static_cast<std::int64_t>(parse_number(take_word(rest)).value_or(0));
      aligned = true;
    } else if (word == ".ptr") {  // what follows describes the memory that it points to
      d.name = rest.substr(rest.find_last_of(" \t") + 1);
      return d;
    } else if (word == ".global" || word == ".const" || word == ".visible") {
      continue;
    } else if (word.starts_with('.')) {
      d.element = bytes_of_type(word.substr(1));
      if (d.element == 0) refuse("unknown type", s);
      if (!aligned) d.alignment = d.element;
    } else {
      const auto bracket = word.find('[');
      d.name = word.substr(0, bracket);
      if (bracket != word.npos)
        d.elements = static_cast<std::int64_t>(
            parse_number(word.substr(bracket + 1, word.find(']') - bracket - 1)).value_or(0));
    }
  }
  if (d.name.empty() || d.alignment <= 0) refuse("declaration not understood", s);
  return d;
}

// Decodes the body of one kernel.
class Decoder {
 public:
  Decoder(Kernel& kernel, const std::map<std::string, SharedVariable, std::less<>>& shared,
          const std::map<std::string, std::uint64_t, std::less<>>& variables)
      : kernel_(kernel), shared_(shared), variables_(variables) {}

  void parameters(std::string_view text) {
    for (const std::string_view p : split(text, ',')) {
      std::string_view rest = p;
      if (take_word(rest) != ".param") refuse("no parameter", p);
      const Declaration d = parse_declaration(rest);
      const std::int64_t at = align_up(kernel_.parameter_bytes, d.alignment);
      kernel_.parameters.push_back({at, d.bytes()});
      kernel_.parameter_bytes = at + d.bytes();
      symbols_[std::string(d.name)] = static_cast<std::uint64_t>(at);
    }
  }

  void body(std::string_view text) {
    while (!(text = skip_comments(text)).empty()) {
      if (text[0] == '{' || text[0] == '}') {
        text = trim(text.substr(1));
        continue;
      }
      const auto end = statement_end(text);
      if (end < text.size() && text[end] == ':')
        labels_[std::string(trim(text.substr(0, end)))] =
            static_cast<std::int32_t>(kernel_.code.size());
      else
        statement(trim(text.substr(0, end)));
      text = trim(text.substr(std::min(end + 1, text.size())));
    }
    for (Instruction& i : kernel_.code)
      if (i.flow == Flow::branch) i.target = label(i);
  }

 private:
  static std::string_view skip_comments(std::string_view text) {
    text = trim(text);
    while (text.starts_with("//")) {
      const auto end = text.find('\n');
      text = end == text.npos ? std::string_view{} : trim(text.substr(end));
    }
    return text;
  }
  // At ';', or behind the ':' of a label.
  static std::size_t statement_end(std::string_view text) {
    const auto semicolon = std::min(text.find(';'), text.size());
    const auto colon = text.find(':');
    const auto space = text.find_first_of(" \t\n");
    const bool label = colon < semicolon && colon < space && text.substr(colon, 2) != "::";
    return label ? colon : semicolon;
  }

  void statement(std::string_view s) {
    if (s.starts_with(".reg")) return registers(s.substr(4));
    if (s.starts_with(".shared") || s.starts_with(".local")) return variable(s);
    if (s.starts_with(".loc") || s.starts_with(".pragma")) return;
    instruction(s);
  }

  void registers(std::string_view s) {
    take_word(s);  // the type: every register has 64 bits here
    for (const std::string_view r : split(s, ',')) {
      const auto bracket = r.find('<');
      if (bracket == r.npos) {
        symbols_slot(r);
        continue;
      }
      const auto count = parse_number(r.substr(bracket + 1, r.size() - bracket - 2));
      if (!count) refuse("registers not understood", r);
      for (std::uint64_t i = 0; i < *count; ++i)
        symbols_slot(std::string(r.substr(0, bracket)) + std::to_string(i));
    }
  }
  void symbols_slot(std::string_view name) { slots_[std::string(name)] = kernel_.slots++; }

  void variable(std::string_view s) {
    std::string_view rest = s;
    std::int64_t& size = take_word(rest) == ".shared" ? kernel_.shared_bytes : kernel_.local_bytes;
    const Declaration d = parse_declaration(rest);
    place(size, d.name, {d.bytes(), d.alignment});
  }
  std::uint64_t place(std::int64_t& size, std::string_view name, const SharedVariable& v) {
    const std::int64_t at = align_up(size, v.alignment);
    size = at + v.bytes;
    return symbols_[std::string(name)] = static_cast<std::uint64_t>(at);
  }

  std::uint64_t symbol(std::string_view name, std::string_view where) {
    if (const auto s = symbols_.find(name); s != symbols_.end()) return s->second;
    if (const auto s = shared_.find(name); s != shared_.end())
      return place(kernel_.shared_bytes, name, s->second);
    if (const auto s = variables_.find(name); s != variables_.end()) return s->second;
    refuse("unknown name " + std::string(name), where);
  }

  std::int32_t constant(std::uint64_t value) {
    const auto [found, fresh] = constants_.try_emplace(value, kernel_.slots);
    if (fresh) kernel_.constants.push_back({kernel_.slots++, value});
    return found->second;
  }

  std::int32_t operand(std::string_view o, std::string_view where) {
    if (o.starts_with('%')) {
      if (const auto r = slots_.find(o); r != slots_.end()) return r->second;
      static const std::map<std::string_view, std::int32_t> special{
          {"%tid.x", kThreadX},   {"%ntid.x", kThreads}, {"%ctaid.x", kBlockX},
          {"%nctaid.x", kBlocks}, {"%tid.y", kZero},     {"%tid.z", kZero},
          {"%ctaid.y", kBlockY},  {"%ctaid.z", kZero},   {"%ntid.y", kOne},
          {"%ntid.z", kOne},      {"%nctaid.y", kRows},  {"%nctaid.z", kOne},
          {"%laneid", kLane}};
      if (const auto s = special.find(o); s != special.end()) return s->second;
      refuse("unknown register " + std::string(o), where);
    }
    if (o.starts_with('!')) return negated(operand(o.substr(1), where), where);
    if (const auto number = parse_number(o)) return constant(*number);
    return constant(symbol(o, where));
  }

  std::int32_t negated(std::int32_t predicate, std::string_view where) {
    Instruction i;
    i.execute = find_operation({"not", "pred"}).execute;
    i.from[0] = predicate;
    i.to[0] = kernel_.slots++;
    i.text = where;
    kernel_.code.push_back(i);
    return i.to[0];
  }

  // "[%rd1+8]"
  void address(Instruction& i, std::string_view o) {
    o = trim(o.substr(1, o.size() - 2));
    const auto plus = o.find('+', 1);
    i.address = operand(trim(o.substr(0, plus)), i.text);
    if (plus != o.npos) {
      const auto offset = parse_number(trim(o.substr(plus + 1)));
      if (!offset) refuse("offset not understood", i.text);
      i.offset = static_cast<std::int64_t>(*offset);
    }
  }

  // Of one operand, of "{%f1, %f2}" or of "%p1|%p2".
  std::vector<std::int32_t> slots(std::string_view o, std::string_view where) {
    std::vector<std::int32_t> all;
    const bool braces = o.starts_with('{');
    const auto parts = braces ? split(o.substr(1, o.size() - 2), ',') : split(o, '|');
    for (const std::string_view part : parts)
      all.push_back(part == "_" ? kernel_.slots++ : operand(part, where));
    return all;
  }

  void instruction(std::string_view s) {
    Instruction i;
    i.text = std::string(s);
    if (s.starts_with('@')) {
      s.remove_prefix(1);
      i.guard_negated = s.starts_with('!');
      if (i.guard_negated) s.remove_prefix(1);
      i.guard = operand(take_word(s), i.text);
    }
    const std::string_view name = take_word(s);
    const Opcode opcode = split(name, '.');
    const std::vector<std::string_view> operands = split(s, ',');
    if (opcode[0] == "bra") {
      i.flow = Flow::branch;
      targets_.emplace(kernel_.code.size(), operands.at(0));
    } else if (opcode[0] == "ret" || opcode[0] == "exit") {
      i.flow = Flow::exit;
    } else if ((opcode[0] == "bar" && opcode.at(1) == "sync") ||
               (opcode[0] == "barrier" && opcode.at(1) == "sync")) {
      if (operands.size() != 1 || operands[0] != "0") refuse("a barrier of its own kind", i.text);
      i.flow = Flow::barrier;
      i.cost = Cost::barrier;
    } else {
      plain(i, opcode, operands);
    }
    kernel_.code.push_back(std::move(i));
  }

  void plain(Instruction& i, const Opcode& opcode, const std::vector<std::string_view>& operands) {
    const Operation operation = find_operation(opcode);
    if (!operation.execute)
      refuse("an instruction that the emulator does not know (operations.cpp)", i.text);
    i.execute = operation.execute;
    i.cost = operation.cost;
    i.variant = operation.variant;
    i.bytes = bytes_of_type(opcode.back());
    const auto fill = [&](std::array<std::int32_t, 4>& to, std::size_t& n, std::string_view o) {
      for (const std::int32_t slot : slots(o, i.text)) {
        if (n == to.size()) refuse("too many operands", i.text);
        to[n++] = slot;
      }
    };
    std::size_t written = 0, read = 0;
    if (opcode[0] == "st") {
      address(i, operands.at(0));
      fill(i.from, read, operands.at(1));
      i.elements = static_cast<std::int32_t>(read);
    } else if (opcode[0] == "ld" || opcode[0] == "ldu") {
      fill(i.to, written, operands.at(0));
      address(i, operands.at(1));
      i.elements = static_cast<std::int32_t>(written);
    } else {
      fill(i.to, written, operands.at(0));
      for (std::size_t k = 1; k < operands.size(); ++k) fill(i.from, read, operands[k]);
      i.elements = static_cast<std::int32_t>(std::max(written, read));
    }
  }

  std::int32_t label(const Instruction& i) const {
    const auto at = static_cast<std::size_t>(&i - kernel_.code.data());
    const auto found = labels_.find(targets_.at(at));
    if (found == labels_.end()) refuse("unknown label", i.text);
    return found->second;
  }

  Kernel& kernel_;
  const std::map<std::string, SharedVariable, std::less<>>& shared_;
  const std::map<std::string, std::uint64_t, std::less<>>& variables_;
  std::map<std::string, std::int32_t, std::less<>> slots_, labels_;
  std::map<std::string, std::uint64_t, std::less<>> symbols_;  // parameters, local and shared
  std::map<std::uint64_t, std::int32_t> constants_;
  std::map<std::size_t, std::string_view> targets_;  // of branches
};

std::size_t matching_brace(std::string_view text, std::size_t open) {
  int depth = 0;
  for (std::size_t i = open; i < text.size(); ++i) {
    if (text[i] == '{') ++depth;
    if (text[i] == '}' && --depth == 0) return i;
  }
  refuse("a body without end", text.substr(open, 80));
}

}  // namespace

Module::Module(std::string text, Memory& memory, int device) : text_(std::move(text)) {
  const std::string_view all = text_;
  for (std::size_t at = 0; (at = all.find(".entry ", at)) != all.npos;) {
    const std::size_t open = all.find('(', at);
    const std::size_t close = all.find(')', open);
    const std::size_t begin = all.find('{', close);
    const std::size_t end = matching_brace(all, begin);
    entries_[std::string(trim(all.substr(at + 7, open - at - 7)))] = {
        trim(all.substr(open + 1, close - open - 1)), all.substr(begin + 1, end - begin - 1)};
    at = end;
  }
  read_variables(memory, device);
}

// Lines of the module itself, outside of its kernels.
void Module::read_variables(Memory& memory, int device) {
  int depth = 0;
  std::string_view rest = text_;
  while (!rest.empty()) {
    const auto end = std::min(rest.find('\n'), rest.size());
    const std::string_view line = trim(rest.substr(0, end));
    rest = rest.substr(std::min(end + 1, rest.size()));
    const bool declares = line.starts_with(".shared") || line.starts_with(".global") ||
                          line.starts_with(".const") || line.starts_with(".visible .global") ||
                          line.starts_with(".visible .const");
    if (depth == 0 && declares) {
      const auto equals = line.find('=');
      std::string_view left = trim(line.substr(0, std::min(equals, line.find(';'))));
      const bool shared = left.starts_with(".shared");
      if (shared) take_word(left);
      const Declaration d = parse_declaration(left);
      if (shared) {
        shared_[std::string(d.name)] = {d.bytes(), d.alignment};
      } else {
        const auto size = static_cast<std::size_t>(d.bytes());
        const auto address =
            reinterpret_cast<Address>(memory.allocate(size, MemoryKind::module, device));
        unsigned char* const p = memory.require(address, size, device).at(address);
        std::memset(p, 0, size);
        if (equals != line.npos) {
          std::string_view values = trim(line.substr(equals + 1, line.rfind(';') - equals - 1));
          if (values.starts_with('{')) values = values.substr(1, values.size() - 2);
          std::int64_t at = 0;
          for (const std::string_view v : split(values, ',')) {
            const auto number = parse_number(v);
            if (!number || at >= d.bytes()) refuse("an initial value not understood", line);
            std::memcpy(p + at, &*number, static_cast<std::size_t>(d.element));
            at += d.element;
          }
        }
        variables_[std::string(d.name)] = address;
      }
    }
    depth += static_cast<int>(std::count(line.begin(), line.end(), '{')) -
             static_cast<int>(std::count(line.begin(), line.end(), '}'));
  }
}

bool Module::has(std::string_view kernel) const { return entries_.find(kernel) != entries_.end(); }

const Kernel& Module::kernel(std::string_view name) {
  if (const auto found = kernels_.find(name); found != kernels_.end()) return *found->second;
  const Entry& entry = entries_.find(name)->second;
  auto kernel = std::make_unique<Kernel>();
  kernel->name = std::string(name);
  Decoder decoder(*kernel, shared_, variables_);
  decoder.parameters(entry.parameters);
  decoder.body(entry.body);
  return *(kernels_[std::string(name)] = std::move(kernel));
}

}  // namespace emulator
