# `make package`: Debian packages of what `make install` installs. Which packages they need follows
# from the libraries that their files link (dpkg-shlibdeps). The module for MPI is a package of its
# own: without it nobody needs Open MPI.
set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME darknet-focal)
set(CPACK_PACKAGE_CONTACT "the developers of Darknet Focal <darknet-focal@localhost>")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "trains and runs object detectors described by Darknet's cfg files")
set(CPACK_PACKAGE_DESCRIPTION "A Darknet whose [region] and [yolo] layers take focal loss, with a
library for C++, C and Python.")
set(CPACK_RESOURCE_FILE_LICENSE ${PROJECT_SOURCE_DIR}/LICENSE)
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION science)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
# Loaded at the first call, so that no file links it.
set(CPACK_DEBIAN_PACKAGE_DEPENDS fonts-dejavu-core)
set(CPACK_DEBIAN_PACKAGE_RECOMMENDS "python3-numpy, ca-certificates") # the second for https://
set(CPACK_DEBIAN_PACKAGE_CONFLICTS "darknet, libdarknet3, libdarknet-dev") # of another Darknet
install(FILES ${PROJECT_SOURCE_DIR}/LICENSE RENAME copyright
        DESTINATION ${CMAKE_INSTALL_DATADIR}/doc/${CPACK_PACKAGE_NAME})
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_COMPONENTS_GROUPING ONE_PER_GROUP)
set(CPACK_DEBIAN_MAIN_PACKAGE_NAME ${CPACK_PACKAGE_NAME})
set(CPACK_DEBIAN_MAIN_DESCRIPTION "${CPACK_PACKAGE_DESCRIPTION}")
set(CPACK_DEBIAN_MAIN_PACKAGE_SUGGESTS ${CPACK_PACKAGE_NAME}-mpi)
set(CPACK_DEBIAN_MPI_PACKAGE_NAME ${CPACK_PACKAGE_NAME}-mpi)
set(CPACK_DEBIAN_MPI_PACKAGE_DEPENDS "${CPACK_PACKAGE_NAME} (= ${PROJECT_VERSION})")
set(CPACK_DEBIAN_MPI_PACKAGE_RECOMMENDS openmpi-bin)
set(CPACK_DEBIAN_MPI_PACKAGE_REPLACES ${CPACK_PACKAGE_NAME}) # had the module once
set(CPACK_COMPONENT_MPI_DESCRIPTION "Lets darknet train and evaluate as several processes, over Open MPI.")
include(CPack)
cpack_add_component(Unspecified GROUP main)
cpack_add_component(python GROUP main)
cpack_add_component(mpi GROUP mpi)
