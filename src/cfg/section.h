// One [section] of a .cfg file: key=value entries that are read once, by type and range, with their
// line numbers. Reading from text is in cfg/parse.h; what a key means belongs to the layer.
#pragma once
#include <cstdint>
#include <initializer_list>
#include <limits>
#include <string>
#include <string_view>
#include <vector>
#include "core/error.h"
#include "core/named.h"
#include "core/named_list.h"

namespace darknet {

// Inclusive bounds of a number.
template <class T>
struct Range {
  T lo = std::numeric_limits<T>::lowest();
  T hi = std::numeric_limits<T>::max();
};
using Integers = Range<std::int64_t>;
using Reals = Range<float>;

// One of a closed list of words.
struct OneOf {
  std::vector<std::string> words;
};
// One value of an enum, by its name in the enum's own table (core/named.h), or one alternative of a
// list (core/named_list.h). A default without a name stands for an absent key.
template <class E>
requires(HasChoices<E> || NamedList<E>) struct Choice {
};
// 0 or 1.
struct Flag {};
// Any text.
struct Text {};
// A number, or `auto`: what the program finds for it, `value` times where that is allowed.
struct RealOrAuto {
  float value = 0;
  bool automatic = false;
  friend bool operator==(const RealOrAuto&, const RealOrAuto&) = default;
};
struct NumberOrAuto {
  Reals range = {};
  bool scaled = false;  // whether `auto*2` is allowed too
};
// A comma-separated list of numbers, each within the range.
template <class T>
struct ListOf {
  Range<T> range = {};
};

// Of a key that only training needs: where nothing is trained, an invalid value is a warning.
template <class Allowed>
struct TrainingOnly {
  Allowed allowed;
};
template <class Allowed>
TrainingOnly(Allowed) -> TrainingOnly<Allowed>;

class Section {
 public:
  Section(std::string type, Where where) : type_(std::move(type)), where_(std::move(where)) {}

  const std::string& type() const { return type_; }
  const Where& where() const { return where_; }

  // Whether it is read in order to train (the default).
  bool training() const { return training_; }
  void set_training(bool on) { training_ = on; }

  // Each returns the key's value, or `fallback` where the key is absent. A value of another type or
  // outside the range throws Error with file and line.
  std::int64_t integer(std::string_view key, std::int64_t fallback, Integers = {});
  float real(std::string_view key, float fallback, Reals = {});
  RealOrAuto real_or_auto(std::string_view key, RealOrAuto fallback, const NumberOrAuto&);
  bool flag(std::string_view key, bool fallback);
  std::string text(std::string_view key, std::string_view fallback);
  std::string word(std::string_view key, std::string_view fallback, const OneOf&);
  std::vector<std::int64_t> integers(std::string_view key, Integers = {});  // absent: empty
  std::vector<float> reals(std::string_view key, Reals = {});

  // Whether the file (or -set) gives the key. Does not count as reading it.
  bool has(std::string_view key) const;
  // Whether it gives this number. Counts as reading it.
  bool equals(std::string_view key, float number);

  // Fills a struct that declares its keys once:
  //   template <class V> void fields(V&& v) { v("size", size, Integers{1, 64}, "kernel size"); ...
  //   }
  template <class T>
  void read(T& settings) {
    settings.fields([this](std::string_view key, auto& member, const auto& allowed,
                           std::string_view) { member = get(key, member, allowed); });
  }
  // The same where only training needs them all.
  template <class T>
  void read_training(T& settings) {
    settings.fields([this](std::string_view key, auto& member, const auto& allowed,
                           std::string_view) { member = get(key, member, TrainingOnly{allowed}); });
  }

  // Marks a key that this program knows but that has no effect here: no error, one warning why,
  // which finish() gives.
  void ignore(std::string_view key, std::string_view why);

