/* Prints the objects in an image as `darknet detect -ext_output` does. */
#include <math.h>
#include <stdio.h>

#include "darknet/c_api.h"

static int failed(const char* program) {
  fprintf(stderr, "%s: %s\n", program, darknet_last_error());
  return 1;
}

int main(int argc, char** argv) {
  darknet_detector* detector = NULL;
  darknet_object* objects = NULL;
  size_t count = 0, i;
  if (argc != 4 && argc != 5) {
    fprintf(stderr, "usage: %s x.cfg x.weights image [x.names]\n", argv[0]);
    return 2;
  }
  darknet_options* options = darknet_options_create();
  if (argc == 5 && darknet_options_set(options, "names", argv[4]) != DARKNET_OK)
    return failed(argv[0]);
  if (darknet_open(argv[1], argv[2], options, &detector) != DARKNET_OK) return failed(argv[0]);
  darknet_options_free(options);
  const char* files[] = {argv[3]};
  if (darknet_detect_files(detector, files, 1, NULL, &objects, &count) != DARKNET_OK)
    return failed(argv[0]);
  for (i = 0; i < count; ++i)
    printf("%s: %.0f%%\t(left_x: %4ld   top_y: %4ld   width: %4ld   height: %4ld)\n",
           darknet_class_name(detector, objects[i].class_id), 100 * objects[i].probability,
           lround(objects[i].left), lround(objects[i].top), lround(objects[i].width),
           lround(objects[i].height));
  darknet_free_objects(objects);
  darknet_close(detector);
  return 0;
}
