# `make run` needs Go, PostgreSQL and Node.js, and `make test` Chromium, too; they
# install what they can. Everything they make is ignored: bin/, .cache/, .tillbook/
# and {sdk/typescript,examples/web}/{node_modules,dist,build}.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

# go.mod names the toolchain that is known to be safe; fetch it where that is
# possible, and use the one that is installed where it isn't.
export GOTOOLCHAIN := $(shell GOTOOLCHAIN=auto go version >/dev/null 2>&1 && echo auto || echo local)
export PATH := $(CURDIR)/.cache/bin:$(PATH)

VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo devel)

# What the race detector looks at: where goroutines meet. The servers that
# server/hostile attacks are processes that it can't look into, but for one.
RACE = $(shell go list ./store ./store/ledger ./server/... | grep -v -e /cmd -e /bench -e /hostile)
# What npm installed, as its own list of that says.
NODE_MODULES = sdk/typescript/node_modules/.package-lock.json
WEB_NODE_MODULES = examples/web/node_modules/.package-lock.json
# The built page, and what it is built from.
WEB = examples/web/dist/index.html
WEB_SOURCES = $(shell find sdk/typescript/src examples/web/src examples/web/public examples/web/index.html examples/web/*.json examples/web/vite.config.ts)
# What a proto may not break.
BASE ?= $(shell git rev-parse -q --verify origin/main || git rev-parse -q --verify main)

.PHONY: help
help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' Makefile

# Without Node.js, or a registry to get the page's packages from, there is no page;
# everything else works.
.PHONY: run
run: build bin/grpcurl postgres ## Start a sandbox server with its page, play the demo against it, stay up
	@$(MAKE) --no-print-directory web || echo "The page can't be built here; the server runs without it."; \
	[ ! -e $(WEB) ] || export TILLBOOK_WEB_DIR=$(dir $(WEB)); \
	TILLBOOK_LOG_LEVEL=$${TILLBOOK_LOG_LEVEL:-warn} exec bin/tillbook serve --sandbox --demo

.PHONY: web
web: $(WEB) ## Build the page, examples/web

$(WEB): $(NODE_MODULES) $(WEB_NODE_MODULES) $(WEB_SOURCES)
	@cd sdk/typescript && npm run --silent build
	@cd examples/web && npm run --silent build -- --logLevel warn

.PHONY: build
build: ## Build bin/tillbook
	@go build -buildvcs=false -ldflags '-X main.version=$(VERSION)' -o bin/tillbook ./server/cmd/tillbook

.PHONY: test
test: postgres pgbackrest prometheus $(NODE_MODULES) web chromium ## Run every test
	@$(MAKE) --no-print-directory -j2 test-go test-browsers

# All in Go.
.PHONY: test-go
test-go:
	@go run ./store/storetest/testserver -- go test ./...

# All in TypeScript, which wait more than they work; what they print comes in one piece.
.PHONY: test-browsers
test-browsers:
	@code=0; out=$$($(MAKE) --no-print-directory test-typescript test-web 2>&1) || code=$$?; echo "$$out"; exit $$code

.PHONY: test-typescript
test-typescript: postgres $(NODE_MODULES) ## Run the TypeScript SDK's tests alone
	@cd sdk/typescript && npm test --silent

.PHONY: test-web
test-web: postgres web chromium ## Run the page's tests alone, in a headless Chromium
	@cd examples/web && npm test --silent

.PHONY: test-restore
test-restore: postgres pgbackrest ## Follow the runbook of backups, examples/cluster/BACKUP.md, to the letter
	@go test -count=1 -timeout 5m -v -run TestTheRunbook ./server/cmd/tillbook

.PHONY: test-alerts
test-alerts: prometheus ## Check the alerts, their notifier and the dashboards alone
	@go test ./examples/cluster/prometheus ./examples/cluster/alertmanager

.PHONY: race
race: postgres ## Run the ledger's and the server's tests under the race detector
	@[ "$$(go env CGO_ENABLED)" = 1 ] || { echo "The race detector needs a C compiler: apt install gcc libc6-dev"; exit 1; }
	@go run ./store/storetest/testserver -- $(SHELL) -euo pipefail -c 'go test -race $(RACE); go test -race -run "^Fuzz" ./server/hostile'

.PHONY: bench
bench: build postgres ## Measure against PostgreSQL's own benchmark; leave the machine alone meanwhile
	@exec bin/tillbook bench

.PHONY: fleet
fleet: build postgres ## Bring 22,000 terminals online, kill a replica, count what got lost; FLEET="-terminals 1000" for less
	@go build -o bin/fleet ./examples/fleet
	@exec bin/fleet $(FLEET)

.PHONY: hostile
hostile: postgres ## Attack a running server at full size, and print what it took; takes some minutes
	@go run ./store/storetest/testserver -- go test ./server/hostile -count=1 -timeout 30m -v -run '^Test' -full | grep -v '^=== '

# How long each decoder of what comes from outside is fed with random input.
FUZZTIME ?= 10s
.PHONY: fuzz
fuzz: postgres ## Feed every decoder of outside input with random input, FUZZTIME=10s each
	@exec go run ./store/storetest/testserver -- $(SHELL) -euo pipefail -c ' \
	targets=0; total=0; \
	for folder in $$(git ls-files -co --exclude-standard "*_test.go" | xargs grep -l "^func Fuzz" | xargs -n1 dirname | sort -u); do \
		for target in $$(sed -n "s/^func \(Fuzz[A-Za-z0-9]*\)(.*/\1/p" $$folder/*_test.go); do \
			printf "%-28s %-24s " ./$$folder $$target; \
			log=$$(go test ./$$folder -run "^$$" -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) 2>&1) || { echo CRASHED; echo "$$log"; exit 1; }; \
			n=$$(sed -n "s/.*execs: \([0-9]*\).*/\1/p" <<<"$$log" | tail -1); \
			echo "$${n:-0} runs, nothing crashed"; \
			targets=$$((targets+1)); total=$$((total+$${n:-0})); \
		done; \
	done; \
	echo "fuzz: targets=$$targets runs=$$total crashed=0"'

.PHONY: cluster
cluster: build install-cluster bin/grpcurl ## Start replicas, HAProxy, PostgreSQL with standbys, Prometheus; CLUSTER="-replicas 5" for more
	@go build -o bin/cluster ./examples/cluster
	@exec bin/cluster $(CLUSTER)

# What scenarios recorded is kept in .cache/torture.
.PHONY: torture
torture: build install-cluster ## Break a cluster in all ways and count what got lost; SCENARIOS="primary-kill clock" for some
	@go build -o bin/torture ./examples/torture
	@exec bin/torture -history .cache/torture -scenarios "$(SCENARIOS)" $(TORTURE)

.PHONY: torture-short
torture-short: build install-cluster ## Break it in the five ways that tell most
	@go build -o bin/torture ./examples/torture
	@exec bin/torture -history .cache/torture -short $(TORTURE)

.PHONY: test-cluster
test-cluster: install-cluster bin/grpcurl ## Bring a cluster up, pay in every protocol, use and break it as it says
	@go test -count=1 -tags cluster -timeout 420s ./examples/cluster

.PHONY: upgrade-test
upgrade-test: build install-cluster ## Replace the last version by this one under load, and back, and by colours; UPGRADE_FROM=v1.2.0
	@go build -o bin/upgrade ./examples/cluster/upgrade
	@exec bin/upgrade -from "$(UPGRADE_FROM)" $(UPGRADE)

.PHONY: check-deploy
check-deploy: build ## Check what examples/cluster/deploy holds against those who read it
	@command -v systemd-analyze >/dev/null || { echo "systemd-analyze checks the unit: apt-get install systemd"; exit 1; }
	@cd examples/cluster/deploy/check && go vet ./... && go test -count=1 -timeout 120s ./...

.PHONY: lint
lint: .cache/bin/tools .cache/protovalidate $(NODE_MODULES) $(WEB_NODE_MODULES) ## Check Go, TypeScript, protos and the import rules
	@unformatted=$$(gofmt -l $$(git ls-files -co --exclude-standard '*.go')); \
	[ -z "$$unformatted" ] || { echo "Not formatted; run gofmt -w on:"; echo "$$unformatted"; exit 1; }
	go vet ./...
	go vet -tags cluster ./examples/cluster
	staticcheck ./...
	buf lint proto
	buf format -d --exit-code proto
	go test -count=1 -run 'TestImports' ./server/cmd
	cd sdk/typescript && npm run --silent lint
	cd examples/web && npm run --silent lint
	@$(MAKE) --no-print-directory breaking

.PHONY: breaking
breaking: .cache/bin/tools .cache/protovalidate ## Check that the protos break no client of the main branch
	@if [ -z "$(BASE)" ] || ! git cat-file -e $(BASE):proto 2>/dev/null; then \
		echo "buf breaking: no main branch with protos to compare with"; exit 0; \
	fi; \
	rm -rf .cache/base; mkdir -p .cache/base/.cache; \
	git archive $(BASE) buf.yaml proto | tar -x -C .cache/base; \
	ln -s ../../protovalidate .cache/base/.cache/protovalidate; \
	echo buf breaking proto --against $$(git rev-parse --short $(BASE)):proto; \
	buf breaking proto --against .cache/base/proto

.PHONY: generate
generate: .cache/bin/tools .cache/protovalidate $(NODE_MODULES) ## Generate gen/ and sdk/typescript/src/gen/ from the protos, store/*.sql.go from the queries
	@buf generate
	@sqlc generate

# What exists is compared with what comes out, not with the last commit, so that
# it can be run before committing.
.PHONY: check-generate
check-generate: ## Check that the generated code is what generate makes
	@sums() { find gen store sdk/typescript/src/gen -name '*.go' -o -name '*.ts' | LC_ALL=C sort | xargs cksum; }; \
	before=$$(sums); \
	$(MAKE) --no-print-directory generate; \
	diff <(echo "$$before") <(sums) || { echo "The generated code was stale; it is right now: commit it."; exit 1; }

# What is needed of Debian. $(call apt,CHECK,PACKAGES,HINT,AFTER) installs packages
# unless the check finds what they bring; without apt-get or rights, HINT, a command,
# says what to do. Debian would start many of them as services, unless a policy says
# not to while they are installed; an existing policy is kept. AFTER is run at the end,
# with the packages that were new in $missing and what makes root of one in $root.
define apt
@if { $(1); }; then exit 0; fi; \
	command -v apt-get >/dev/null || { $(3); exit 1; }; \
	root=$$([ "$$(id -u)" = 0 ] || echo sudo); \
	[ -z "$$root" ] || command -v sudo >/dev/null || { $(3); exit 1; }; \
	missing=$$(for package in $(2); do dpkg -s $$package 2>/dev/null | grep -q '^Status: install ok installed' || echo $$package; done); \
	missing=$$(echo $${missing:-$(2)}); \
	echo "Installing with apt-get: $$missing"; \
	policy=/usr/sbin/policy-rc.d; \
	if [ ! -e $$policy ]; then \
		trap "$$root rm -f $$policy" EXIT; \
		printf '#!/bin/sh\nexit 101\n' | $$root tee $$policy >/dev/null; $$root chmod 755 $$policy; \
	fi; \
	$$root apt-get -qq update; \
	$$root env DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends $$missing >/dev/null; \
	$(or $(4),:); \
	{ $(1); } || { $(3); exit 1; }
endef

# What a package's services are, which must not start with the machine either: only
# the tests and the cluster want them, and they start their own.
DISABLE = if [ -d /run/systemd/system ]; then \
	units=$$(dpkg -L $$missing | sed -En 's,.*/systemd/system/([^@/]*\.(service|timer))$$,\1,p' | sort -u); \
	[ -z "$$units" ] || $$root systemctl -q disable $$units; fi

.PHONY: postgres
postgres: build install-postgres ## Find PostgreSQL, or install it

# Debian makes and starts a server of its own as soon as the package is there, unless
# told not to before; Tillbook brings up one in its own folder.
POSTGRES_OK = bin/tillbook find-postgres >/dev/null 2>&1
POSTGRES_HINT = bin/tillbook find-postgres
NO_SERVER = echo "create_main_cluster = false" | $$root tee -a /etc/postgresql-common/createcluster.conf >/dev/null

.PHONY: install-postgres
install-postgres: build
	$(call apt,$(POSTGRES_OK) || [ -e /etc/postgresql-common/createcluster.conf ],postgresql-common,$(POSTGRES_HINT),$(NO_SERVER))
	$(call apt,$(POSTGRES_OK),postgresql,$(POSTGRES_HINT))

# What makes the backups of the runbook.
PGBACKREST_OK = command -v pgbackrest >/dev/null
PGBACKREST_HINT = echo "pgBackRest is needed for the test of backups: apt-get install pgbackrest, or https://pgbackrest.org says how."

.PHONY: pgbackrest install-pgbackrest
pgbackrest: install-pgbackrest
install-pgbackrest:
	$(call apt,$(PGBACKREST_OK),pgbackrest,$(PGBACKREST_HINT))

# What checks the alert rules and tells people of alerts.
PROMETHEUS_PACKAGES = prometheus prometheus-alertmanager
PROMETHEUS_OK = [ $$(command -v promtool amtool prometheus-alertmanager | wc -l) = 3 ]
PROMETHEUS_HINT = echo "The alerts' tests need these packages of Debian: $(PROMETHEUS_PACKAGES)"

.PHONY: prometheus install-prometheus
prometheus: install-prometheus
install-prometheus:
	$(call apt,$(PROMETHEUS_OK),$(PROMETHEUS_PACKAGES),$(PROMETHEUS_HINT),$(DISABLE))

# What the cluster is made of. Debian keeps haproxy in sbin.
CLUSTER_PROGRAMS = haproxy patroni etcd prometheus prometheus-alertmanager prometheus-node-exporter
CLUSTER_PACKAGES = haproxy patroni etcd-server etcd-client prometheus prometheus-alertmanager prometheus-node-exporter
CLUSTER_OK = ( PATH=$$PATH:/usr/sbin; for program in $(CLUSTER_PROGRAMS); do command -v $$program >/dev/null || exit 1; done )
CLUSTER_HINT = echo "The cluster needs these packages of Debian: $(CLUSTER_PACKAGES)"

.PHONY: install-cluster
install-cluster: postgres
	$(call apt,$(CLUSTER_OK),$(CLUSTER_PACKAGES),$(CLUSTER_HINT),$(DISABLE))

# What runs the tools and the tests of the TypeScript SDK.
NODE_OK = node -e 'process.exit(parseInt(process.versions.node) >= 18 ? 0 : 1)' 2>/dev/null && command -v npm >/dev/null
NODE_HINT = echo "Node.js 18 or newer and npm are needed; https://nodejs.org says how to install them."

.PHONY: node install-node
node: install-node
install-node:
	$(call apt,$(NODE_OK),nodejs npm,$(NODE_HINT))

%/node_modules/.package-lock.json: %/package.json %/package-lock.json | node
	@cd $* && npm ci --no-audit --no-fund --loglevel=error >/dev/null || { \
		echo "The packages of $*/package-lock.json can't be installed: npm must reach a registry."; exit 1; }
	@touch $@

# The browser that the page's tests drive. CHROMIUM names another one.
CHROMIUM_OK = [ -n "$${CHROMIUM:-}" ] || command -v chromium chromium-browser google-chrome >/dev/null
CHROMIUM_HINT = echo "Chromium is needed for the page's tests: install it, or name it with CHROMIUM=/path/to/chromium."

.PHONY: chromium install-chromium
chromium: install-chromium
install-chromium:
	$(call apt,$(CHROMIUM_OK),chromium,$(CHROMIUM_HINT))

# The tools have a module of their own, so that what they depend on never meets
# what Tillbook depends on.
.PHONY: tools
tools: .cache/bin/tools bin/grpcurl ## Build the tools that the other targets use

.cache/bin/tools: tools.mod tools.sum
	@echo "Building the tools (once; takes some minutes)"
	@mkdir -p .cache/bin
	@CGO_ENABLED=0 go build -modfile=tools.mod -o .cache/bin/ tool
	@touch $@

bin/grpcurl: tools.mod tools.sum
	@CGO_ENABLED=0 go build -modfile=tools.mod -o $@ github.com/fullstorydev/grpcurl/cmd/grpcurl
	@touch $@

# The protos that ours import, from the Go module that carries them.
PROTOVALIDATE := github.com/bufbuild/protovalidate@v1.2.2
.PHONY: .cache/protovalidate
.cache/protovalidate:
	@mkdir -p .cache
	@dir=$$(go mod download -json $(PROTOVALIDATE) | sed -n 's/^\t"Dir": "\(.*\)",$$/\1/p'); \
	[ -n "$$dir" ] || { echo "$(PROTOVALIDATE) can't be downloaded."; exit 1; }; \
	ln -sfn "$$dir/proto/protovalidate" $@

.PHONY: clean
clean: ## Remove what was built; never the data
	@rm -rf bin .cache {sdk/typescript,examples/web}/{node_modules,dist,build}