  // The parser's side: the first of two equal keys wins and the second is warned about.
  void add(std::string key, std::string value, int line);
  // -set: replaces or adds.
  void set(std::string_view key, std::string value, Where where);
  // The assignments that set() made.
  struct Override {
    std::string key;
    std::string given;  // as the command line has it: "-set net.0.width=96"
  };
  std::vector<Override> overrides() const;
  // As a cfg has it, without comments.
  std::string as_text() const;
  // Throws on the first key that nobody read, with "did you mean". Where there is none, the
  // warnings follow.
  void finish();
  // Where the key stands; the section itself where it is absent.
  const Where& where_of(std::string_view key) const;
  [[noreturn]] void fail(std::string_view key, std::string_view why) const;
  // Of keys that do not go together: at the first of them that the command line gave, or else the
  // first that the file gives. A default is no place to look.
  [[noreturn]] void fail_between(std::initializer_list<std::string_view> keys,
                                 std::string_view why) const;

 private:
  struct Entry {
    std::string key, value;
    Where where;
    bool used = false;
  };
  const Entry* find(std::string_view key);
  static void note_untrained(const Error&);  // an error that only training would mind

  std::int64_t get(std::string_view k, std::int64_t v, Integers r) { return integer(k, v, r); }
  float get(std::string_view k, float v, Reals r) { return real(k, v, r); }
  RealOrAuto get(std::string_view k, RealOrAuto v, const NumberOrAuto& a) {
    return real_or_auto(k, v, a);
  }
  bool get(std::string_view k, bool v, Flag) { return flag(k, v); }
  std::string get(std::string_view k, const std::string& v, Text) { return text(k, v); }
  std::string get(std::string_view k, const std::string& v, const OneOf& o) {
    return word(k, v, o);
  }
  template <class E>
  E get(std::string_view k, const E& v, Choice<E>) {
    return value_of<E>(word(k, name_of(v), OneOf{names_of<E>()})).value_or(v);
  }
  std::vector<std::int64_t> get(std::string_view k, const std::vector<std::int64_t>& v,
                                ListOf<std::int64_t> l) {
    return has(k) ? integers(k, l.range) : v;
  }
  std::vector<float> get(std::string_view k, const std::vector<float>& v, ListOf<float> l) {
    return has(k) ? reals(k, l.range) : v;
  }
  template <class T, class A>
  T get(std::string_view k, const T& v, const TrainingOnly<A>& only) {
    if (training_) return get(k, v, only.allowed);
    try {
      return get(k, v, only.allowed);
    } catch (const Error& e) {
      note_untrained(e);
      return v;
    }
  }

  bool training_ = true;
  std::string type_;
  Where where_;
  std::vector<Entry> entries_;      // in file order
  std::vector<std::string> asked_;  // keys somebody looked for: the vocabulary of "did you mean"
  std::vector<std::string> warnings_;
};

// What `darknet help <section>` and the reference page print of one key.
struct KeyDoc {
  std::string key, fallback, allowed, help;
};

// Collects the declared keys of settings structs, defaults taken from a default-constructed one.
class KeyDocs {
 public:
  template <class T>
  void add(T settings) {
    settings.fields([this](std::string_view key, const auto& member, const auto& allowed,
                           std::string_view help) {
      docs_.push_back({std::string(key), show(member), show(allowed), std::string(help)});
    });
  }
  const std::vector<KeyDoc>& docs() const { return docs_; }

 private:
  static std::string show(std::int64_t v) { return std::to_string(v); }
  static std::string show(float v) { return cat(v); }
  static std::string show(const RealOrAuto&);
  static std::string show(bool v) { return v ? "1" : "0"; }
  static std::string show(const std::string& v) { return v; }
  template <class E>
  requires(HasChoices<E> || NamedList<E>) static std::string show(const E& v) {
    return std::string(name_of(v));
  }
  static std::string show(const std::vector<std::int64_t>&);
  static std::string show(const std::vector<float>&);
  static std::string show(const Integers&);
  static std::string show(const Reals&);
  static std::string show(const NumberOrAuto&);
  static std::string show(const OneOf&);
  template <class E>
  static std::string show(Choice<E>) {
    return show(OneOf{names_of<E>()});
  }
  static std::string show(Flag) { return "0 or 1"; }
  static std::string show(Text) { return "text"; }
  static std::string show(ListOf<std::int64_t>) { return "list of integers"; }
  static std::string show(ListOf<float>) { return "list of numbers"; }
  template <class A>
  static std::string show(const TrainingOnly<A>& only) {
    return show(only.allowed);
  }

  std::vector<KeyDoc> docs_;
};

}  // namespace darknet
