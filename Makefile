# twofa: build, try, test, benchmark, install. `make` alone lists the targets.

CARGO   ?= cargo
PREFIX  ?= /usr
DESTDIR ?=
# Where the system's PAM modules are: Debian has a directory for each architecture, Fedora lib64.
PAMDIR  ?= $(patsubst %/,%,$(dir $(firstword $(foreach place,/usr/lib/*/security /usr/lib64/security \
             /usr/lib/security /lib/*/security /lib/security,$(wildcard $(place)/pam_unix.so)))))
# strip(1) comes with a compiler, which the machine that installs need not have.
STRIP   ?= $(if $(shell command -v strip),--strip)

BINDIR  = $(PREFIX)/bin
# The path of the broker is compiled into the module.
SBINDIR = $(PREFIX)/sbin
SHARE   = $(PREFIX)/share
ZSHDIR  ?= $(SHARE)/zsh/site-functions
UNITS   ?= $(PREFIX)/lib/systemd/system
UNIT_FILES = twofad.service twofad.socket twofad-sessions.service twofad-sessions.timer twofad-sessions.path \
             twofa-pam-recover.service twofad-server.service
# Where cargo builds. CARGO_TARGET_DIR may be set in the environment or as "make CARGO_TARGET_DIR=...".
TARGET  = $(or $(CARGO_TARGET_DIR),target)
RELEASE = $(TARGET)/release

ROOT := $(filter 0,$(shell id -u))

ifneq ($(and $(ROOT),$(SUDO_USER)),)
# sudo(8) sets a PATH without the Rust that its caller installed with rustup.
CALLER_HOME := $(shell getent passwd '$(SUDO_USER)' | cut -d: -f6)
ifeq ($(shell command -v $(CARGO)),)
ifneq ($(wildcard $(CALLER_HOME)/.cargo/bin/cargo),)
export PATH := $(PATH):$(CALLER_HOME)/.cargo/bin
export RUSTUP_HOME ?= $(CALLER_HOME)/.rustup
endif
endif
# Build results in a user's checkout stay the user's, so that building without sudo goes on working.
# (The tools of the tests are in target, wherever cargo builds.)
GIVE_BACK = ; status=$$?; for built in target '$(TARGET)' docs/images; do \
  [ ! -e "$$built" ] || chown -R --reference=Makefile "$$built"; done; exit $$status
endif

.PHONY: help
help:
	@echo 'make demo      watch it work: a throwaway machine, a real ssh login, nothing left behind (root)'
	@echo 'make test      run all tests (end-to-end tests need root)'
	@echo 'make lint      check formatting, code and manuals'
	@echo 'make bench     compare login times with pam_google_authenticator and pam_oath (root)'
	@echo 'make bench-fleet  measure a fleet over PostgreSQL: rates, memory, a thousand hosts (root)'
	@echo 'make screenshots  draw the pictures of the README again (root)'
	@echo 'make build     build everything in release mode'
	@echo 'make install   install the result [DESTDIR= PREFIX=/usr PAMDIR=] (root)'
	@echo 'make uninstall remove what make install installed; users and their codes stay (root)'
	@echo 'make deb       build the packages for Debian and Ubuntu, in target/deb'
	@echo 'make rpm       build the packages for Fedora and EL, in target/rpm'
	@echo 'make test-booted    a server from installation to removal, with real logins, on a booted Debian 13 (root)'
	@echo 'make test-ansible   the Ansible role, against three booted systems that are thrown away (root)'
	@echo 'make test-packages  install, upgrade and remove them on booted systems that are thrown away (root)'

.PHONY: dependencies
dependencies:
	@command -v $(CARGO) >/dev/null || { \
	  echo 'cargo is not in the PATH: install Rust 1.89 or later, for example from https://rustup.rs.'; exit 1; }
ifneq ($(ROOT),)
	@tests/install-dependencies
endif

# What building needs, without what only tests need: nothing else is installed on a machine that is to use twofa.
.PHONY: build-dependencies
build-dependencies:
	@command -v $(CARGO) >/dev/null || { \
	  echo 'cargo is not in the PATH: install Rust 1.89 or later, for example from https://rustup.rs.'; exit 1; }
	@tests/install-dependencies build

.PHONY: build
build: build-dependencies programs

# For packages, which declare what building needs.
.PHONY: programs
programs:
	TWOFA_BROKER=$(SBINDIR)/twofad $(CARGO) build --locked --release -p twofa-cli -p twofa-broker -p pam_twofa \
	  --lib --bins --example manual
	@mkdir -p $(RELEASE)/man $(RELEASE)/completions
	$(RELEASE)/examples/manual $(RELEASE)/man
	@for shell in bash zsh fish; do $(RELEASE)/twofa completions $$shell > $(RELEASE)/completions/$$shell || exit 1; done

