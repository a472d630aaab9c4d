#include "cli/open_network.h"

#include "cfg/data_file.h"
#include "core/input.h"
#include "nn/weights.h"

namespace darknet::cli {

Network open_network(const NetworkArguments& a, std::int64_t batch) {
  std::vector<Section> cfg = sections_of(a);
  if (a.letter_box) cfg.front().set("letter_box", "1", {"-letter_box", 0});
  Network net(std::move(cfg), {.device = a.device,
                               .exact = a.exact,
                               .batch = batch,
                               .tuning = tuning_for(a.tuning, a.device)});
  require_image_input(net);
  load_weights(a.weights, net);
  net.parameters_changed();
  return net;
}

std::vector<std::string> class_names(const Network& net, const std::filesystem::path& names,
                                     bool shipped) {
  const std::int64_t classes = classes_of(net);
  if (!names.empty()) return read_names(names, classes);
  const std::string own = std::filesystem::path(net.where().file).stem().string() + ".names";
  for (const std::string& file :
       {"data/" + own, std::string("data/coco.names"), std::string("data/voc.names")})
    if (shipped && is_present(file))
      if (auto list = read_names(file, 0); std::ssize(list) == classes) return list;
  return names_of("", classes);
}

std::vector<std::string> class_names(const Network& net, const DataFile& data) {
  if (const std::int64_t classes = classes_of(net); data.classes > 0 && data.classes != classes)
    fail_at({data.path.string(), 0}, "classes=", data.classes, ", but the heads of ",
            net.where().file, " have ", classes);
  return class_names(net, data.names);
}

}  // namespace darknet::cli
