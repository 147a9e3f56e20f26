# Everything a person runs. Needs Python 3.11 or newer, make and a package index; no GPU.
#
#   make demo    install, draw a synthetic city, index it, ask it about photos, open the app
#   make test    install, run every test
#   make test-fast     the same without servers, killed processes and browsers
#   make check   ruff, mypy strict, import-linter, the documentation site
#   make docs    serve the documentation site at http://127.0.0.1:8000
#   make bench   speed and memory, measured side by side
#   make dist    build sdist and wheel, install the wheel in a fresh environment and use it
#   make constraints   add what is missing to constraints.txt; NEWEST=--newest resolves all again
#   make demo-model    make the model that ships again: draw the world, train five times, convert (seven hours)

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
DEMO_PORT ?= 7860
# More than the cores: much of a test's time is waiting, for servers, browsers and processes.
TEST_PROCESSES ?= 3
# The model that ships knows nothing of the cities "town" (25 km2) and "unseen" (133 km2); in "seen"
# it was trained, except for the blocks that the demo's photos are from (of their ground, 44 % lies
# inside a training frame).
DEMO_CITY ?= town
town := --seed 3 --side-km 5
seen := --seed 1 --side-km 9 --from-held-out-blocks
unseen := --seed 3 --side-km 11.5

# Two processes of one thread each are faster on two cores than one process of two threads.
demo_pretrain := $(BIN)/python -m torch.distributed.run --standalone --nproc-per-node 2 -m training.pretrain

# A run goes on where it was, or begins with further flags.
trained = if [ -f $(1)/run.json ]; then $(demo_pretrain) --resume $(1); \
  else $(demo_pretrain) --preset demo --data worlds/demo --out $(1) --threads 1 --workers 0 $(2); fi
# A trained model goes on with more blocks and second readers, silent at first, from larger batches.
demo_grown := --sv-residuals 1,2,4 --rs-residuals 1,1,4 --sv-hidden 1024 --rs-windows 1,3,5 --rs-hidden 1024 \
  --batch-photos 512 --steps 2900 --lr 0.001 --temperature 0.04
# Then once more, with twice the blocks and nearly true colours, as no photo is seen twice.
demo_deepened := --sv-residuals 2,4,8 --rs-residuals 1,2,8 --batch-photos 512 --steps 2500 --lr 0.001 \
  --temperature 0.03 --photo-jitter 0.02 --frame-jitter 0.02 --seed 1
# And once more, in true colours; what lies within 200 m counts as found, so it is no negative.
demo_finished := --sv-residuals 3,6,10 --rs-residuals 1,3,10 --batch-photos 512 --steps 2300 --lr 0.001 \
  --temperature 0.025 --photo-jitter 0 --frame-jitter 0 --mask-near-m 200 --seed 2
# Last, with photos of 144 x 144 pixels instead of 96 x 96.
demo_enlarged := --batch-photos 512 --steps 820 --lr 0.0006 --ema-decay 0.996 --temperature 0.02 \
  --photo-jitter 0 --frame-jitter 0 --mask-near-m 200 --seed 3
demo_on := --no-standardise-bands --warm-start-photos 0

.PHONY: demo demo-model test test-fast check docs bench dist constraints clean
.DEFAULT_GOAL := test

$(VENV)/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet -c constraints.txt "torch" # first, so that nothing else picks another build
	$(BIN)/python -m pip install --quiet -c constraints.txt -e ".[stac,dev,docs]"
	touch $@

demo: demo-city/$(DEMO_CITY)/photos.csv
	$(BIN)/python -m app.demo --city demo-city/$(DEMO_CITY) --port $(DEMO_PORT)

# 200 photos to be asked about, of which the page offers the first 24; 600 to calibrate with; 2,500 of
# known places, added to the index as evidence.
demo-city/%/photos.csv: $(wildcard training/synthetic/*.py training/synthetic/*/*.py) Makefile | $(VENV)/installed
	rm -rf $(@D)
	$(BIN)/python -m training.synthetic city --out $(@D) --photos 200 --calibration-photos 600 \
	  --reference-photos 2500 --dates 1 $($*)

demo-model: $(VENV)/installed
	test -f worlds/demo/dataset.json || $(BIN)/python -m training.synthetic world --out worlds/demo
	$(call trained,runs/demo)
	test -d runs/demo-half || $(BIN)/python -m gair convert runs/demo/best runs/demo-half --half
	$(call trained,runs/demo-grown,--model runs/demo-half $(demo_on) $(demo_grown))
	test -d runs/demo-grown-half || $(BIN)/python -m gair convert runs/demo-grown/best runs/demo-grown-half --half
	$(call trained,runs/demo-deepened,--model runs/demo-grown-half $(demo_on) $(demo_deepened))
	test -d runs/demo-deepened-half || $(BIN)/python -m gair convert runs/demo-deepened/best runs/demo-deepened-half --half
	$(call trained,runs/demo-finished,--model runs/demo-deepened-half $(demo_on) $(demo_finished))
	test -d runs/demo-finished-half || $(BIN)/python -m gair convert runs/demo-finished/model runs/demo-finished-half --half --sv-image-px 144
	$(call trained,runs/demo-enlarged,--model runs/demo-finished-half $(demo_on) $(demo_enlarged))
	$(BIN)/python -m gair convert runs/demo-enlarged/model gair/data/demo --half --rs-blur 0.4 --sv-mirrored

test: $(VENV)/installed chromium
	$(BIN)/python -m pytest -n $(TEST_PROCESSES) --dist loadfile --no-loadscope-reorder

test-fast: $(VENV)/installed
	$(BIN)/python -m pytest -n $(TEST_PROCESSES) --dist loadfile --no-loadscope-reorder -m "not slow and not online and not process"

check: $(VENV)/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python docs/site/check.py

docs: $(VENV)/installed
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs serve

bench: $(VENV)/installed
	OMP_NUM_THREADS=$$(getconf _NPROCESSORS_ONLN) $(BIN)/python -m pytest tests/benchmarks -o "python_files=bench_*.py" -m "" -s --timeout=0

dist: $(VENV)/installed
	rm -rf dist
	$(BIN)/python -m build --outdir dist .
	$(BIN)/python tests/release/fresh_install.py dist/*.whl

constraints: | $(VENV)/installed
	$(BIN)/python tests/release/pin_versions.py $(NEWEST)

# The page's tests drive a real Chromium. Where this user may not install one, they skip and say so.
.PHONY: chromium
chromium:
	@command -v chromium >/dev/null || { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null \
	  && apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq chromium >/dev/null; } \
	  || echo "no chromium here and no right to install it: browser tests will skip"

clean:
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .import_linter_cache artifacts demo-city
