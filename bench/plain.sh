#!/bin/sh
# The same installs as site.yml as a plain shell script, with nothing checked, secured or tuned: what
# `make bench` compares with. Runs on a bare Debian 13 host as root, with the lock in /root/lock
# and what makes apt find MySQL in /root/apt.
set -eu
export DEBIAN_FRONTEND=noninteractive
cp /root/apt/*.sources /etc/apt/sources.list.d/
cp /root/apt/*.pref /etc/apt/preferences.d/
apt-get update -q
apt-get install -y -q --no-install-recommends chrony mysql-server rabbitmq-server docker.io docker-cli iptables nodejs python3-venv \
  libmysqlclient24
rabbitmq-plugins enable rabbitmq_management
rabbitmqctl add_vhost airflow
rabbitmqctl add_user airflow airflow
rabbitmqctl set_permissions -p airflow airflow '.*' '.*' '.*'
printf '{"registry-mirrors": ["http://registry:5000"]}\n' > /etc/docker/daemon.json
systemctl restart docker
mysql -e "CREATE DATABASE airflow CHARACTER SET utf8mb4; CREATE USER airflow@localhost IDENTIFIED BY 'airflow';
          GRANT ALL ON airflow.* TO airflow@localhost"
apt-get install -y -q --no-install-recommends gcc libmysqlclient-dev pkg-config python3-dev
python3 -m venv /opt/uv
/opt/uv/bin/pip install -q uv==0.13.9
export SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt
/opt/uv/bin/uv venv -q /opt/airflow
/opt/uv/bin/uv pip install -q --no-cache --no-deps --compile-bytecode --python /opt/airflow/bin/python \
  -r /root/lock/requirements.txt -r /root/lock/compiled.txt
apt-get purge -y -q --auto-remove gcc libmysqlclient-dev pkg-config python3-dev
useradd --system --create-home --home-dir /var/lib/airflow --groups docker airflow
cat > /etc/default/airflow <<X
AIRFLOW_HOME=/var/lib/airflow
AIRFLOW__CORE__EXECUTOR=CeleryExecutor
AIRFLOW__CORE__AUTH_MANAGER=airflow.providers.fab.auth_manager.fab_auth_manager.FabAuthManager
AIRFLOW__CORE__LOAD_EXAMPLES=False
AIRFLOW__DATABASE__SQL_ALCHEMY_CONN=mysql+mysqldb://airflow:airflow@localhost/airflow?charset=utf8mb4
AIRFLOW__CELERY__RESULT_BACKEND=db+mysql://airflow:airflow@localhost/airflow
AIRFLOW__CELERY__BROKER_URL=amqp://airflow:airflow@127.0.0.1/airflow
AIRFLOW__API__SECRET_KEY=secret
AIRFLOW__API_AUTH__JWT_SECRET=a-secret-of-more-than-sixty-four-bytes-as-the-signatures-of-tokens-want-it
PATH=/opt/airflow/bin:/usr/sbin:/usr/bin:/sbin:/bin
X
set -a
# shellcheck disable=SC1091  # written above
. /etc/default/airflow
set +a
cd /var/lib/airflow
runuser -u airflow -- airflow db migrate
runuser -u airflow -- airflow users create -u admin -p admin -f a -l b -r Admin -e admin@example.org
for service in api-server scheduler dag-processor triggerer "celery worker" "celery flower"; do
  name=airflow-${service#celery }
  cat > "/etc/systemd/system/$name.service" <<X
[Service]
User=airflow
EnvironmentFile=/etc/default/airflow
ExecStart=/opt/airflow/bin/airflow $service
[Install]
WantedBy=multi-user.target
X
  systemctl enable --now "$name"
done
until python3 -c 'import urllib.request; urllib.request.urlopen("http://127.0.0.1:8080/api/v2/monitor/health")' 2> /dev/null; do sleep 1; done
for image in hello-world debian:trixie-slim biocontainers/bwa:v0.7.17_cv1 biocontainers/samtools:v1.9-4-deb_cv1 \
  biocontainers/bedtools:v2.27.1dfsg-4-deb_cv1; do
  docker pull -q "$image"
done
