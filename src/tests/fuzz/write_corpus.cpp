// write_corpus FOLDER: the fuzzers' first inputs, FOLDER/READER/..., from the samples of the tests
// and, for cfgs, one section of every type with all its keys; FOLDER/cfg.dict has those words.
#include <cstdio>
#include <filesystem>
#include <set>

#include "core/error.h"
#include "core/file.h"
#include "nn/layer.h"
#include "nn/net_settings.h"
#include "tests/fuzz/readers.h"

namespace darknet::testing_fuzz {
namespace {
namespace fs = std::filesystem;

void put(const fs::path& folder, const std::string& name, const std::string& bytes) {
  fs::create_directories(folder);
  write_file_atomically(folder / name, bytes);
}

std::string section_text(const std::string& type, const std::vector<KeyDoc>& keys) {
  std::string text = "[" + type + "]\n";
  for (const KeyDoc& k : keys)
    if (!k.fallback.empty()) text += k.key + "=" + k.fallback + "\n";
  return text;
}

void write_cfg_words(const fs::path& folder) {
  std::set<std::string> words;
  for (const std::string& type : layer_types()) {
    const KeyDocs docs = layer_keys(type);
    put(folder / "cfg", "section-" + type,
        "[net]\nwidth=8\nheight=8\nbatch=1\n" + section_text(type, docs.docs()));
    words.insert("[" + type + "]");
    for (const KeyDoc& k : docs.docs()) words.insert(k.key + "=");
  }
  KeyDocs net;
  net.add(NetSettings{});
  put(folder / "cfg", "section-net",
      section_text("net", net.docs()) + "[activation]\nactivation=relu\n");
  for (const KeyDoc& k : net.docs()) words.insert(k.key + "=");
  std::string dictionary;
  for (const std::string& w : words) dictionary += "\"" + w + "\"\n";
  put(folder, "cfg.dict", dictionary);
}

void write_corpus(const fs::path& folder) {
  for (const FuzzedReader& reader : fuzzed_readers()) {
    int n = 0;
    for (const std::string& sample : reader.samples()) {
      reader.read(sample);  // throws where it is not sound
      put(folder / reader.name, cat("sample-", ++n), sample);
    }
  }
  write_cfg_words(folder);
}

}  // namespace
}  // namespace darknet::testing_fuzz

int main(int argc, char** argv) try {
  if (argc != 2) {
    std::fprintf(stderr, "usage: write_corpus FOLDER\n");
    return 2;
  }
  darknet::testing_fuzz::write_corpus(argv[1]);
  return 0;
} catch (const std::exception& e) {
  std::fprintf(stderr, "write_corpus: %s\n", e.what());
  return 1;
}
