# make demo   train nothing: export the reference model, gate it, benchmark it here; table, picture, model card in demo/
# make test   lint, types, arrows, every test
# Both make the environment (.venv) that they need, from constraints.txt.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
DATA   ?= ../shared/hc18
ENCODER_WEIGHTS ?= ../shared/weights/mobilenet_v2_imagenet.safetensors
STAGES ?= out

export PIP_CONSTRAINT := $(CURDIR)/constraints.txt
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: demo test lint unit reference clean

demo: $(VENV)/ready
	$(BIN)/fetaledge demo --out demo --force

test: lint
	$(BIN)/python -m pytest

lint: $(VENV)/ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

unit: $(VENV)/ready
	$(BIN)/python -m pytest -m "not slow"

# The committed reference model, from HC18 and a MobileNetV2 encoder: the decoder first, then every layer.
REFERENCE := --data $(DATA) --intensity symmetric --size 256 --phantoms 160 --seed 1 --force
reference: $(VENV)/ready
	$(BIN)/fetaledge train unet $(REFERENCE) --out $(STAGES)/stage-one --strategy decoder --epochs 8 \
		--encoder-weights $(ENCODER_WEIGHTS)
	$(BIN)/fetaledge train unet $(REFERENCE) --out $(STAGES)/reference --strategy all --epochs 16 \
		--init $(STAGES)/stage-one --learning-rate 5e-4 --half
	cp $(STAGES)/reference/* reference/

# torch first and alone, so that nothing else chooses its version.
$(VENV)/ready: constraints.txt tests/requirements.txt $(wildcard */pyproject.toml)
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet torch
	$(BIN)/pip install --quiet -e runtimes -e export -e benchmarks -e fetaledge -r tests/requirements.txt
	touch $@

clean:
	rm -rf $(VENV) demo .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
