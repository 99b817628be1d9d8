# `make` alone says what there is. Every target installs what it needs; none but rollback needs an AWS account.

STACK ?= dev
STACK_FILE ?=
APP ?=
PYTHON ?= python3
ARGS ?=
# Of the command line alone: an environment variable of this name means something else.
VERSION :=

VENV := .venv/bin
LOCAL := $(VENV)/python -m local
# There is no package of it for Linux on ARM: there it is the machine's own.
SHELLCHECK = $(or $(wildcard $(VENV)/shellcheck),shellcheck)
STACK_OPTIONS = --stack $(STACK) $(if $(STACK_FILE),--stack-file $(STACK_FILE)) $(ARGS)

# Python keeps what it has compiled; where this is set, as in some images, each process of the tests would do it anew.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory

.PHONY: help
help: ## Say what there is
	@echo "make TARGET [STACK=dev|prod] [STACK_FILE=FILE]"
	@echo
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  \1\t\2/p' $(MAKEFILE_LIST) | expand -t 12

.PHONY: install
install: .venv/.installed ## Make .venv with what the lock file names

.PHONY: new preview up destroy outputs graph
new: .venv/.installed ## Write the stack files of your repository; APP=FOLDER with its Dockerfile, ARGS=--help
	@$(LOCAL) new $(if $(APP),--app $(APP)) $(ARGS)

preview: .venv/.installed ## Show what up would do: the real Pulumi engine, a local provider
	@$(LOCAL) preview $(STACK_OPTIONS)

up: .venv/.installed ## Deploy into a state kept on this machine
	@$(LOCAL) up $(STACK_OPTIONS)

destroy: .venv/.installed ## Delete what up deployed
	@$(LOCAL) destroy $(STACK_OPTIONS)

outputs: .venv/.installed ## Print the outputs of what is deployed
	@$(LOCAL) outputs $(STACK_OPTIONS)

graph: .venv/.installed ## Print every deployed resource as JSON
	@$(LOCAL) graph $(STACK_OPTIONS)

.PHONY: cost diagram
cost: .venv/.installed ## Say what a stack takes, in seconds and dollars; ARGS=--json
	@$(LOCAL) cost $(STACK_OPTIONS)

diagram: .venv/.installed ## Draw a stack's pipeline and resources; ARGS="--output FOLDER"
	@$(LOCAL) diagram $(STACK_OPTIONS)

.PHONY: rehearse
rehearse: .venv/.installed ## Deliver an application through dev and prod on this machine; APP=FOLDER, ARGS=--help
	@$(LOCAL) rehearse $(if $(APP),--app $(APP)) $(ARGS)

.PHONY: rollback
rollback: .venv/.installed ## Bring back an earlier version in your AWS account; VERSION=VERSION, ARGS=--list
	@$(LOCAL) rollback $(if $(VERSION),--version $(VERSION)) $(STACK_OPTIONS)

.PHONY: engine tools test lint mutations golden bench
engine: .venv/.installed ## Say which Pulumi CLI is used; build one if there is none
	@$(LOCAL) engine

tools: .venv/.installed ## Bring what the tests of the jobs need, or say why not: AWS CLI, Docker engine, BuildKit, Chromium
	@$(LOCAL) tools

test: .venv/.installed ## Run all tests; ARGS are pytest's
	@$(LOCAL) engine
	@$(LOCAL) tools --if-possible
	@$(VENV)/python -m pytest --numprocesses auto --dist loadgroup --no-loadscope-reorder --cov --cov-report term $(ARGS)

lint: .venv/.installed ## Check format, rules, types, scripts and workflows
	@$(VENV)/ruff format --check .
	@$(VENV)/ruff check .
	@$(VENV)/mypy
	@find . -path ./.venv -prune -o -path ./.local -prune -o -name '*.sh' -print0 | xargs -0 $(SHELLCHECK)
	@$(VENV)/yamllint --strict .
	@$(VENV)/python -m local.actionlint
	@$(VENV)/zizmor --offline --no-progress --quiet --persona=auditor .github

mutations: .venv/.installed ## Take each guard away in a copy and see its test fail; ARGS: words of a row, -n NUMBER
	@$(VENV)/python tests/mutations.py $(ARGS)

golden: .venv/.installed ## Write what is generated: summaries of the graphs, schema, tables, pages
	@$(VENV)/python tests/generate.py
	@$(VENV)/python tests/generate.py edits
	@$(VENV)/python tests/generate.py report

bench: .venv/.installed ## Measure and print the figures
	@$(VENV)/python -m bench $(ARGS)

# `pulumi install` makes .venv anew, with other versions of what only tests and checks need.
.venv/.installed: requirements-dev.txt local/install.sh $(wildcard .venv/pyvenv.cfg)
	@PYTHON=$(PYTHON) local/install.sh
