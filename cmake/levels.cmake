# One build for every x86-64 processor: DARKNET_LEVELS. The commands lie in libdarknet.so then, and
# program and Python package link it. The library is linked once more for each level, from the same
# cold objects and from hot ones that are compiled for it, as glibc-hwcaps/LEVEL/libdarknet.so.X
# below the one for all. The loader of glibc (2.33 and later) opens the one for the highest level that
# the processor has. Without levels the program is linked statically.
if(NOT CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
  set(DARKNET_LEVELS "") # not those of the preset; without a value the cache would have its say
endif()
if(NOT DARKNET_LEVELS)
  return()
endif()
if(DARKNET_NATIVE)
  message(FATAL_ERROR "DARKNET_LEVELS needs -DDARKNET_NATIVE=OFF: the library for all processors must "
                      "not be one for this machine")
endif()
if(DARKNET_SANITIZE OR SKBUILD)
  message(FATAL_ERROR "DARKNET_LEVELS is for packages, not for sanitizers or wheels: -DDARKNET_LEVELS=")
endif()

get_target_property(hot_sources darknet_lib SOURCES)
list(FILTER hot_sources EXCLUDE REGEX "TARGET_OBJECTS")
# In the same two targets as for all, so that a unity build has the same groups of files.
foreach(level ${DARKNET_LEVELS})
  add_library(darknet_dual_${level} OBJECT ${DARKNET_DUAL})
  target_compile_definitions(darknet_dual_${level} PRIVATE DARKNET_LAUNCHES)
  add_library(darknet_lib_${level} STATIC ${hot_sources} $<TARGET_OBJECTS:darknet_dual_${level}>
              $<TARGET_OBJECTS:darknet_cold>)
  foreach(target darknet_dual_${level} darknet_lib_${level})
    target_compile_options(${target} PRIVATE "$<$<COMPILE_LANGUAGE:CXX>:-march=${level}>"
                           "$<$<COMPILE_LANGUAGE:CUDA>:-Xcompiler=-march=${level}>")
    set_library_properties(${target})
  endforeach()
endforeach()
# The commands lie in the library as well.
set_target_properties(darknet_cli PROPERTIES POSITION_INDEPENDENT_CODE ON
                      CXX_VISIBILITY_PRESET hidden VISIBILITY_INLINES_HIDDEN ON)

# Files that are installed into `folder` of the prefix find the library relative to themselves.
include(GNUInstallDirs)
function(set_rpath_to_library target folder)
  file(RELATIVE_PATH libraries /${folder} /${CMAKE_INSTALL_LIBDIR})
  set_target_properties(${target} PROPERTIES INSTALL_RPATH "\$ORIGIN/${libraries}")
endfunction()
set_rpath_to_library(darknet ${CMAKE_INSTALL_BINDIR})
