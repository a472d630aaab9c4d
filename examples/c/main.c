/* Prints the objects in an image as `darknet detect -ext_output` does. */
#include <math.h>
#include <stdio.h>

#include "darknet/c_api.h"

static void print_objects(const darknet_detector* detector, const darknet_object* objects,
                          size_t count) {
  size_t i;
  for (i = 0; i < count; ++i)
    printf("%s: %.0f%%\t(left_x: %4ld   top_y: %4ld   width: %4ld   height: %4ld)\n",
           darknet_class_name(detector, objects[i].class_id), 100 * objects[i].probability,
           lround(objects[i].left), lround(objects[i].top), lround(objects[i].width),
           lround(objects[i].height));
}

int main(int argc, char** argv) {
  darknet_options* options = NULL;
  darknet_detector* detector = NULL;
  darknet_object* objects = NULL;
  size_t count = 0;
  int done;
  if (argc != 4 && argc != 5) {
    fprintf(stderr, "usage: %s x.cfg x.weights image [x.names]\n", argv[0]);
    return 2;
  }
  const char* files[] = {argv[3]};
  options = darknet_options_create();
  done = (argc == 4 || darknet_options_set(options, "names", argv[4]) == DARKNET_OK) &&
         darknet_open(argv[1], argv[2], options, &detector) == DARKNET_OK &&
         darknet_detect_files(detector, files, 1, NULL, &objects, &count) == DARKNET_OK;
  if (done)
    print_objects(detector, objects, count);
  else
    fprintf(stderr, "%s: %s\n", argv[0], darknet_last_error());
  darknet_free_objects(objects);
  darknet_close(detector);
  darknet_options_free(options);
  return done ? 0 : 1;
}
