# Two commands do everything: `make demo` and `make test`. `make help` lists the rest.
# Each makes its own environment in .venv first; it needs Python 3.11 or newer and git.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
SOURCES := snn2hw converters targets
TOOLS := snntorch norse sinabs spikingjelly neurobench

.DEFAULT_GOAL := help
.PHONY: help demo learn test test-tools bench bench-learning bench-speech support lint format types wheel digits clean

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-15s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(INSTALLED)  ## the main job on real speech: train, deploy, verify against Lava, price, report
	$(BIN)/snn2hw demo --output out/demo

digits: $(INSTALLED)  ## the second example: ten spoken digits (needs SNN2HW_DATA)
	$(BIN)/python examples/speech_commands.py --output out/digits

learn: $(INSTALLED)  ## the third example: e-prop on ten digits, then a new speaker (needs SNN2HW_DATA)
	$(BIN)/python examples/learn_speech_commands.py --output out/learn

test: $(INSTALLED)  ## all tests
	$(BIN)/python -m pytest

test-tools: $(INSTALLED) $(TOOLS:%=.build/tools/%/.installed)  ## against snnTorch, norse, sinabs, SpikingJelly, NeuroBench
	$(BIN)/python -m pytest -m tools tests/tools

bench: $(INSTALLED)  ## figures of the README: speed against Lava; JSON in benchmarks/results
	$(BIN)/python benchmarks/run.py

bench-learning: $(INSTALLED)  ## e-prop on speech, three seeds, all arithmetics: about a quarter of an hour (needs SNN2HW_DATA)
	$(BIN)/python benchmarks/eprop_speech.py

bench-speech: $(INSTALLED)  ## docs/speech.md: the field's networks on digits and 40 words (needs SNN2HW_DATA)
	$(BIN)/python benchmarks/speech.py

support: $(INSTALLED)  ## docs/support.md anew, from the conformance suite
	$(BIN)/python tests/support_table.py

lint: $(INSTALLED) types  ## ruff and mypy --strict
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(INSTALLED)
	@# mypy wants the import name as a folder: links to the three rooms under one package.
	@rm -rf .build/types && mkdir -p .build/types/snn2hw
	@ln -s $(CURDIR)/snn2hw/* $(CURDIR)/converters $(CURDIR)/targets .build/types/snn2hw/
	cd .build/types && MYPYPATH=. $(CURDIR)/$(BIN)/mypy --config-file $(CURDIR)/pyproject.toml -p snn2hw

format: $(INSTALLED)  ## let ruff rewrite what it can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

wheel: $(INSTALLED)  ## build the wheel and run a smoke test on it, installed elsewhere
	rm -rf dist
	$(BIN)/python -m build --wheel
	.ci/smoke "$(PYTHON)" dist/snn2hw-*.whl

clean:  ## remove everything that make made, the environment included
	rm -rf $(VENV) .build build dist out *.egg-info

# One environment a tool: their pins clash. A tool that cannot be had is skipped, aloud.
.build/tools/%/.installed: tests/tools/constraints.txt
	@echo "making the environment of $* in .build/tools/$*, once: about a minute and 1 GB ..."
	@rm -rf .build/tools/$* && mkdir -p .build/tools && \
	  "$(PYTHON)" -m venv .build/tools/$* && \
	  .build/tools/$*/bin/python -m pip install --quiet --disable-pip-version-check \
	    -c tests/tools/constraints.txt $* nirtorch h5py && touch $@ || \
	  echo "no environment of $*: its tests will be skipped" >&2

$(INSTALLED): pyproject.toml constraints.txt
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "snn2hw needs Python 3.11 or newer; name one: make PYTHON=/path/to/python3.11 $(MAKECMDGOALS)" >&2; exit 1; }
	@echo "making the environment in $(VENV), once: some minutes, mostly the download of PyTorch ..."
	"$(PYTHON)" -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@
