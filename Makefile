# Repoint. `make demo` and `make test` do all their own set-up on Debian 12 with a Swift toolchain, as root or through sudo.

SWIFT  ?= swift
PREFIX ?= /usr/local
SUDO   := $(shell [ "$$(id -u)" = 0 ] || echo sudo)

# Alone in PID, mount and network namespaces: whatever is done to "every process" there reaches nobody else, and when the
# command ends, the kernel ends all that it started.
STAGE  = $(SUDO) unshare --pid --fork --kill-child --mount --mount-proc --net -- env "PATH=$$PATH" REPOINT_TEST_STAGE=1

# What the compiler needs, what the tests try themselves on, and a daemon whose package starts nothing by itself.
BUILD_PACKAGES = libunwind-dev libelf-dev liblzma-dev zlib1g-dev make gcc libc6-dev util-linux iproute2
TEST_PACKAGES  = gcc-multilib musl-tools libjemalloc2 libtcmalloc-minimal4 gdb strace python3 libc-ares-dev libevent-dev
DEMO_PACKAGES  = redis-tools

# Daemons of the end-to-end suite: those that every test run uses, and the rest.
SOME_DAEMONS    = pgbouncer redis python
SOME_PACKAGES   = pgbouncer postgresql redis-tools python3
DAEMON_PACKAGES = $(SOME_PACKAGES) nginx-light haproxy squid apache2-bin exim4-daemon-light transmission-daemon unbound \
	dnsmasq-base nodejs default-jdk-headless golang-go

STATIC_FLAGS = -c release --static-swift-stdlib -Xswiftc -static-executable --scratch-path .build/static
STATIC       = .build/static/release/repoint

.PHONY: build demo test test-daemons static install uninstall bench-hold bench-scale victims clean \
	build-packages test-packages demo-packages some-daemon-packages daemon-packages

build: build-packages
	$(SWIFT) build -c release --static-swift-stdlib --product repoint

demo: build demo-packages
	$(MAKE) -C TestTargets build/host/dns-responder
	$(STAGE) REPOINT="$(CURDIR)/.build/release/repoint" VICTIMS="$(CURDIR)/TestTargets/build/host" Tests/Demo/demo

test: build-packages test-packages some-daemon-packages victims static
	$(SWIFT) build --build-tests
	@if $(STAGE) true 2>/dev/null; then \
		$(STAGE) REPOINT_STATIC="$(CURDIR)/$(STATIC)" \
			sh -c 'ip link set lo up; exec $(SWIFT) test --skip-build --disable-xctest --skip DaemonTests' && \
		$(STAGE) REPOINT_STATIC="$(CURDIR)/$(STATIC)" REPOINT_DAEMONS="$(SOME_DAEMONS)" $(DAEMON_TESTS); \
	else \
		echo "this machine makes no namespaces: the tests on real processes will be skipped"; \
		$(SWIFT) test --skip-build --disable-xctest; \
	fi

# Real daemons, all of them. `make test` has a few. On their own: nothing else is to be running when latencies are measured.
DAEMON_TESTS = sh -c 'ip link set lo up; exec $(SWIFT) test --skip-build --disable-xctest --filter DaemonTests'

test-daemons: build-packages daemon-packages victims static
	$(SWIFT) build --build-tests
	$(STAGE) REPOINT_STATIC="$(CURDIR)/$(STATIC)" REPOINT_DAEMONS=all $(DAEMON_TESTS)

static: build-packages
	$(SWIFT) build $(STATIC_FLAGS) --product repoint
	strip -o .build/repoint.stripped $(STATIC) && mv .build/repoint.stripped $(STATIC)

bench-hold: build test-packages victims
	$(STAGE) REPOINT="$(CURDIR)/.build/release/repoint" VICTIMS="$(CURDIR)/TestTargets/build/host" \
		python3 Tests/Benchmarks/hold.py

bench-scale: static test-packages victims
	$(STAGE) REPOINT="$(CURDIR)/$(STATIC)" VICTIMS="$(CURDIR)/TestTargets/build/host" \
		sh -c 'ip link set lo up; exec python3 Tests/Benchmarks/scale.py'

victims: test-packages
	TestTargets/libcs/fetch
	TestTargets/services/fetch TestTargets/build/services
	$(MAKE) -C TestTargets

install: static
	install -D -m 755 $(STATIC) "$(DESTDIR)$(PREFIX)/bin/repoint"
	install -D -m 644 Docs/man/repoint.8 "$(DESTDIR)$(PREFIX)/share/man/man8/repoint.8"
	install -d "$(DESTDIR)$(PREFIX)/share/bash-completion/completions" "$(DESTDIR)$(PREFIX)/share/zsh/site-functions" \
		"$(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d"
	$(STATIC) --generate-completion-script bash > "$(DESTDIR)$(PREFIX)/share/bash-completion/completions/repoint"
	$(STATIC) --generate-completion-script zsh > "$(DESTDIR)$(PREFIX)/share/zsh/site-functions/_repoint"
	$(STATIC) --generate-completion-script fish > "$(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d/repoint.fish"

uninstall:
	rm -f "$(DESTDIR)$(PREFIX)/bin/repoint" "$(DESTDIR)$(PREFIX)/share/man/man8/repoint.8" \
		"$(DESTDIR)$(PREFIX)/share/bash-completion/completions/repoint" \
		"$(DESTDIR)$(PREFIX)/share/zsh/site-functions/_repoint" \
		"$(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d/repoint.fish"

# Installs what is missing of some Debian packages, and asks for nothing where nothing is.
define packages
	@missing=$$(for p in $(1); do dpkg-query -W -f '$${Status}' $$p 2>/dev/null | grep -q ' installed' || echo $$p; done); \
	[ -z "$$missing" ] || { \
		echo "installing:" $$missing; \
		$(SUDO) apt-get update -qq && \
		$(SUDO) env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $$missing >/dev/null; }
endef

build-packages:
	$(call packages,$(BUILD_PACKAGES))

test-packages:
	$(call packages,$(TEST_PACKAGES))

demo-packages:
	$(call packages,$(DEMO_PACKAGES))

some-daemon-packages:
	$(SUDO) Tests/Daemons/install $(SOME_PACKAGES)

daemon-packages:
	$(SUDO) Tests/Daemons/install $(DAEMON_PACKAGES)

clean:
	rm -rf .build TestTargets/build
