# The front door; it only drives CMake. See README.md.
JOBS ?= $(shell nproc)
PRESET ?= release
BUILD := $(if $(filter release,$(PRESET)),build,build-$(PRESET))

.PHONY: all deps packages build quickstart demo test cuda bench experiment fuzz install package format lint clean
all: build

deps:
	@scripts/install_deps.sh

# Names missing packages; deps, quickstart and test install them.
packages:
	@scripts/install_deps.sh --check

build: packages
	@cmake --preset $(PRESET) $(CMAKE_ARGS)
	@cmake --build $(BUILD) -j $(JOBS)
	@ln -sf $(BUILD)/darknet darknet

# Only the program: the tests take as long to compile again.
quickstart: deps
	@cmake --preset $(PRESET) $(CMAKE_ARGS)
	@cmake --build $(BUILD) -j $(JOBS) --target darknet
	@ln -sf $(BUILD)/darknet darknet
	@scripts/quickstart.sh ./darknet

# The shipped network on a moving scene: a web page, and a window where there is a display.
PORT ?= 8090
demo: packages
	@cmake --preset $(PRESET) $(CMAKE_ARGS)
	@cmake --build $(BUILD) -j $(JOBS) --target darknet
	@ln -sf $(BUILD)/darknet darknet
	@./darknet detector demo data/scenes.data cfg/scenes.cfg data/scenes.weights synth: -track -mjpeg_port $(PORT)

test: deps build
	@ctest --test-dir $(BUILD) --output-on-failure -j $$(($(JOBS) + 1)) # some only wait

cuda:
	@$(MAKE) build PRESET=cuda

bench: build
	@scripts/bench.sh ./darknet

# Losses against imbalance, hours long; resumes (docs/focal.md).
experiment: build
	@scripts/experiment.sh ./darknet

# A minute for each reader of files: make fuzz FUZZ_SECONDS=600. Needs clang and its libFuzzer.
fuzz: packages
	@command -v clang++ >/dev/null || { echo "fuzz: no clang++; sudo apt-get install clang" >&2; exit 1; }
	@cmake --preset fuzz $(CMAKE_ARGS)
	@cmake --build build-fuzz -j $(JOBS)
	@scripts/fuzz.sh build-fuzz

install: build
	@cmake --install $(BUILD) $(if $(PREFIX),--prefix "$(PREFIX)")

# A .deb for every x86-64 processor (docs/deploy.md), without the tests.
package: packages
	@for tool in file dpkg-shlibdeps; do command -v $$tool >/dev/null || \
	  { echo "package: no $$tool; sudo apt-get install file dpkg-dev" >&2; exit 1; }; done
	@cmake --preset portable -DDARKNET_TESTS=OFF $(CMAKE_ARGS)
	@cmake --build build-portable -j $(JOBS)
	@cpack --config build-portable/CPackConfig.cmake -B build-portable

format:
	@git ls-files 'src/*.cpp' 'src/*.h' | xargs clang-format -i

lint: build
	@scripts/lint.sh $(BUILD)

clean:
	@rm -rf build build-* darknet
