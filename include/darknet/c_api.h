/* Finds objects in images, for C and for every language that can call C (darknet/detector.h has the
   same for C++, with more words). C99.

   Functions that may fail return DARKNET_OK or another status; then darknet_last_error() says why,
   and what they would have written through pointers is left alone. No exception leaves a function.
   Texts are UTF-8 and end with a zero byte. Every function may be called from any thread; a handle
   must not be in use when it is closed. */
#ifndef DARKNET_C_API_H
#define DARKNET_C_API_H

#include <stddef.h>
#include <stdint.h>

#include "darknet/export.h"
#include "darknet/version.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum darknet_status {
  DARKNET_OK = 0,
  DARKNET_FAILED = 1, /* a file, an image, the value of an option, the device or the memory */
  DARKNET_INVALID_ARGUMENT = 2 /* a null pointer, an unknown option or pixel format */
} darknet_status;

/* Of the library that runs, "0.1.0"; DARKNET_VERSION_STRING is that of the headers. */
DARKNET_EXPORT const char* darknet_version(void);
/* One sentence about the last call of this thread that failed, "" where none has; valid until the
   thread's next call that fails. */
DARKNET_EXPORT const char* darknet_last_error(void);

typedef struct darknet_options darknet_options;
/* With the defaults of darknet::DetectorOptions; null where memory ran out. */
DARKNET_EXPORT darknet_options* darknet_options_create(void);
/* `key` is a member of darknet::DetectorOptions: "device", "precision", "names", "batch",
   "threads", "tuning", "tile_width", "tile_height", "tile_overlap"; "tiles_only", "letter_box",
   "calibrate" and "exact", which are "0" or "1"; "class_name" and "override", each of which adds
   one to the list; the thresholds "probability" and "nms"; or "detectors": how many threads can
   detect at the same time with one handle (darknet::DetectorPool), 1 by default. */
DARKNET_EXPORT darknet_status darknet_options_set(darknet_options*, const char* key,
                                                  const char* value);
/* Gets messages: level 0 information, 1 warning, 2 error. `user` is handed on to it. Without one
   they are dropped. */
DARKNET_EXPORT darknet_status darknet_options_set_log(
    darknet_options*, void (*log)(int level, const char* message, void* user), void* user);
DARKNET_EXPORT void darknet_options_free(darknet_options*); /* null: nothing */

typedef struct darknet_detector darknet_detector;
/* `options` may be null, and may be freed afterwards. */
DARKNET_EXPORT darknet_status darknet_open(const char* cfg, const char* weights,
                                           const darknet_options* options,
                                           darknet_detector** detector);
DARKNET_EXPORT void darknet_close(darknet_detector*); /* null: nothing */

/* These five: 0 or null for a null pointer. */
DARKNET_EXPORT int darknet_classes(const darknet_detector*);
/* Null where there is no such class; valid as long as the detector. */
DARKNET_EXPORT const char* darknet_class_name(const darknet_detector*, int32_t class_id);
/* Of the network's input: pixels, and 3 (colour) or 1 (grey). */
DARKNET_EXPORT int darknet_width(const darknet_detector*);
DARKNET_EXPORT int darknet_height(const darknet_detector*);
DARKNET_EXPORT int darknet_channels(const darknet_detector*);

typedef enum darknet_format {
  DARKNET_GREY = 0,
  DARKNET_RGB = 1,
  DARKNET_BGR = 2,
  DARKNET_RGBA = 3,
  DARKNET_BGRA = 4
} darknet_format;

/* Rows from top to bottom, 8 bits a channel, as darknet::ImageView; read during the call only. */
typedef struct darknet_image {
  const uint8_t* pixels;
  int64_t width, height;
  int64_t stride; /* bytes from a row to the next; 0: without a gap */
  darknet_format format;
} darknet_image;

typedef struct darknet_thresholds {
  float probability; /* least one of a detection, 0..1 */
  float nms;         /* IoU above which the weaker of two boxes goes, 0..1; 0: none goes */
} darknet_thresholds;

typedef struct darknet_object {
  int32_t class_id; /* from 0 */
  float probability, objectness;
  float left, top, width, height; /* pixels of the image, not rounded, perhaps beyond it */
  float center_x, center_y, relative_width, relative_height; /* fractions of the image */
} darknet_object;

/* Detects in `count` images. `counts[i]` gets the number of objects in image i; `*objects` gets an
   array of all of them, one image after the other, for darknet_free_objects(). `thresholds` may be
   null: those of the options. Where one image fails, all of the call does. */
DARKNET_EXPORT darknet_status darknet_detect(darknet_detector*, const darknet_image* images,
                                             size_t count, const darknet_thresholds* thresholds,
                                             darknet_object** objects, size_t* counts);
/* The same for image files. */
DARKNET_EXPORT darknet_status darknet_detect_files(darknet_detector*, const char* const* files,
                                                   size_t count,
                                                   const darknet_thresholds* thresholds,
                                                   darknet_object** objects, size_t* counts);
DARKNET_EXPORT void darknet_free_objects(darknet_object*); /* null: nothing */

#ifdef __cplusplus
}
#endif

#endif
