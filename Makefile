# make demo    builds the program and shows it at work; nothing else to install or start
# make check   what CI runs: lint, then test
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
CARGO ?= cargo
DENY_VERSION := 0.20.2
PEERS := tests/support/socketio
PYPI := target/pypi
UI := web/ui
UI_SOURCES := $(shell find $(UI)/src $(UI)/build -type f) $(addprefix $(UI)/,index.html package.json tsconfig.json vite.config.ts)
NPM := $(shell command -v npm)
# Dependencies are those of the committed Cargo.lock.
LOCKED := --locked

.PHONY: help build demo page lint fmt clippy deny page-lint test page-test chaos fuzz bench soak check fixtures setup-media setup-peers setup-pypi setup-deny

help: ## this list
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 20

build: export OVERDUB_COMMIT ?= $(shell git rev-parse --short HEAD 2>/dev/null || echo unknown)
build: page ## the release binary, target/release/overdub
	$(CARGO) build --release $(LOCKED)

demo: setup-media build ## a live source, a processor that changes the sound, and the result to watch
	target/release/overdub demo

# Without npm the program serves a plain page.
ifdef NPM
page: $(UI)/dist/.built ## the page, as the program embeds it
else
page:
	@echo "npm is missing, so the program will serve a plain page: install Node 20 or later for the other"
endif

$(UI)/dist/.built: $(UI)/node_modules/.package-lock.json $(UI_SOURCES)
	npm run --prefix $(UI) --silent build
	@touch $@

$(UI)/node_modules/.package-lock.json: $(UI)/package-lock.json
	@echo "installing what the page is built with"
	npm ci --prefix $(UI) --ignore-scripts --no-audit --no-fund
	@touch $@

check: lint test ## what CI runs

lint: page-lint fmt clippy deny ## formatting, clippy, types of the page, licences and sources of dependencies

fmt:
	$(CARGO) fmt --all --check

clippy:
	$(CARGO) clippy $(LOCKED) --workspace --all-targets -- -D warnings

# The advisory list is fetched from the open network, so it is checked where there is one (or where
# OVERDUB_ADVISORIES=1 asks for it); the other checks need the lock file alone.
deny: setup-deny
	$(CARGO) deny $(LOCKED) check --hide-inclusion-graph licenses bans sources
	@if [[ "$${OVERDUB_ADVISORIES:-}" == 1 ]] || { [[ -z "$${OVERDUB_ADVISORIES:-}" ]] && timeout 10 git ls-remote -q https://github.com/rustsec/advisory-db HEAD >/dev/null 2>&1; }; then \
	    $(CARGO) deny $(LOCKED) check --hide-inclusion-graph advisories; \
	else \
	    echo "advisories not checked: no way to github.com (OVERDUB_ADVISORIES=1 insists)"; \
	fi

page-lint: $(if $(NPM),$(UI)/node_modules/.package-lock.json)
	$(if $(NPM),npm run --prefix $(UI) --silent lint,@echo "npm is missing: the page is not checked")

page-test: page setup-peers
	npm run --prefix $(UI) --silent test
	npm run --prefix $(UI) --silent browser

test: setup-media setup-peers setup-pypi page page-test ## all tests, end-to-end ones against real peers too
	@if $(CARGO) nextest --version >/dev/null 2>&1; then \
	    set -x; $(CARGO) nextest run $(LOCKED) --workspace; \
	else \
	    set -x; $(CARGO) test $(LOCKED) --workspace; \
	fi

chaos: setup-media setup-peers ## faults as long as the promises speak of; a table of what was promised and measured
	@rm -rf target/chaos target/chaos.md; failed=0; \
	if $(CARGO) nextest --version >/dev/null 2>&1; then \
	    OVERDUB_CHAOS=long $(CARGO) nextest run $(LOCKED) --profile chaos --workspace --test chaos --no-fail-fast || failed=1; \
	else \
	    OVERDUB_CHAOS=long $(CARGO) test $(LOCKED) --workspace --test chaos -- --test-threads=2 || failed=1; \
	fi; \
	{ echo '| fault | promised | measured | verdict |'; echo '| --- | --- | --- | --- |'; cat target/chaos/*.row; } | tee target/chaos.md; \
	OVERDUB_SIM_HOURS=250 $(CARGO) test $(LOCKED) --workspace --lib -- --nocapture hours::for_thousands || failed=1; \
	exit $$failed

fuzz: ## each fuzz target for FUZZ_SECONDS (600); needs nightly and cargo-fuzz
	@$(CARGO) fuzz --version >/dev/null 2>&1 || { echo "cargo-fuzz is missing: cargo install cargo-fuzz, and rustup toolchain install nightly" >&2; exit 1; }
	fuzz/run.sh

# BENCH takes flags, e.g. make bench BENCH="--streams 100 --memory ''"; make bench BENCH="scale --streams 300".
bench: setup-media ## many streams beside as many FFmpeg relays (15 min); what single parts cost
	$(CARGO) bench $(LOCKED) --bench streams -- $(or $(BENCH),compare --write)
	$(if $(BENCH),,$(CARGO) bench $(LOCKED) --bench parts)

soak: setup-media ## more than a day's segments, over the wrap of the clock (12 min)
	$(CARGO) bench $(LOCKED) --bench streams -- soak --write $(SOAK)

fixtures: ## makes fixtures/ again (other bytes with another ffmpeg)
	fixtures/make.sh

setup-media: ## ffmpeg
	@.ci/apt-install ffmpeg=ffmpeg ffprobe=ffmpeg

setup-peers: setup-media ## what the end-to-end tests talk to: nginx with RTMP, npm's socket.io, chromium, Prometheus
	@.ci/apt-install nginx=nginx-light /usr/lib/nginx/modules/ngx_rtmp_module.so=libnginx-mod-rtmp chromium=chromium \
	    prometheus=prometheus promtool=prometheus
	@if [[ -f $(PEERS)/package-lock.json && $(PEERS)/package-lock.json -nt $(PEERS)/node_modules/.package-lock.json ]]; then \
	    command -v npm >/dev/null || { echo "npm is missing: install Node 20 or later" >&2; exit 1; }; \
	    echo "installing the npm peers of the tests"; \
	    npm ci --prefix $(PEERS) --ignore-scripts --no-audit --no-fund; \
	    touch $(PEERS)/node_modules/.package-lock.json; \
	fi

setup-pypi: ## schemathesis, which makes requests from the API's description; an FFmpeg that takes H.265 by RTMP
	@if ! cmp -s tests/support/pypi.txt $(PYPI)/installed.txt; then \
	    command -v python3 >/dev/null || { echo "python3 is missing: install Python 3.10 or later" >&2; exit 1; }; \
	    echo "installing schemathesis and FFmpeg from PyPI"; \
	    python3 -m venv $(PYPI); \
	    $(PYPI)/bin/pip install --quiet --disable-pip-version-check -r tests/support/pypi.txt; \
	    ffmpeg=$$($(PYPI)/bin/python -c 'import imageio_ffmpeg; print(imageio_ffmpeg.get_ffmpeg_exe())'); \
	    ln -sf "$$ffmpeg" $(PYPI)/bin/ffmpeg; \
	    cp tests/support/pypi.txt $(PYPI)/installed.txt; \
	fi

setup-deny:
	@if ! $(CARGO) deny --version >/dev/null 2>&1; then \
	    echo "installing cargo-deny $(DENY_VERSION), once; this takes some minutes"; \
	    $(CARGO) install --locked cargo-deny --version $(DENY_VERSION); \
	fi
