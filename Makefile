# `make run` starts the program, `make test` tests it. Nothing else is needed to work with it.

CARGO ?= cargo

.PHONY: help run test test-long check fmt deny clean-state

help:
	@echo 'make run          build the release and start it on 127.0.0.1:5300, state in ./var'
	@echo 'make test         install what the tests need, as root on Debian, and run them'
	@echo 'make test-long    run the tests that take more than ten minutes'
	@echo 'make check        formatting, lints and dependencies'
	@echo 'make fmt          format the sources'
	@echo 'make deny         check the dependencies: bans, licences, sources, advisories'
	@echo 'make clean-state  remove ./var, as if it had never run'

run:
	$(CARGO) build --release --locked
	exec target/release/sekisho serve

test:
	tests/setup/peers.sh
	$(CARGO) test --locked --no-fail-fast

# Tests marked `#[ignore = "long: …"]`, in the release profile since most are about size.
test-long:
	tests/setup/peers.sh
	$(CARGO) test --release --locked --no-fail-fast --lib --tests -- --ignored

check:
	$(CARGO) fmt --check
	$(CARGO) clippy --locked --all-targets -- --deny warnings
	$(MAKE) deny

fmt:
	$(CARGO) fmt

deny:
	tests/setup/deny.sh

clean-state:
	rm -rf var
