# What `make install` puts where, apart from the library (src/api/CMakeLists.txt). PREFIX and DESTDIR
# are those of CMake.
include(GNUInstallDirs)
install(TARGETS darknet RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
foreach(module ${DARKNET_MODULE_TARGETS})
  set(component COMPONENT Unspecified) # CMake's name of the rest
  if(module STREQUAL darknet_mpi)
    set(component COMPONENT mpi) # a package of its own (package.cmake)
    install(FILES ${PROJECT_SOURCE_DIR}/LICENSE RENAME copyright
            DESTINATION ${CMAKE_INSTALL_DATADIR}/doc/darknet-focal-mpi COMPONENT mpi)
  endif()
  install(TARGETS ${module} LIBRARY DESTINATION ${CMAKE_INSTALL_BINDIR}/../lib/darknet ${component})
endforeach()
# The manual page and the shell completion are made by the program from its own declarations.
list(JOIN CMAKE_CROSSCOMPILING_EMULATOR "\" \"" emulator)
if(emulator)
  set(emulator "\"${emulator}\" ")
endif()
install(CODE "
  execute_process(COMMAND ${emulator}\"$<TARGET_FILE:darknet>\" manual
                  OUTPUT_FILE \"${CMAKE_BINARY_DIR}/darknet.1\" COMMAND_ERROR_IS_FATAL ANY)
  execute_process(COMMAND ${emulator}\"$<TARGET_FILE:darknet>\" completion
                  OUTPUT_FILE \"${CMAKE_BINARY_DIR}/darknet.bash\" COMMAND_ERROR_IS_FATAL ANY)")
install(FILES ${CMAKE_BINARY_DIR}/darknet.1 DESTINATION ${CMAKE_INSTALL_MANDIR}/man1)
install(FILES ${CMAKE_BINARY_DIR}/darknet.bash RENAME darknet
        DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions)
install(DIRECTORY ${PROJECT_SOURCE_DIR}/cfg DESTINATION ${CMAKE_INSTALL_DATADIR}/darknet
        FILES_MATCHING PATTERN "*.cfg")
