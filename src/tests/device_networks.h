// Networks that tests run on several devices, and what they need for it. The CUDA devices are real
// ones in a CUDA build on a machine that has them, simulated ones (simulated_device.cpp) in a build
// without CUDA.
#pragma once
#include <cmath>
#include <cstdint>
#include <sstream>
#include <string>
#include <vector>

#include "cfg/parse.h"
#include "core/index.h"
#include "core/rng.h"
#include "train/device_check.h"

namespace darknet::testing_devices {

struct Sample {
  const char *name, *cfg;
  // On the bounds in 16 bits, of losses and of simulated devices, where single roundings count.
  double rounding = 1;
};

// Together they have every section type.
inline const Sample kNetworks[] = {
    {"yolo",
     "[net]\nbatch=4\nsubdivisions=2\nwidth=64\nheight=64\nmomentum=.9\ndecay=.0005\n"
     "[convolutional]\nbatch_normalize=1\nfilters=8\nsize=3\nstride=2\npad=1\nactivation=leaky\n"
     "[convolutional]\nbatch_normalize=1\nfilters=8\nsize=3\npad=1\nactivation=mish\nclip=.01\n"
     "[shortcut]\nfrom=-2\nactivation=leaky\n"
     "[maxpool]\nsize=2\nstride=2\n"
     "[maxpool]\nsize=2\nstride=1\n"
     "[route]\nlayers=-1,-2\n"
     "[dropout]\nprobability=.2\n"
     "[convolutional]\nbatch_normalize=1\nfilters=16\nsize=3\nstride=2\npad=1\nactivation=swish\n"
     "[avgpool]\n"
     "[scale_channels]\nfrom=-2\n"
     "[local_avgpool]\nsize=3\nstride=1\n"
     "[upsample]\nstride=2\n"
     "[reorg]\nstride=2\n"
     "[reorg3d]\nstride=2\n"
     "[activation]\nactivation=logistic\n"
     "[convolutional]\nfilters=14\nsize=1\npad=1\nactivation=linear\n"
     "[yolo]\nmask=0,1\nanchors=5,7,13,9,30,25\nnum=3\nclasses=2\nobj_loss=focal\niou_loss=ciou\n"
     "ignore_thresh=.5\nobj_norm=positives\n"},
    {"region",
     "[net]\nbatch=2\nwidth=64\nheight=64\nadam=1\nema_alpha=.9\n"
     "[convolutional]\nbatch_normalize=1\nfilters=8\nsize=3\nstride=2\npad=1\nactivation=leaky\n"
     "[convolutional]\nfilters=8\nsize=1\nactivation=logistic\n"
     "[sam]\nfrom=-2\n"
     "[batchnorm]\n"
     "[convolutional]\nbatch_normalize=1\nfilters=12\nsize=3\nstride=2\npad=1\ngroups=4\n"
     "activation=relu\n"
     "[convolutional]\nfilters=14\nsize=1\nactivation=linear\n"
     "[region]\nanchors=1,1,3,2\nnum=2\nclasses=2\nsoftmax=1\nbias_match=1\nobj_loss=focal\n"},
    {"gaussian",
     "[net]\nbatch=2\nwidth=64\nheight=64\n"
     "[crop]\ncrop_height=64\ncrop_width=64\nflip=1\n"
     "[convolutional]\nbatch_normalize=1\nfilters=8\nsize=3\nstride=2\npad=1\nactivation=relu6\n"
     "[normalization]\nsize=3\nalpha=.1\n"
     "[empty]\n"
     "[convolutional]\nbatch_normalize=1\nfilters=8\nsize=3\npad=1\nactivation=hard_mish\n"
     "[shortcut]\nfrom=-4\nweights_type=per_channel\nweights_normalization=softmax\n"
     "[contrastive]\n"
     "[convolutional]\nbatch_normalize=1\nfilters=12\nsize=3\nstride=2\npad=1\nactivation=selu\n"
     "[convolutional]\nfilters=22\nsize=1\nactivation=linear\n"
     "[Gaussian_yolo]\nmask=0,1\nanchors=5,7,13,9,30,25\nnum=3\nclasses=2\nobj_loss=focal\n"
     "iou_loss=ciou\nignore_thresh=1\nuc_normalizer=.1\n",
     10},
    {"detection",
     "[net]\nbatch=2\nwidth=32\nheight=32\n"
     "[convolutional]\nbatch_normalize=1\nfilters=8\nsize=3\nstride=2\npad=1\nactivation=leaky\n"
     "[maxpool]\nsize=2\nstride=2\n"
     "[convolutional]\nbatch_normalize=1\nfilters=8\nsize=3\npad=1\nactivation=leaky\n"
     "[local]\nfilters=4\nsize=3\nstride=2\npad=1\nactivation=leaky\n"
     "[dropout]\nprobability=.5\n"
     "[connected]\noutput=108\nactivation=linear\n"
     "[detection]\nclasses=2\nnum=2\nside=3\nsqrt=1\nrescore=1\nforced=1\n"
     "coord_scale=.2\nobject_scale=.1\nnoobject_scale=.05\nclass_scale=.1\n",
     10},
    {"rare",
     "[net]\nbatch=2\nwidth=64\nheight=64\n"
     "[convolutional]\nbatch_normalize=1\nfilters=8\nsize=3\nstride=2\npad=1\nantialiasing=1\n"
     "activation=normalize_channels\n"
     "[implicit_add]\nfilters=8\n[implicit_mul]\nfilters=14\n[implicit]\nfilters=8\nmean=1\n"
     "[scale_channels]\nfrom=0\n"
     "[shift_channels]\nfrom=1\n"
     "[maxpool]\nsize=2\nstride=2\nantialiasing=2\n"
     "[convolutional]\nbatch_normalize=1\nfilters=12\nsize=3\nstride=2\npad=1\nactivation=leaky\n"
     "[logistic]\n"
     "[l2norm]\n"
     "[deconvolutional]\nbatch_normalize=1\nfilters=12\nsize=4\nstride=2\npadding=1\n"
     "activation=swish\n"
     "[convolutional]\nfilters=14\nsize=1\nactivation=linear\n"
     "[control_channels]\nfrom=2\n"
     "[yolo]\nmask=0,1\nanchors=5,7,13,9,30,25\nnum=3\nclasses=2\nobj_loss=focal\n",
     10},
};

// Trained by targets, not by truths.
inline const char* const kClassifier =
    "[net]\nbatch=3\nwidth=16\nheight=16\n"
    "[convolutional]\nbatch_normalize=1\nfilters=6\nsize=3\nstride=2\npad=1\nactivation=tanh\n"
    "[maxpool]\nsize=3\nstride=2\n"
    "[connected]\noutput=12\nbatch_normalize=1\nactivation=leaky\n"
    "[connected]\noutput=5\nactivation=linear\n"
    "[softmax]\n"
    "[cost]\ntype=sse\n";

inline std::vector<Section> sections(const std::string& cfg) {
  std::istringstream in(cfg);
  return parse_cfg(in, "net.cfg");
}

inline std::vector<float> noise(std::int64_t n, std::uint64_t stream) {
  std::vector<float> v(to_size(n));
  for (std::size_t i = 0; i < v.size(); ++i) v[i] = random_uniform(11, stream, i);
  return v;
}

inline double worst_difference(const std::vector<float>& a, const std::vector<float>& b) {
  const double relative = difference(a, b).relative;  // to the largest magnitude
  return std::isnan(relative) ? INFINITY : relative;
}

inline std::vector<Device> cuda_devices() {
  std::vector<Device> devices;
  for (int i = 0; i < device_count(DeviceType::cuda); ++i)
    devices.push_back({.type = DeviceType::cuda, .index = i});
  return devices;
}

}  // namespace darknet::testing_devices
