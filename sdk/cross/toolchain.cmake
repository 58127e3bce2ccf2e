# toolchain.cmake - CMake's toolchain file for WasmOS's Linux personality; sdk/bin is in PATH.
#	cmake -B build -DCMAKE_TOOLCHAIN_FILE=.../sdk/cross/toolchain.cmake
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR wasm32)
set(CMAKE_C_COMPILER wasmos-cc)
set(CMAKE_AR wasmos-ar)
set(CMAKE_RANLIB wasmos-ranlib)
set(CMAKE_STRIP wasmos-strip)
set(BUILD_SHARED_LIBS OFF)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_PACKAGE ONLY)
