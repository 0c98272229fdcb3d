# `make` lists the targets. Each is safe to repeat and to interrupt.
.DEFAULT_GOAL := help
.PHONY: help libtorch build search test fuzz install clean distclean
SHELL := /bin/bash

help:
	@echo 'make search               run the demo: search, train the winner, estimate it, draw the front'
	@echo 'make test                 run every check'
	@echo 'make fuzz MINUTES=5       fuzz every reader so long; stable Rust, not part of the gate'
	@echo 'make libtorch             fetch libtorch (544 MB) unless LIBTORCH is set; cargo commands work from then on'
	@echo 'make build                the release build'
	@echo 'make install PREFIX=DIR   the command and its libraries into DIR/bin and DIR/lib/systole'
	@echo 'make clean                remove what was built'
	@echo 'make distclean            remove the fetched libtorch as well'
	@echo
	@echo 'without libtorch: cargo install --path . --no-default-features --features cli'

libtorch:
	@scripts/get-libtorch.sh

build:
	@scripts/need.sh cargo g++
	@scripts/get-libtorch.sh
	cargo build --release

search: build
	@scripts/demo.sh

test:
	@scripts/need.sh python3
	@python3 scripts/test.py

MINUTES ?= 5
fuzz:
	@scripts/fuzz.sh '$(MINUTES)'

install:
	@scripts/install.sh --check '$(PREFIX)'
	@$(MAKE) --no-print-directory build
	@scripts/install.sh '$(PREFIX)'

clean:
	cargo clean
	rm -rf libtorch.partial libtorch.old

distclean: clean
	rm -rf .cargo/local.toml libtorch
