# make demo   train nothing: export both reference models, gate them, benchmark them here; demo/ and demo-ps-fh/ hold what came of it
# make test   lint, types, arrows, every test
# make unit, integration, devices   the three tiers of the tests; make coverage   how much of floors 1 to 3 the first two run
# make docs   the documentation in site/, strict: a dead link or a reference that does not resolve fails
# make wheels   the five packages as wheels in dist/
# make stand-ins   as root on Debian: the emulated Raspberry Pi and phone that the tests of devices talk to
# Both make the environment (.venv) that they need, from constraints.txt.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
DATA   ?= ../shared/hc18
PSFHS  ?= ../shared/psfhs
ENCODER_WEIGHTS ?= ../shared/weights/mobilenet_v2_imagenet.safetensors
STAGES ?= out
DIST   ?= dist

export PIP_CONSTRAINT := $(CURDIR)/constraints.txt
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: demo test lint unit integration devices coverage docs tables wheels stand-ins android-runner cost-calibration angle-comparison corruption-table reference reference-head reference-ps-fh sam-frames sam-base sam-study sam-student sam-vit-b clean

demo: $(VENV)/ready
	$(BIN)/fetaledge demo --out demo --force
	$(BIN)/fetaledge demo --task ps-fh --out demo-ps-fh --force

# Two workers, a file at a time: what a file makes for its tests is made once, what many share is kept (tests/made.py).
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest
WORKERS := -n 2 --dist loadfile --no-loadscope-reorder --max-worker-restart 0

test: lint docs
	$(PYTEST) $(WORKERS) --durations=25

lint: $(VENV)/ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

unit: $(VENV)/ready
	$(PYTEST) $(WORKERS) -m unit

integration: $(VENV)/ready
	$(PYTEST) $(WORKERS) -m "integration and not devices"

devices: $(VENV)/ready
	$(PYTEST) $(WORKERS) -m devices

# Shown, not enforced; the tracer makes the tests slower. What runs in a process of its own (a worker) is not counted.
coverage: $(VENV)/ready
	$(PYTEST) $(WORKERS) -m "not devices" --cov=fetaledge_runtimes --cov=fetaledge_export --cov=fetaledge_devices \
		--cov=fetaledge_benchmarks --cov-report=term:skip-covered

# Nothing is fetched, and the site works without a network.
docs: $(VENV)/ready
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

# The README's table, from docs/results.
tables: $(VENV)/ready
	$(BIN)/python docs/hooks/results.py README.md

wheels: $(VENV)/ready
	rm -rf $(DIST)
	for package in runtimes export devices benchmarks fetaledge; do \
		$(BIN)/python -m build --wheel --no-isolation --outdir $(DIST) $$package || exit; \
	done

# What the tests of devices talk to: an emulated Raspberry Pi behind a real sshd, an emulated phone behind a real adbd.
stand-ins: $(VENV)/ready
	$(BIN)/python -m tests.stand_ins build

# The program that runs a TFLite or ONNX model on a phone without Python.
android-runner: $(VENV)/ready
	$(BIN)/python -m fetaledge_devices.native_runner

# How far fetaledge cost's lower bound is from published latencies of ResNet-50 and MobileNetV2; 10 to 30 minutes.
cost-calibration: $(VENV)/ready
	$(BIN)/python tests/benchmarks/cost_calibration.py $(STAGES)/cost-calibration

# Angles of real label maps beside the challenge's: the record in docs/results, and a sheet of those that differ.
angle-comparison: $(VENV)/ready
	$(BIN)/python tests/fetaledge/angle_comparison.py $(PSFHS) $(STAGES)/angle-comparison
	cp $(STAGES)/angle-comparison/angle-fits.json docs/results/

# What the reference models make of validation frames that were spoilt on purpose, int8, as predict does it; TASK as below.
corruption-table: $(VENV)/ready
	$(BIN)/fetaledge export reference/unet-$(TASK) --out $(STAGES)/spoilt-$(TASK) --data $(DATA_OF_$(TASK)) --format onnx --int8 --force
	$(BIN)/python tests/fetaledge/corruption_table.py $(STAGES)/spoilt-$(TASK) $(DATA_OF_$(TASK)) \
		docs/results/spoilt-$(TASK).json "make corruption-table TASK=$(TASK)"

# The reference models. TASK=head: HC18 and a MobileNetV2 encoder, the decoder first, then every layer, then with artefacts.
# TASK=ps-fh: that model on PSFHS, every layer. Then each learns when not to measure.
TASK ?= head
PLANES ?= ../shared/african
DATA_OF_head := $(DATA)
DATA_OF_ps-fh := $(PSFHS)
HEAD := $(BIN)/fetaledge train unet --data $(DATA) --size 256 --phantoms 160 --seed 1 --force
VIEW := $(BIN)/fetaledge train view --force --others $(PLANES)
reference: reference-$(TASK)

