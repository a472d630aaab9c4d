# `make package`: a Debian package of what `make install` installs. Which packages it needs follows
# from the libraries that its files link (dpkg-shlibdeps).
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
set(CPACK_DEBIAN_PACKAGE_RECOMMENDS python3-numpy)
set(CPACK_DEBIAN_PACKAGE_CONFLICTS "darknet, libdarknet3, libdarknet-dev") # of another Darknet
install(FILES ${PROJECT_SOURCE_DIR}/LICENSE RENAME copyright
        DESTINATION ${CMAKE_INSTALL_DATADIR}/doc/${CPACK_PACKAGE_NAME})
include(CPack)
