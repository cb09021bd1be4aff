# Each target is one line over a command that the README shows in full.
VENV := .venv
BIN := $(VENV)/bin
INVENTORY ?= inventories/prod.py
export SMARTEROS_LAB ?= default
# Some shells have a NAME of their own (WSL).
WHICH = $(if $(findstring command,$(origin NAME)),$(NAME))
# pyinfra takes a file that is not there for the name of a host.
EXISTS = [ -f "$(INVENTORY)" ] || { echo "INVENTORY: there is no file $(INVENTORY)" >&2; exit 1; }
# Before a target, for a lab that is not the default one.
LAB = $(if $(filter-out default,$(SMARTEROS_LAB)),SMARTEROS_LAB=$(SMARTEROS_LAB) )
# Exit code 0 where this checkout has a lab.
LABS = ls .lab/*/ssh_key >/dev/null 2>&1

.DEFAULT_GOAL := help
.PHONY: help up down test test-faults lint format bench audit bootstrap plan deploy verify status drift status-page check undo-host token secret give-secrets rotate credentials test-mail test-notify bucket bucket-rewind kit-check backup backups restore restore-undo recover drill generations rollback pin outdated update lock

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 13

$(VENV)/ready: requirements.lock
	@.ci/venv $(VENV) >&2

up: $(VENV)/ready ## a throwaway bare host here, the whole deploy on it, and a table of what answers where
	@$(BIN)/python -m tests.lab up --smarteros
	@$(BIN)/pyinfra -y inventories/lab.py deploy.py
	@echo 'the lab is up: `$(LAB)make status INVENTORY=inventories/lab.py` says how it is, `$(LAB)make down` removes it; what else to try: README.md, See it work'

down: ## removes the lab that SMARTEROS_LAB names (default), and with the last one all that `up` made; names the others
	@$(LABS) || [ -x $(BIN)/python ] || { echo "no lab of this checkout is up"; exit 0; }; \
	[ -x $(BIN)/python ] || .ci/venv $(VENV); $(BIN)/python -m tests.lab down --purge
	@$(LABS) || rm -rf $(VENV)

test: $(VENV)/ready ## lint, types, unit, golden files, and the lab end to end
	@.ci/test $(BIN)

test-faults: $(VENV)/ready ## outages, and bootstraps, deploys, commands of day two, a restore and a recovery killed at every point of theirs; takes hours
	@$(BIN)/pytest --numprocesses 2 --dist loadfile tests/faults
	@$(BIN)/python -m tests.faults $(FAULTS)

lint: $(VENV)/ready ## style and types
	@$(BIN)/ruff check --quiet .
	@$(BIN)/ruff format --quiet --check .
	@$(BIN)/mypy -p tasks -p tests

format: $(VENV)/ready ## puts the code into the house's format, and the README's tables in order
	@$(BIN)/ruff format --quiet .
	@$(BIN)/python -m tests.readme --write

bench: $(VENV)/ready ## remote commands and seconds of a run, beside a hand-written script that does the same
	@$(BIN)/python -m tests.bench $(BENCH)

audit: $(VENV)/ready ## what independent tools say of a deployed lab host: Lynis, ssh-audit, a port scan and others
	@$(BIN)/python -m tests.audit $(AUDIT)

bootstrap: $(VENV)/ready ## HOST=root@203.0.113.7 ZONE=example.com EMAIL=ops@example.com: from a bare VPS to a checked stack; asks for what is not said, and goes on where it was
	@NAME="$(WHICH)" $(BIN)/python -m tasks.commands.bootstrap

plan: $(VENV)/ready ## what a deploy would change, what restarts, and what visitors notice, without touching anything; with JSON=1 one JSON object on standard output
	@$(EXISTS)
	@JSON="$(JSON)" $(BIN)/pyinfra -y $(INVENTORY) tasks.commands.plan.run

deploy: $(VENV)/ready ## shows the plan, asks (YES=1 does not), and brings the inventory's hosts to the described state
	@$(EXISTS)
	@YES="$(YES)" $(BIN)/pyinfra $(INVENTORY) deploy.py

verify: $(VENV)/ready ## asks every service by name over TLS
	@$(EXISTS)
	@$(BIN)/pyinfra -y $(INVENTORY) tasks.commands.verify.run

status: $(VENV)/ready ## how every service is, and why it is not well; with JSON=1 one JSON object on standard output
	@$(EXISTS)
	@JSON="$(JSON)" $(BIN)/pyinfra -y $(INVENTORY) tasks.commands.status.run

drift: $(VENV)/ready ## what differs on the hosts from what the last deploy made, and since when; exit code 2 where anything does
	@$(EXISTS)
	@JSON="$(JSON)" $(BIN)/pyinfra -y $(INVENTORY) tasks.commands.drift.run

status-page: $(VENV)/ready ## OUT=status.html: the same as one page of HTML, with a drawing of what runs
	@$(EXISTS)
	@OUT="$(OUT)" $(BIN)/pyinfra -y $(INVENTORY) tasks.commands.status.page

token: $(VENV)/ready ## HOURS=8: a token of Vault's for guarded pages, shown once
	@$(EXISTS)
	@HOURS="$(HOURS)" $(BIN)/pyinfra -y $(INVENTORY) tasks.commands.token.run

secret: $(VENV)/ready ## NAME=chatwoot#ADMIN_PASSWORD: shows one secret of Vault's
	@$(EXISTS)
	@SMARTEROS_SECRET="$(WHICH)" $(BIN)/pyinfra -y $(INVENTORY) tasks.commands.secret.run

give-secrets: $(VENV)/ready ## asks for the secrets that only you know, like the mail server's password, or for NAME=…, and writes them into Vault
	@$(EXISTS)
	@SMARTEROS_SECRET="$(WHICH)" $(BIN)/pyinfra -y $(INVENTORY) tasks.commands.give_secrets.run

rotate: $(VENV)/ready ## SERVICE=n8n, or all, or vault: its passwords (or keys) get new values everywhere, and the old ones are proven refused
	@$(EXISTS)
	@SMARTEROS_SERVICE="$(SERVICE)" $(BIN)/pyinfra -y $(INVENTORY) tasks.commands.rotate.run

credentials: $(VENV)/ready ## the first admins' logins, or that of SERVICE=odoo; asks for the word yes, and the host's log of runs says who asked
	@$(EXISTS)
	@SMARTEROS_SERVICE="$(SERVICE)" $(BIN)/pyinfra -y $(INVENTORY) tasks.commands.credentials.run

test-mail: $(VENV)/ready ## TO=you@example.com: sends a mail as the services do, and says what the server answers
	@$(EXISTS)
	@TO="$(TO)" $(BIN)/pyinfra -y $(INVENTORY) tasks.commands.test_mail.run

test-notify: $(VENV)/ready ## tells everybody whom the setting notify names that it works, and says what each answers
	@$(EXISTS)
	@$(BIN)/pyinfra -y $(INVENTORY) tasks.commands.test_notify.run

check: $(VENV)/ready ## what users do, done once for each service (or for SERVICE=n8n), leaving nothing behind
	@$(EXISTS)
	@SMARTEROS_CHECK="$(SERVICE)" $(BIN)/pyinfra -y $(INVENTORY) tasks.commands.check.run

bucket: $(VENV)/ready ## KIT=~/smarteros-kit.json: sets up the bucket for backups, and makes the kit that opens them
	@$(EXISTS)
	@KIT="$(KIT)" $(BIN)/pyinfra -y $(INVENTORY) tasks.commands.bucket.run

bucket-rewind: $(VENV)/ready ## KIT=~/smarteros-kit.json TO="2026-11-26 19:59:49Z": the bucket as it was then, whatever was deleted or damaged since; says what that is, then asks for the word yes
	@$(EXISTS)
	@KIT="$(KIT)" TO="$(TO)" $(BIN)/pyinfra $(INVENTORY) tasks.commands.bucket_rewind.run

kit-check: $(VENV)/ready ## KIT=~/smarteros-kit.json: proves that the kit opens all that is in the bucket
	@$(EXISTS)
	@KIT="$(KIT)" $(BIN)/pyinfra -y $(INVENTORY) tasks.commands.kit_check.run

backup: $(VENV)/ready ## everything is copied away now; ends when the bucket has it
	@$(EXISTS)
	@$(BIN)/pyinfra -y $(INVENTORY) tasks.commands.backup.run

backups: $(VENV)/ready ## what can be had again from the bucket, until which second, and when that was last proven
	@$(EXISTS)
	@$(BIN)/pyinfra -y $(INVENTORY) tasks.commands.backups.run

restore: $(VENV)/ready ## SERVICE=odoo TO="2026-11-26 19:59:49Z": one service as it was then; what it replaces is kept for 7 days
	@$(EXISTS)
	@SMARTEROS_RESTORE="$(SERVICE)" TO="$(TO)" KEEP_FILES="$(KEEP_FILES)" $(BIN)/pyinfra -y $(INVENTORY) tasks.commands.restore.run

restore-undo: $(VENV)/ready ## SERVICE=odoo: what its last restore has replaced comes back
	@$(EXISTS)
	@SMARTEROS_RESTORE="$(SERVICE)" $(BIN)/pyinfra -y $(INVENTORY) tasks.commands.restore_undo.run

recover: $(VENV)/ready ## HOST=root@203.0.113.7 KIT=~/smarteros-kit.json: a bare VPS becomes the host that is in the bucket, with all it had, or with TO="…" had then
	@HOST="$(HOST)" KIT="$(KIT)" TO="$(TO)" FORCE="$(FORCE)" $(BIN)/python -m tasks.commands.recover

drill: $(VENV)/ready ## everything, or SERVICE=odoo, is restored from the bucket beside what runs, and read as a whole
	@$(EXISTS)
	@SMARTEROS_RESTORE="$(SERVICE)" $(BIN)/pyinfra -y $(INVENTORY) tasks.commands.drill.run

generations: $(VENV)/ready ## what each deploy has made, by whom, and what differed; with JSON=1 one JSON object on standard output
	@$(EXISTS)
	@JSON="$(JSON)" $(BIN)/pyinfra -y $(INVENTORY) tasks.commands.generations.run

rollback: $(VENV)/ready ## TO=7: files, images and settings of that generation, without TO of the one before; shows the plan, asks (YES=1 does not); DATA=yes: databases as well
	@$(EXISTS)
	@TO="$(TO)" DATA="$(DATA)" $(BIN)/pyinfra $(INVENTORY) tasks.commands.rollback.run

pin: $(VENV)/ready ## writes the digests of all images into the inventory's lock file, which deploys then use
	@$(EXISTS)
	@$(BIN)/pyinfra -y $(INVENTORY) tasks.commands.pin.run

outdated: $(VENV)/ready ## newer tags of the images in use, pins whose tags have moved on, ends of life (ENDED=odoo: that of this one is known)
	@$(EXISTS)
	@ENDED="$(ENDED)" $(BIN)/pyinfra -y $(INVENTORY) tasks.commands.outdated.run

update: $(VENV)/ready ## SERVICE=n8n: the newest tag of the same line, or TO=2.30.9; shows the plan, asks (YES=1 does not), deploys and checks; image and databases of before come back where that fails
	@$(EXISTS)
	@SMARTEROS_SERVICE="$(SERVICE)" TO="$(TO)" BACKUP="$(BACKUP)" DATA="$(DATA)" YES="$(YES)" $(BIN)/python -m tasks.commands.update $(INVENTORY)

undo-host: $(VENV)/ready ## what stood on the hosts before the first deploy comes back; shows it, then asks for the word yes
	@$(EXISTS)
	@$(BIN)/pyinfra $(INVENTORY) tasks.commands.undo_host.run

lock: $(VENV)/ready ## requirements.lock: the libraries that this package runs with, by hash (of images: `make pin`)
	@cp requirements.lock $(VENV)/requirements.lock
	@$(BIN)/uv pip compile pyproject.toml --extra test --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --quiet --output-file $(VENV)/requirements.lock
	@cmp -s $(VENV)/requirements.lock requirements.lock || cp $(VENV)/requirements.lock requirements.lock
