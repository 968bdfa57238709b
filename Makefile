# people_os_spine: make, make install, make installcheck, make dist; PG_CONFIG=/path/to/pg_config picks the server.

EXTENSION = people_os_spine
MODULE_big = people_os_spine
EXTENSION_VERSION := $(shell sed -n "s/^default_version = '\(.*\)'/\1/p" people_os_spine.control)
DATA_built = $(EXTENSION)--$(EXTENSION_VERSION).sql
# For psql: one makes the extension anew with what it holds, one has pg_cron do what comes again. And the way from each older
# version: sql/update/people_os_spine--1.0--1.1.sql.
DATA = script/people_os_spine_remake.sql script/people_os_spine_schedule.sql $(wildcard sql/update/$(EXTENSION)--*.sql)
DOCS = README.md
OBJS = $(patsubst %.cpp,%.o,$(wildcard src/*.cpp src/*/*.cpp))

# The install script's parts in the order in which they run: sql/extension/NAME.sql, one a capability.
SCRIPT_PARTS = refuse events chain access emit context event_types read subscriptions history hash verify views \
  capture required_events migrations cloudevents ocsf privacy wipe partitions proof series watch watch_rules guard metrics rights

# One regression test a subject; setup makes the extension and the roles that the others use.
REGRESS = setup $(filter-out setup,$(sort $(patsubst expected/%.out,%,$(wildcard expected/*.out))))
REGRESS_OPTS = --encoding=UTF8

ISOLATION = $(sort $(patsubst test/isolation/specs/%.spec,%,$(wildcard test/isolation/specs/*.spec)))
ISOLATION_OPTS = --inputdir=test/isolation --outputdir=test/isolation --encoding=UTF8 --load-extension=people_os_spine

CXX_FLAGS_OF_OURS = -std=c++17 -Wall -Wextra -Wshadow -fvisibility=hidden -fvisibility-inlines-hidden -Isrc \
  -DSPINE_VERSION='"$(EXTENSION_VERSION)"' -fdebug-prefix-map=$(CURDIR)=.
# COPT: PGXS passes it to the C compiler and the linker.
PG_CXXFLAGS = $(CXX_FLAGS_OF_OURS) $(COPT)
SHLIB_LINK = -lstdc++ -lcrypto -Wl,--version-script=src/exports.map
EXTRA_CLEAN = regression.diffs regression.out results test/isolation/results test/isolation/output_iso

PG_CONFIG ?= pg_config
PGXS := $(shell $(PG_CONFIG) --pgxs)
include $(PGXS)

# The server's headers are not ours to warn about.
override CPPFLAGS := $(patsubst -I$(includedir_server),-isystem $(includedir_server),$(patsubst -I$(includedir_internal),-isystem $(includedir_internal),$(CPPFLAGS)))

# PGXS does not pass PG_CXXFLAGS on to the bitcode for the JIT.
COMPILE.cxx.bc += $(CXX_FLAGS_OF_OURS)

$(OBJS): $(wildcard src/*/*.h)
people_os_spine.so: src/exports.map

script_parts := $(SCRIPT_PARTS:%=sql/extension/%.sql)
$(DATA_built): $(script_parts) Makefile
	{ printf '%s\n' '\echo Use "CREATE EXTENSION $(EXTENSION)" to load this file. \quit'; \
	  for part in $(script_parts); do echo; cat $$part; done; } > $@.new
	mv $@.new $@

# The PGXN distribution of the last commit: the same bytes each time, for its files have that commit's time.
DIST = $(EXTENSION)-$(shell sed -n 's/^  "version": "\(.*\)",/\1/p' META.json)
.PHONY: dist
dist: $(DATA_built)
	@git diff --quiet HEAD || { echo 'make dist: commit first: what is not committed is no part of it' >&2; exit 1; }
	TZ=UTC git archive --format=zip -9 --prefix=$(DIST)/ --add-file=$(DATA_built) -o $(DIST).zip HEAD

# For script/test, so that the lists live here alone.
.PHONY: list-regress list-isolation
list-regress:
	@echo $(REGRESS)
list-isolation:
	@echo $(ISOLATION)
