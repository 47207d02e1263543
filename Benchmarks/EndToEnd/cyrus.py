"""Debian's Cyrus for the comparison: unpacked by `tools/install test`, unprivileged, on loopback, in a folder of its own.

Defaults are kept wherever they do not limit the run: raised are the numbers of processes and of sessions that one of them
serves, and duplicates are not looked for.
"""
import pathlib
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "compare"))
from servers import PASSWORD, Server  # noqa: E402

UNPACKED = pathlib.Path(__file__).resolve().parents[2] / ".build/debian"
REALM = "example.test"

IMAPD_CONF = """configdirectory: {folder}/conf
defaultpartition: default
partition-default: {folder}/spool
sievedir: {folder}/sieve
cyrus_user: {user}
cyrus_group: {group}
virtdomains: userid
defaultdomain: other.test
unixhierarchysep: yes
altnamespace: yes
hashimapspool: yes
autocreate_quota: 0
autocreate_post: yes
duplicatesuppression: no
allowplaintext: yes
sasl_pwcheck_method: auxprop
sasl_auxprop_plugin: sasldb
sasl_sasldb_path: {folder}/sasldb
sasl_mech_list: PLAIN
popminpoll: 0
"""

CYRUS_CONF = """START {{
    recover cmd="{bin}/ctl_cyrusdb -C {folder}/imapd.conf -r"
}}
SERVICES {{
    lmtp cmd="{bin}/lmtpd -a -U 100000 -C {folder}/imapd.conf" listen="127.0.0.1:{lmtp_port}" prefork=4 maxchild=400
    pop3 cmd="{pop3_bin}/pop3d -U 100000 -C {folder}/imapd.conf" listen="127.0.0.1:{pop3_port}" prefork=4 maxchild=400
}}
"""


class Cyrus(Server):
    name = "Cyrus"

    def __init__(self, folder, users):
        super().__init__(folder, users)
        self.common, self.pop3 = UNPACKED / "cyrus-common", UNPACKED / "cyrus-pop3d"
        for package in (self.common, self.pop3):
            if not package.is_dir():
                raise RuntimeError(f"{package} is missing: tools/install test puts it there")

    def prepare(self):
        # Where another user may run it.
        copy = ["cp", "-r", "--no-preserve=ownership"]
        subprocess.run([*copy, self.common / "usr/lib", self.folder / "common"], check=True)
        subprocess.run([*copy, self.pop3 / "usr/lib", self.folder / "pop3"], check=True)
        self.libraries = self.folder / "common/x86_64-linux-gnu"
        for name in ("conf", *(f"conf/{each}" for each in ("db", "socket", "log", "msg", "proc", "lock", "user", "quota")),
                     "spool", "spool/stage.", "sieve"):
            (self.folder / name).mkdir()
        values = {"folder": self.folder, "user": self.user, "group": self.group, "lmtp_port": self.lmtp_port,
                  "pop3_port": self.pop3_port, "bin": self.folder / "common/cyrus/bin",
                  "pop3_bin": self.folder / "pop3/cyrus/bin"}
        (self.folder / "imapd.conf").write_text(IMAPD_CONF.format(**values))
        (self.folder / "cyrus.conf").write_text(CYRUS_CONF.format(**values))
        for number in range(self.users):
            subprocess.run(["/usr/sbin/saslpasswd2", "-p", "-c", "-f", self.folder / "sasldb", "-u", REALM,
                            f"user{number}"], input=PASSWORD.encode(), check=True)
        if self.prefix:
            subprocess.run(["chown", "-R", f"{self.user}:{self.group}", self.folder], check=True)

    def command(self):
        return ["env", f"LD_LIBRARY_PATH={self.libraries}", str(self.folder / "common/cyrus/bin/master"),
                "-C", str(self.folder / "imapd.conf"), "-M", str(self.folder / "cyrus.conf"),
                "-p", str(self.folder / "pid")]
