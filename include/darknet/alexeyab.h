/* The functions and structs of AlexeyAB/darknet's library that its darknet.py and many C programs
   use, with the same names, layouts and meanings, so that such scripts run with this libdarknet.so.
   New programs do better with darknet/c_api.h. C99.

   A function that fails prints one sentence on standard error, since nobody is told otherwise, and
   returns null or an empty image; darknet_last_error() of darknet/c_api.h repeats the sentence. A
   network works for one thread at a time.

   Images are float, 0..1, RGB or grey, one plane after the other. Detections that belong to the
   caller are freed by free_detections(). */
#ifndef DARKNET_ALEXEYAB_H
#define DARKNET_ALEXEYAB_H

#include "darknet/export.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct network network; /* its members are not those of AlexeyAB's */

typedef struct image {
  int w, h, c;
  float* data; /* c planes of h rows of w values */
} image;

typedef struct box {
  float x, y, w, h; /* centre and size */
} box;

typedef struct detection {
  box bbox;
  int classes;
  int best_class_idx; /* -1 where no class is above the threshold */
  float* prob;        /* of each class, 0 where not above the threshold */
  float* mask;        /* null */
  float objectness;
  int sort_class;
  float* uc;        /* null */
  int points;       /* 0 */
  float* embedding; /* null */
  int embedding_size;
  float sim;
  int track_id;
} detection;

typedef struct det_num_pair {
  int num;
  detection* dets;
} det_num_pair;

typedef struct metadata {
  int classes;
  char** names; /* free_ptrs() frees them */
} metadata;

/* `clear` has no effect. A GPU computes where there is one, see cuda_set_device(). */
DARKNET_EXPORT network* load_network(char* cfg, char* weights, int clear);
/* `batch`: images of network_predict_batch(); below 1 it is 1. */
DARKNET_EXPORT network* load_network_custom(char* cfg, char* weights, int clear, int batch);
DARKNET_EXPORT void free_network_ptr(network*);
DARKNET_EXPORT int network_width(network*);
DARKNET_EXPORT int network_height(network*);
/* The GPU of networks that are loaded from now on, which fail where there is none; negative: the
   CPU. */
DARKNET_EXPORT void cuda_set_device(int index);
DARKNET_EXPORT void init_cpu(void);      /* nothing */
DARKNET_EXPORT void reset_rnn(network*); /* nothing: there are no recurrent layers */

/* A forward pass over an image, which is resized where it has another size; _letterbox keeps the
   aspect ratio. Returns the values of the last layer, which stay until the next pass: one pixel
   after the other, without the logistic function that AlexeyAB's [yolo] applies. With [net]
   input_max= they fail, as network_predict_batch() does: images here do not know it. */
DARKNET_EXPORT float* network_predict_image(network*, image);
DARKNET_EXPORT float* network_predict_image_letterbox(network*, image);
/* Over as many images as the batch has, which have the network's size, with the network's values:
   with [net] input_max= those of the file, divided by it. */
DARKNET_EXPORT float* network_predict_ptr(network*, float* input);

/* The detections of the last pass above `thresh`, for an image of w x h pixels: boxes in pixels,
   or, with `relative`, in fractions. `letter`: it was letterboxed. `hier` and `map` have no effect.
 */
DARKNET_EXPORT detection* get_network_boxes(network*, int w, int h, float thresh, float hier,
                                            int* map, int relative, int* num, int letter);
/* As many; their probabilities and boxes are 0. */
DARKNET_EXPORT detection* make_network_boxes(network*, float thresh, int* num);
DARKNET_EXPORT void free_detections(detection*, int n);
/* Over `batch_size` images of the network's size, one after the other in `im.data`, at most as many
   as the batch has. Returns one pair for each, for free_batch_detections(). */
DARKNET_EXPORT det_num_pair* network_predict_batch(network*, image im, int batch_size, int w, int h,
                                                   float thresh, float hier, int* map, int relative,
                                                   int letter);
DARKNET_EXPORT void free_batch_detections(det_num_pair*, int n);

/* Non-maximum suppression: sets the probability of a class to 0 where a box with a higher one
   overlaps by more than `thresh` (IoU); _obj compares objectness, and sets everything to 0. */
DARKNET_EXPORT void do_nms_sort(detection*, int total, int classes, float thresh);
DARKNET_EXPORT void do_nms_obj(detection*, int total, int classes, float thresh);

DARKNET_EXPORT image make_image(int w, int h, int c); /* black */
DARKNET_EXPORT void free_image(image);
/* From 8-bit pixels with interleaved channels, w * h * c bytes. */
DARKNET_EXPORT void copy_image_from_bytes(image, char* bytes);
/* 1 is the largest value of the file's type: 255, 65535, or 1 of floats. 0, 0: as it is. */
DARKNET_EXPORT image load_image_color(char* file, int w, int h);
DARKNET_EXPORT image resize_image(image, int w, int h);
DARKNET_EXPORT image letterbox_image(image, int w, int h);
DARKNET_EXPORT void rgbgr_image(image); /* RGB to BGR and back */

/* Of a .data file. */
DARKNET_EXPORT metadata get_metadata(char* file);
DARKNET_EXPORT void free_ptrs(void** pointers, int n); /* each of them, and the array */

#ifdef __cplusplus
}
#endif

#endif