.PHONY: demo
demo: dependencies
	@$(if $(ROOT),,echo 'make demo starts a throwaway machine, which needs root: run it with sudo.'; exit 1)
	@echo 'Building. The first time, this takes a few minutes.'
	@{ $(CARGO) build --locked --workspace --lib --bin twofa --bin twofad --bin demo && \
	   '$(TARGET)/debug/demo'; } $(GIVE_BACK)

# Tools that check our requests to SMS providers against the API descriptions these publish (in the directory
# $TWOFA_CONTRACTS).
.PHONY: contract-tools
contract-tools: dependencies
ifdef TWOFA_CONTRACTS
	@tests/install-contract-tools || \
	 echo 'Skipped: SMS requests against published API descriptions, because the tools could not be installed.'
endif

# Another implementation of the numbering plans, to compare ours with.
.PHONY: phonenumbers
phonenumbers: dependencies
	@tests/install-phonenumbers || \
	 echo 'Skipped: comparing phone numbers with another implementation, because pip could not install it.'

# Debian 13, whose libpam the stack model is compared with too (in the directory $TWOFA_DEBIAN13).
.PHONY: debian13
debian13:
	tests/install-debian13

# Most tests wait, for a prompt or a process, so more of them are run at once than there are processors.
test: export RUST_TEST_THREADS ?= $(shell expr 2 '*' "$$(nproc)")

.PHONY: test
test: dependencies contract-tools phonenumbers
ifneq ($(ROOT),)
	$(CARGO) test --locked --no-fail-fast --workspace $(GIVE_BACK)
else
	$(CARGO) test --locked --workspace --exclude twofa-e2e
	@echo
	@echo 'Skipped: the end-to-end tests (real sshd, login, su and sudo in a throwaway machine), which need'
	@echo 'root: run "sudo make test".'
endif

