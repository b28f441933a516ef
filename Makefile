# A thin list of verbs: each calls the real tool.
.PHONY: help up down verify test lint unit molecule base-box box test-box conformance vagrant-docker bench lock docs tools standin
export PATH := $(CURDIR)/.venv/bin:$(PATH)

help: ## list the verbs
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-15s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

up: standin ## make a stand-in host, set it up and prove it
	ansible-playbook playbooks/up.yml

down: ## remove the stand-in host and what was made for it
	bin/down

verify: ## prove the stand-in host again
	ansible-playbook playbooks/verify.yml

test: ## everything that CI runs, from a clean checkout
	bin/test

lint: tools ## check the code, with nothing skipped
	bin/lint

unit: tools ## test our Python and templates
	pytest tests/unit cwl_airflow/tests/unit

molecule: standin ## one host from nothing to reboot and no network
	molecule test

base-box: ## make build/base-<version>-<provider>.box, bare Debian for Vagrant
	bin/box base

box: ## make build/cwl-airflow-production-<version>-<provider>.box, the whole host
	bin/box production

test-box: ## prove, package and prove the libvirt box under real Vagrant (LIBVIRT_DRIVER=qemu without KVM)
	bin/controller guestfs
	pytest -p no:cacheprovider -v tests/vagrant/test_libvirt_box.py --box build/cwl-airflow-production-*-libvirt.box --libvirt-driver=$(or $(LIBVIRT_DRIVER),kvm)

conformance: ## run a suite of CWL tests through the stand-in host: SUITE=<path of a conformance_tests.yaml>
	bin/conformance "$(SUITE)"

vagrant-docker: standin ## make the image, network and registry of vagrant up --provider=docker
	ansible-playbook playbooks/standin/vagrant.yml

bench: standin ## measure, and write docs/benchmarks.md
	python bench/run.py

lock: ## resolve the Python requirements again
	@bin/controller uv
	bin/lock

docs: tools ## generate the role READMEs from their argument specs
	bin/docs

tools: ## install the locked Python tools into .venv
	@bin/controller tools

standin:
	@bin/controller standin
