#include "train/equal_inputs.h"

#include <cstdio>

#include "core/checksum.h"
#include "core/text.h"
#include "core/together.h"
#include "train/all_reduce.h"

namespace darknet {
namespace {

constexpr char kEnd = '\0';  // of a value

std::string hexadecimal(const Checksum& sum) {
  char text[17] = {};
  std::snprintf(text, sizeof text, "%016llx", static_cast<unsigned long long>(sum.value()));
  return text;
}

template <class T>
void add_list(Checksum& sum, std::span<const T> list) {
  const std::uint64_t count = list.size();
  sum.add(&count, sizeof count);
  sum.add(list.data(), list.size_bytes());
}

std::string paths_of(const ImagePaths& images) {
  Checksum sum;
  for (std::size_t i = 0; i < images.size(); ++i) add_list<char>(sum, images.text(i));
  return hexadecimal(sum);
}

std::string labels_of(const LabelledImages& all) {
  static_assert(sizeof(Truth) == sizeof(Box) + sizeof(std::int32_t), "without gaps");
  Checksum sum;
  for (const GroundTruths* truths : {&all.truths, &all.difficult})
    for (std::size_t i = 0; i < truths->size(); ++i) add_list(sum, (*truths)[i]);
  return hexadecimal(sum);
}

std::vector<std::string> values_in(const std::string& gathered) {
  std::vector<std::string> values;
  for (std::size_t at = 0; at < gathered.size();) {
    const std::size_t end = gathered.find(kEnd, at);
    values.push_back(gathered.substr(at, end - at));
    at = end == gathered.npos ? end : end + 1;
  }
  return values;
}

}  // namespace

std::vector<RankInput> inputs_of_list(const std::string& key, const LabelledImages& all) {
  const std::string of = cat(" of ", key, "=");
  const std::string list =
      cat("every rank needs the same list", of, ", in the same order and with the same paths");
  const std::string labels = cat("every rank needs the same label files of the images", of);
  return {{cat("the number of images", of), cat(all.images.size()), list},
          {cat("the checksum of the paths", of), paths_of(all.images), list},
          {cat("the number of objects", of), cat(all.objects), labels},
          {cat("the checksum of the labels", of), labels_of(all), labels}};
}

RankInput input_of_cfg(std::span<const Section> cfg) {
  Checksum sum;
  for (const Section& section : cfg) {
    const std::string text = section.as_text();
    sum.add(text.data(), text.size());
  }
  return {"the checksum of the cfg, with -set and other flags that change it,", hexadecimal(sum),
          "every rank needs the same cfg and the same flags"};
}

RankInput input_of_flag(const std::string& flag, const std::string& value) {
  return {flag, value, "start every rank with the same"};
}

std::vector<RankInput> inputs_of_steps(const TrainingSettings& o, std::span<const Section> cfg) {
  const auto on = [](bool flag) { return std::string(flag ? "on" : "off"); };
  return {input_of_cfg(cfg),
          input_of_flag("-deterministic", on(o.deterministic)),
          input_of_flag("-bf16_reduce", on(o.ranks.bf16)),
          input_of_flag("DARKNET_OVERLAP", on(may_overlap())),
          input_of_flag("its kind of device", o.device.type == DeviceType::cpu ? "CPU" : "GPU"),
          input_of_flag("its number of devices", cat(1 + o.others.size()))};
}

void require_equal(Ranks& ranks, std::span<const RankInput> inputs) {
  if (!ranks.several()) return;
  std::string mine;
  for (const RankInput& input : inputs) mine += input.value + kEnd;
  std::vector<std::vector<std::string>> all;
  for (const std::string& of_rank : ranks.all_gather(mine)) all.push_back(values_in(of_rank));
  for (std::size_t i = 0; i < inputs.size(); ++i)
    for (std::size_t r = 1; r < all.size(); ++r) {
      const std::string& first = all.front().at(i);
      const std::string& other = all[r].at(i);
      if (other == first) continue;
      throw CommonFailure(cat(name_of_rank(ranks, static_cast<std::int64_t>(r)), ": ",
                              inputs[i].what, " is ", other, ", in rank 0 ", first, "; ",
                              inputs[i].remedy));
    }
}

}  // namespace darknet
