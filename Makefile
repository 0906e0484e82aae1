# Two commands do everything: `make run` and `make test`. Both install what they need first.
PROFILE ?= demo
DATASET ?=
MAX_PROTEINS ?=
SEED ?=
HALO_DATA_DIR ?=
CORES ?= all
FASTA ?=
STRUCTURES ?=
MODEL ?=
OUT ?=
SHARDS ?= 1
PYTHON ?= python3

export HALO_DATA_DIR
BIN := .venv/bin

.PHONY: run related check-related predict test setup bench notebooks readme site pins clean
# Snakemake's own lock would outlive a killed run; `halo_utils run` holds one that does not and refuses a second run.
run: setup ## Run all notebooks of a profile; a second call re-runs only what is stale.
	$(BIN)/snakemake --cores $(CORES) --nolock --rerun-incomplete --quiet rules progress --config profile=$(PROFILE) dataset=$(DATASET) \
	  max_proteins=$(MAX_PROTEINS) seed=$(SEED)
	@$(BIN)/python -m halo_utils summary --profile $(PROFILE) --dataset "$(DATASET)" \
	  --max-proteins $(or $(MAX_PROTEINS),-1) --seed $(or $(SEED),-1)

related: setup ## Run the notebooks of related systems and sensitivity on the run of a profile; what it lacks is made first.
	$(BIN)/snakemake related --cores $(CORES) --nolock --rerun-incomplete --quiet rules progress --config profile=$(PROFILE) \
	  dataset=$(DATASET) max_proteins=$(MAX_PROTEINS) seed=$(SEED)

check-related: setup ## Let nbval compare the tagged numbers of those notebooks, on the demo run in data/runs.
	TQDM_DISABLE=1 $(BIN)/python -m pytest --nbval-lax --quiet -p no:cacheprovider notebooks/related/*.ipynb

predict: setup ## Predict the proteins of FASTA=file [STRUCTURES=folder MODEL=folder OUT=folder SHARDS=jobs].
	@test -n "$(FASTA)" || { echo 'FASTA is not given: make predict FASTA=my_proteins.fasta' >&2; exit 2; }
ifeq ($(SHARDS),1)
	$(BIN)/python -m halo_utils predict "$(FASTA)" $(if $(STRUCTURES),--structures "$(STRUCTURES)") \
	  $(if $(MODEL),--model "$(MODEL)") $(if $(OUT),--out "$(OUT)")
else
	$(BIN)/snakemake predict --cores $(CORES) --nolock --rerun-incomplete --quiet rules progress --config fasta="$(FASTA)" \
	  shards=$(SHARDS) structures="$(STRUCTURES)" model="$(MODEL)" out="$(OUT)"
endif

test: setup ## Lint, check the notebook pairs, run unit, integration and notebook tests.
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/python -m tools.pairs check
	$(BIN)/python -m tools.pins check
	OMP_NUM_THREADS=1 TQDM_DISABLE=1 $(BIN)/python -m pytest --numprocesses auto --dist loadfile --no-loadscope-reorder

setup: .venv/.installed ## Create .venv and install the pinned requirements.

.venv/.installed: requirements.txt requirements-test.txt pyproject.toml
	$(PYTHON) -c "import sys; sys.exit(sys.version_info < (3, 11, 5) and 'Python 3.11.5 or newer is needed, PYTHON=... names another one')"
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-test.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -e .
	@touch $@

bench: setup ## Measure the speed against the released protocol and plain Hugging Face, about ten minutes.
	$(BIN)/python -m benchmarks.run

notebooks: setup ## For authors: make every .ipynb from its .py and execute it on the demo profile.
	TQDM_DISABLE=1 $(BIN)/python -m tools.pairs execute

readme: setup ## For authors: write the results tables into README.md and data/README.md, and data/results/structure.md.
	$(BIN)/python -m tools.readme

site: setup ## Every notebook as a page that opens offline, in the folder site.
	$(BIN)/python -m tools.site

pins: setup ## For authors: make the pinned requirements from pyproject.toml, for every platform; needs uv.
	$(BIN)/python -m tools.pins

clean: ## Remove the demo run, keep the environment.
	rm -rf data/runs/demo data/results/demo figures/demo
