# A thin list of verbs: each calls the real tool.
.PHONY: help up down role verify test refusals lint unit unit-project unit-package unit-airflow unit-fast mutants try molecule test-cluster base-box box test-box faults conformance vagrant-docker bench bench-cluster lock audit docs site tools package standin
export PATH := $(CURDIR)/.venv/bin:$(PATH)

help: ## list the verbs
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-15s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

up: standin ## make a stand-in host, set it up and prove it
	ansible-playbook playbooks/up.yml

down: ## remove the stand-in host and what was made for it
	bin/down

role: standin ## one role alone on a stand-in host, with its README's example: ROLE=mysql
	pytest -p no:cacheprovider tests/alone --role="$(ROLE)"

verify: ## prove the stand-in host again
	ansible-playbook playbooks/verify.yml

test: ## everything that CI runs, from a clean checkout
	bin/test

lint: package ## check the code, with nothing skipped
	bin/lint

unit: package ## test our Python and templates, with a few examples where `make test` has many
	@$(MAKE) --no-print-directory --keep-going --output-sync=target --jobs unit-project unit-package unit-airflow

# Their own bytecode is kept: without it each process that a test starts compiles the package again.
QUICK = env --unset=PYTHONDONTWRITEBYTECODE pytest --hypothesis-profile=quick

# Tests of Airflow stay in one process: each further one would load Airflow and make its database again. They take the
# longest, so that the others yield to them.
unit-project:
	nice $(QUICK) tests/unit

unit-package: WORKERS = --numprocesses=2 --dist=worksteal
unit-package: QUICK := nice $(QUICK)
unit-package unit-airflow: unit-%:
	cd cwl_airflow && PATH=$(CURDIR)/.venv-airflow/bin:$$PATH $(QUICK) $(WORKERS) tests/$(*:package=unit)

unit-fast: package ## only the tests of the package that what was changed since the last time reaches
	cd cwl_airflow && ../.venv-airflow/bin/pytest -q --hypothesis-profile=quick -m "not installation" --testmon

# Code that is wrong may end processes that are not its own.
ISOLATED = unshare --map-root-user --pid --fork --mount-proc --kill-child

mutants: package ## which changes of the code no test notices: FOLDER=documents (runs, reports, stopping, api.tokens)
	cd cwl_airflow && $(ISOLATED) ../.venv-airflow/bin/mutmut run "cwl_airflow.$(FOLDER).*" && ../.venv-airflow/bin/mutmut results

try: package ## run a document through Airflow in one process: DOCUMENT=<path> [JOB=<path>] [OPTIONS=--no-container]
	.venv-airflow/bin/python -W ignore cwl_airflow/tests/trial.py $(OPTIONS) "$(DOCUMENT)" $(JOB)

test-cluster: standin ## five hosts from nothing, with all faults of docs/cluster.md; two machines through Vagrant
	FULL=yes molecule test --scenario-name cluster
	bin/controller vagrant
	pytest -p no:cacheprovider -v -m full tests/vagrant/test_docker_provider.py

molecule: standin ## one host from nothing to reboot and no network
	molecule test

base-box: ## make build/base-<version>-<provider>.box, bare Debian for Vagrant
	bin/box base

box: ## make build/cwl-airflow-production-<version>-<provider>.box, the whole host
	bin/box production

test-box: ## prove, package and prove the libvirt box under real Vagrant (LIBVIRT_DRIVER=qemu without KVM)
	bin/controller guestfs
	pytest -p no:cacheprovider -v tests/vagrant/test_libvirt_box.py --box build/cwl-airflow-production-*-libvirt.box --libvirt-driver=$(or $(LIBVIRT_DRIVER),kvm)

refusals: standin ## give a bare stand-in host all values that site.yml refuses, of which `make test` tries a part
	pytest -p no:cacheprovider tests/refusals

faults: ## take parts of the stand-in host away while a run is at work: all faults of docs/reliability.md
	CREDENTIALS=credentials/standin pytest -p no:cacheprovider -s --hosts=docker://cwl-airflow-production molecule/default/tests_faults

conformance: ## run a suite of CWL tests through the stand-in host: SUITE=<path of a conformance_tests.yaml>
	bin/conformance "$(SUITE)"

vagrant-docker: standin ## make the image, network and registry of vagrant up --provider=docker
	ansible-playbook playbooks/standin/vagrant.yml

bench: standin ## measure one host, and write docs/benchmarks.md
	python bench/host.py

bench-cluster: standin ## measure sites of several hosts, and write docs/benchmarks.md (an hour)
	python bench/cluster.py

site: tools ## render the docs into build/site
	NO_MKDOCS_2_WARNING=true mkdocs build --strict

lock: ## resolve the Python requirements again
	@bin/controller uv
	bin/lock

# Of what cannot be looked up it says so, and fails.
PIP_AUDIT = uv tool run pip-audit==2.10.1 --strict --disable-pip --require-hashes --progress-spinner=off

audit: tools ## look for known faults in the locked Python packages, which needs PyPI itself and no mirror
	$(PIP_AUDIT) $(patsubst %,--requirement=files/airflow/%.txt,requirements compiled uv build-constraints)

docs: package ## generate the role READMEs, the picture of the package, manual pages and completions of the commands
	bin/docs
	.venv-airflow/bin/python bin/architecture
	.venv-airflow/bin/python bin/commands

tools: ## install the locked Python tools into .venv
	@bin/controller tools

package: ## install the hosts' Airflow, and what the package's tests need, into .venv-airflow
	@bin/controller package

standin:
	@bin/controller standin