reference-head: $(VENV)/ready
	$(HEAD) --out $(STAGES)/stage-one --strategy decoder --epochs 8 --intensity symmetric --encoder-weights $(ENCODER_WEIGHTS)
	$(HEAD) --out $(STAGES)/stage-two --strategy all --epochs 16 --init $(STAGES)/stage-one --learning-rate 5e-4 --half
	$(HEAD) --out $(STAGES)/stage-three --strategy all --epochs 10 --init $(STAGES)/stage-two --learning-rate 3e-4 --half --artefacts 0.4
	$(HEAD) --out $(STAGES)/unet-head --strategy all --epochs 7 --init $(STAGES)/stage-three --learning-rate 2e-4 --half --artefacts 0.6
	$(VIEW) $(STAGES)/unet-head --data $(DATA) --others $(PSFHS)
	cp $(STAGES)/unet-head/* reference/unet-head/

reference-ps-fh: $(VENV)/ready
	$(BIN)/fetaledge train unet --data $(PSFHS) --out $(STAGES)/unet-ps-fh --init reference/unet-head --size 256 --strategy all \
		--epochs 14 --learning-rate 5e-4 --phantoms 60 --artefacts 0.4 --seed 1 --half --force
	$(VIEW) $(STAGES)/unet-ps-fh --data $(PSFHS) --others $(DATA)
	mkdir -p reference/unet-ps-fh && cp $(STAGES)/unet-ps-fh/* reference/unet-ps-fh/

# The small SAM of the README: a base trained on HC18's heads, adapted to transperineal phantoms in four ways with 16, 64
# and 256 frames, and five folds of it distilled into a U-Net. About two hours on two cores; nothing of it is committed.
SAM := $(BIN)/fetaledge train sam --size 256 --seed 1 --force
ADAPT := $(SAM) --data $(STAGES)/psfh-train --batch 4 --warmup 60 --decay-power 0.9
SMALL := $(STAGES)/sam-small.safetensors

sam-frames: $(VENV)/ready
	$(BIN)/fetaledge data phantom $(STAGES)/psfh-train --task ps-fh --count 320 --seed 11 --force
	$(BIN)/fetaledge data phantom $(STAGES)/psfh-test --task ps-fh --count 200 --seed 12 --force
	$(BIN)/fetaledge data phantom $(STAGES)/psfh-more --task ps-fh --count 600 --seed 13 --force

sam-base: $(SMALL)
$(SMALL): | $(VENV)/ready
	$(SAM) --data $(DATA) --base random:small --tune all --folds 1 --epochs 18 --batch 8 --learning-rate 6e-4 \
		--warmup 120 --decay-power 1 --weight-decay 0.05 --out $(STAGES)/sam-base
	$(BIN)/fetaledge merge $(STAGES)/sam-base --out $(SMALL) --force

sam-study: sam-frames sam-base
	for few in "16 --epochs 30" "64 --epochs 25" "256 --epochs 10"; do \
		for way in "lora --base $(SMALL) --tune lora --learning-rate 2e-3" \
			"decoder --base $(SMALL) --tune decoder --learning-rate 1e-3" \
			"all --base $(SMALL) --tune all --learning-rate 5e-4 --weight-decay 0.05" \
			"scratch --base random:small --tune all --learning-rate 5e-4 --weight-decay 0.05"; do \
			run=$(STAGES)/study/$${way%% *}-$${few%% *}; \
			$(ADAPT) --folds 1 --train-count $$few $${way#* } --out $$run || exit; \
			$(BIN)/fetaledge evaluate $$run --data $(STAGES)/psfh-test || exit; \
		done; \
	done

# The teacher is tuned as a whole: of so small a SAM that gives the better one.
sam-student: sam-frames sam-base
	$(ADAPT) --base $(SMALL) --tune all --folds 5 --epochs 12 --learning-rate 5e-4 --weight-decay 0.05 --out $(STAGES)/teacher
	$(BIN)/fetaledge evaluate $(STAGES)/teacher --data $(STAGES)/psfh-test --challenge
	$(BIN)/fetaledge train unet --data $(STAGES)/psfh-train --teacher $(STAGES)/teacher --unlabelled $(STAGES)/psfh-more \
		--init reference/unet-head --size 192 --strategy all --epochs 10 --learning-rate 5e-4 --seed 1 --force --out $(STAGES)/student
	$(BIN)/fetaledge evaluate $(STAGES)/student --data $(STAGES)/psfh-test --challenge
	$(BIN)/fetaledge export $(STAGES)/student --out $(STAGES)/student-bundle --data $(STAGES)/psfh-train --int8 --force
	$(BIN)/fetaledge benchmark $(STAGES)/student-bundle --run $(STAGES)/student --data $(STAGES)/psfh-train

# ViT-B at 512 through each format, one process each: time and peak memory.
sam-vit-b: $(VENV)/ready
	for format in onnx openvino tflite; do $(BIN)/python tests/fetaledge/vit_b.py $$format || exit; done

# torch first and alone, so that nothing else chooses its version.
$(VENV)/ready: constraints.txt tests/requirements.txt $(wildcard */pyproject.toml)
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet torch
	$(BIN)/pip install --quiet -e runtimes -e export -e devices -e benchmarks -e fetaledge -r tests/requirements.txt
	touch $@

clean:
	rm -rf $(VENV) .stand-ins .coverage demo demo-ps-fh $(DIST) site .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