.PHONY: lint
lint: dependencies
	$(CARGO) fmt --all --check
	$(CARGO) clippy --locked --workspace --all-targets -- --deny warnings
	RUSTDOCFLAGS='--deny warnings' $(CARGO) doc --quiet --locked --workspace --no-deps --document-private-items
	@if command -v mandoc >/dev/null; then mandoc -Tlint -Wwarning man/*.[1578]; \
	 else echo 'Skipped: the manuals, because mandoc is not installed.'; fi

# Draws the pictures of the README again.
.PHONY: screenshots
screenshots: dependencies
	@$(if $(ROOT),,echo 'make screenshots starts a throwaway machine, which needs root: run it with sudo.'; exit 1)
	@{ $(CARGO) build --locked --workspace --lib --bin twofa --bin twofad --bin screenshots && \
	   mkdir -p docs/images && '$(TARGET)/debug/screenshots' docs/images; } $(GIVE_BACK)

# Shows every mail in Chromium, light and dark, narrow and wide. Chromium is large, so nothing else installs it.
.PHONY: pictures
pictures: dependencies
	@$(if $(ROOT),,echo 'make pictures starts a throwaway machine, which needs root: run it with sudo.'; exit 1)
	@[ -x /usr/bin/chromium ] || [ -x /usr/bin/google-chrome ] || \
	 apt-get install --yes --quiet --no-install-recommends chromium fonts-dejavu-core
	@{ mkdir -p '$(TARGET)/pictures' && TWOFA_PICTURES='$(abspath $(TARGET)/pictures)' \
	   $(CARGO) test --locked -p twofa-e2e --test mail_clients && echo 'The pictures are in $(TARGET)/pictures.'; } $(GIVE_BACK)

.PHONY: bench bench-fleet
bench bench-fleet: dependencies
	@$(if $(ROOT),,echo 'make $@ starts throwaway machines, which needs root: run it with sudo.'; exit 1)
	@$(CARGO) run --locked --release -p twofa-e2e --bin bench$(if $(filter bench-fleet,$@), -- --fleet) $(GIVE_BACK)

# Installs what `make build` built. On the running system (no DESTDIR), the first time also creates the system user,
# the store and its key; never again, because a missing store must not be replaced by an empty one. Starts the broker on
# demand (the socket), without which users and screen lockers get no answer. No PAM file is changed: nobody is asked yet.
.PHONY: install
install:
	@test -x $(RELEASE)/twofad || { echo 'Nothing has been built yet: run "make build" first.'; exit 1; }
	@test -n '$(PAMDIR)' || { echo 'Cannot find the PAM modules of this system: set PAMDIR='; exit 1; }
	install -D -m 755 $(STRIP) $(RELEASE)/twofa $(DESTDIR)$(BINDIR)/twofa
	install -D -m 755 $(STRIP) $(RELEASE)/twofad $(DESTDIR)$(SBINDIR)/twofad
	install -D -m 644 $(STRIP) $(RELEASE)/libpam_twofa.so $(DESTDIR)$(PAMDIR)/pam_twofa.so
	install -D -m 644 -t $(DESTDIR)$(UNITS) $(addprefix packaging/systemd/,$(UNIT_FILES))
	install -D -m 644 packaging/sysusers.d/twofa.conf $(DESTDIR)$(PREFIX)/lib/sysusers.d/twofa.conf
	install -D -m 644 packaging/tmpfiles.d/twofa.conf $(DESTDIR)$(PREFIX)/lib/tmpfiles.d/twofa.conf
	install -D -m 644 -t $(DESTDIR)$(SHARE)/twofa/fail2ban/filter.d packaging/fail2ban/filter.d/twofa.conf
	install -D -m 644 -t $(DESTDIR)$(SHARE)/twofa/fail2ban/jail.d packaging/fail2ban/jail.d/twofa.conf
	install -D -m 644 -t $(DESTDIR)$(SHARE)/man/man1 $(RELEASE)/man/*.1
	install -D -m 644 -t $(DESTDIR)$(SHARE)/man/man5 man/*.5 $(RELEASE)/man/*.5
	install -D -m 644 -t $(DESTDIR)$(SHARE)/man/man7 man/*.7
	install -D -m 644 -t $(DESTDIR)$(SHARE)/man/man8 man/*.8
	install -D -m 644 $(RELEASE)/completions/bash $(DESTDIR)$(SHARE)/bash-completion/completions/twofa
	install -D -m 644 $(RELEASE)/completions/zsh $(DESTDIR)$(ZSHDIR)/_twofa
	install -D -m 644 $(RELEASE)/completions/fish $(DESTDIR)$(SHARE)/fish/vendor_completions.d/twofa.fish
ifeq ($(DESTDIR),)
	@id -u twofa >/dev/null 2>&1 || { \
	  { systemd-sysusers $(PREFIX)/lib/sysusers.d/twofa.conf 2>/dev/null || \
	    useradd --system --user-group --home-dir /var/lib/twofa --no-create-home --shell /usr/sbin/nologin twofa; } && \
	  { systemd-tmpfiles --create $(PREFIX)/lib/tmpfiles.d/twofa.conf 2>/dev/null || true; } && \
	  $(SBINDIR)/twofad --prepare; }
ifneq ($(wildcard /run/systemd/system),)
	systemctl daemon-reload
	systemctl enable --quiet --now twofad.socket twofad-sessions.timer
	systemctl enable --quiet twofa-pam-recover.service
	systemctl try-restart twofad.service
endif
	@echo
	@echo 'Installed. Nobody is asked for a code yet. Next:'
	@echo '  twofa enrol app                         enrol yourself'
	@echo '  sudo twofa policy set mode=optional     ask users who have enrolled'
	@echo '  README.md, man twofa-admin              where PAM asks: sshd, sudo and others'
endif

# Where a service could name the module.
PAM_FILES = /etc/pam.conf /etc/pam.d /usr/lib/pam.d /usr/share/pam/pam.d /usr/etc/pam.d

# A service whose file names a module that is missing refuses everybody: then nothing is removed.
.PHONY: uninstall
uninstall:
ifeq ($(DESTDIR),)
	@named=$$(grep -rslE '^[^#]*pam_twofa' $(PAM_FILES)); [ -z "$$named" ] || { \
	  echo 'Nothing was removed. These files still name pam_twofa, and without it they would refuse everybody:'; \
	  echo "$$named"; echo 'Remove its lines first.'; exit 1; }
	@test -n '$(PAMDIR)' || { echo 'Cannot find the PAM modules of this system: set PAMDIR='; exit 1; }
ifneq ($(wildcard /run/systemd/system),)
	-systemctl disable --quiet --now twofa-pam-recover.service twofad-sessions.timer twofad.socket twofad.service
endif
endif
	rm -f $(DESTDIR)$(BINDIR)/twofa $(DESTDIR)$(SBINDIR)/twofad $(DESTDIR)$(PAMDIR)/pam_twofa.so
	rm -f $(addprefix $(DESTDIR)$(UNITS)/,$(UNIT_FILES))
	rm -f $(DESTDIR)$(PREFIX)/lib/sysusers.d/twofa.conf $(DESTDIR)$(PREFIX)/lib/tmpfiles.d/twofa.conf
	rm -rf $(DESTDIR)$(SHARE)/twofa/fail2ban
	rm -f $(DESTDIR)$(SHARE)/man/man1/twofa.1 $(DESTDIR)$(SHARE)/man/man5/twofa-policy.5
	rm -f $(addprefix $(DESTDIR)$(SHARE)/man/,$(patsubst man/%.5,man5/%.5,$(wildcard man/*.5)) \
	  $(patsubst man/%.7,man7/%.7,$(wildcard man/*.7)) \
	  $(patsubst man/%.8,man8/%.8,$(wildcard man/*.8)))
	rm -f $(DESTDIR)$(SHARE)/bash-completion/completions/twofa $(DESTDIR)$(ZSHDIR)/_twofa
	rm -f $(DESTDIR)$(SHARE)/fish/vendor_completions.d/twofa.fish
ifeq ($(DESTDIR),)
ifneq ($(wildcard /run/systemd/system),)
	systemctl daemon-reload
endif
	@echo
	@echo 'Removed. Users, codes and their key stay in /var/lib/twofa and /etc/twofa, and so does the system user twofa.'
endif

# --- Packages: packaging/README.md -----------------------------------------------------------------------------------

# Builds in a copy of the tree; CHECK=1 runs the unit tests too, as a distribution's build does. Rust comes from rustup where the distribution's is missing.
.PHONY: deb
deb:
	DEB_BUILD_OPTIONS='$(if $(CHECK),,nocheck)' packaging/build-deb '$(abspath $(TARGET)/deb)'

# Builds the packages for Fedora and EL, with CHECK=1 as above. On Debian, whose rpm does that as well, they are good for a look only.
.PHONY: rpm
rpm:
	packaging/build-rpm '$(abspath $(TARGET)/rpm)' $(if $(CHECK),,--nocheck)

# Builds the packages twice, in two directories, and compares them.
.PHONY: check-reproducible
check-reproducible:
	packaging/check-reproducible '$(abspath $(TARGET)/reproducible)'

# Installs, upgrades, removes and purges what `make deb` built, on booted systems that are thrown away.
.PHONY: test-packages
test-packages:
	@$(if $(ROOT),,echo 'make test-packages boots systems, which needs root: run it with sudo.'; exit 1)
	@ls '$(TARGET)'/deb/*.deb >/dev/null 2>&1 || { echo 'There are no packages yet: run "make deb" first.'; exit 1; }
	TWOFA_PACKAGES='$(abspath $(TARGET)/deb)' python3 -B packaging/tests/test_debian.py
	TWOFA_PACKAGES='$(abspath $(TARGET)/deb)' python3 -B packaging/tests/test_upgrade.py
	TWOFA_PACKAGES='$(abspath $(TARGET)/deb)' python3 -B packaging/tests/test_console.py
	TWOFA_PACKAGES='$(abspath $(TARGET)/deb)' python3 -B packaging/tests/test_authselect.py
	for suite in trixie bookworm; do SUITE=$$suite TWOFA_PACKAGES='$(abspath $(TARGET)/deb)' \
	  python3 -B packaging/tests/test_readme.py || exit 1; done
	@if [ -d '$(TARGET)/rpm/RPMS' ]; then packaging/tests/test-rpm '$(TARGET)/rpm/RPMS'; \
	 else echo 'Skipped: the RPM packages, because there are none: run "make rpm".'; fi

# A server from its first day to its last on a booted Debian 13: what `make deb` built is installed, set up, used by ssh and
# at a console, upgraded and removed.
.PHONY: test-booted
test-booted:
	@$(if $(ROOT),,echo 'make test-booted boots a system, which needs root: run it with sudo.'; exit 1)
	@ls '$(TARGET)'/deb/*.deb >/dev/null 2>&1 || { echo 'There are no packages yet: run "make deb" first.'; exit 1; }
	TWOFA_PACKAGES='$(abspath $(TARGET)/deb)' python3 -B packaging/tests/test_booted.py

# The Ansible role: three systems are booted, one becomes a server and two its hosts, and ssh to them asks for a code.
.PHONY: test-ansible
test-ansible:
	@$(if $(ROOT),,echo 'make test-ansible boots systems, which needs root: run it with sudo.'; exit 1)
	@ls '$(TARGET)'/deb/*.deb >/dev/null 2>&1 || { echo 'There are no packages yet: run "make deb" first.'; exit 1; }
	packaging/tests/install-ansible '$(TARGET)/ansible'
	PATH='$(abspath $(TARGET)/ansible/bin)':"$$PATH" ansible-lint --offline packaging/ansible
	PATH='$(abspath $(TARGET)/ansible/bin)':"$$PATH" TWOFA_PACKAGES='$(abspath $(TARGET)/deb)' \
	  python3 -B packaging/tests/test_ansible.py

# Compiles the SELinux module, links it with a real policy and looks at what that allows.
.PHONY: check-selinux
check-selinux:
	packaging/selinux/check
