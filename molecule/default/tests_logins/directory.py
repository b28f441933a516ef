"""An LDAP directory on a host: slapd, which takes nobody's password without TLS."""

from __future__ import annotations

import shlex

from dags import wait_for

BIND = "cn=airflow,dc=example,dc=org"
BIND_PASSWORD = "of-airflow: 50 % $HOME"
PASSWORD = "of-the-directory"
ADMINS, VIEWERS = (f"cn={name},ou=groups,dc=example,dc=org" for name in ("admins", "viewers"))
#: Nobody without TLS; and passwords for logins only.
SLAPD = """
include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/inetorgperson.schema
modulepath /usr/lib/ldap
moduleload back_mdb
moduleload memberof
TLSCertificateFile /etc/ssl/site/host.pem
TLSCertificateKeyFile /etc/ssl/site/host.key
security simple_bind=128
access to attrs=userPassword by anonymous auth by * none
access to * by users read by * none
database mdb
directory /tmp/directory
suffix dc=example,dc=org
rootdn cn=root,dc=example,dc=org
rootpw root
overlay memberof
"""
TREE = f"""
dn: dc=example,dc=org
objectClass: domain
dc: example

dn: ou=people,dc=example,dc=org
objectClass: organizationalUnit
ou: people

dn: ou=groups,dc=example,dc=org
objectClass: organizationalUnit
ou: groups

dn: {BIND}
objectClass: applicationProcess
objectClass: simpleSecurityObject
cn: airflow
userPassword: {BIND_PASSWORD}
"""
PERSON = """
dn: uid={0},ou=people,dc=example,dc=org
objectClass: inetOrgPerson
uid: {0}
cn: {0}
sn: {0}
mail: {0}@example.org
userPassword: {1}
"""
#: Has none of the attributes that are asked for, but for a group.
ACCOUNT = """
dn: uid={0},ou=people,dc=example,dc=org
objectClass: account
objectClass: simpleSecurityObject
uid: {0}
userPassword: {1}
"""
GROUP = """
dn: {}
objectClass: groupOfNames
"""
MEMBER = "member: uid={},ou=people,dc=example,dc=org\n"


class Directory:
    """A directory with people, one of whom is called as the site's administrator is."""

    def __init__(self, host):
        """Name the host."""
        self.host = host

    def start(self):
        """Start it, on other ports than its package does."""
        install = "DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends slapd ldap-utils"
        self.host.check_output(f"{install} && systemctl disable --now slapd && mkdir /tmp/directory")
        self.host.check_output("echo %s > /tmp/directory.conf", SLAPD)
        urls = "ldap://localhost:1389 ldaps://localhost:1636"
        self.host.check_output(f"systemd-run --unit=directory slapd -d 0 -f /tmp/directory.conf -h '{urls}'")
        wait_for("directory", lambda: self.host.run("ldapsearch -x -H ldaps://localhost:1636 -b ''").rc != 255, 30)
        people = "".join(PERSON.format(name, PASSWORD) for name in ("ann", "bea", "cid", "admin"))
        people += ACCOUNT.format("dan", PASSWORD)
        members = {ADMINS: ["ann"], VIEWERS: ["bea", "dan"]}
        groups = "".join(GROUP.format(name) + "".join(map(MEMBER.format, who)) for name, who in members.items())
        self.change(TREE + people + groups, "-a")

    def change(self, text, *options):
        """Change what it has."""
        command = ["ldapmodify", "-H", "ldaps://localhost:1636", "-D", "cn=root,dc=example,dc=org", "-w", "root"]
        self.host.check_output(f"printf %s {shlex.quote(text.strip())} | {shlex.join([*command, *options])}")

    def stop(self):
        """Remove it."""
        self.host.run("systemctl stop directory; rm -r /tmp/directory /tmp/directory.conf")
