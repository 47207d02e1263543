#!/usr/bin/env python3
"""Serves one Maildir with Debian's Dovecot and prints what an IMAP client sees, as JSON.

    serve_maildir.py MAILDIR FOLDER

MAILDIR is used as it is (Dovecot writes its indexes into it, so give it a copy). FOLDER is for Dovecot's own files and
must be new. Dovecot runs on a free loopback port, without root's rights, and is ended by its process id.
"""
import hashlib
import imaplib
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import time

DOVECOT = "/usr/sbin/dovecot"
PASSWORD = "maildir-secret"
START_SECONDS_MAX = 20
STOP_SECONDS_MAX = 20

CONFIGURATION = """
base_dir = @FOLDER@/run
state_dir = @FOLDER@/state
log_path = @FOLDER@/dovecot.log
protocols = imap
listen = 127.0.0.1
ssl = no
disable_plaintext_auth = no
default_internal_user = @USER@
default_internal_group = @GROUP@
default_login_user = @USER@
first_valid_uid = 1
mail_location = maildir:@MAILDIR@
mail_plugins = listescape
plugin {
  listescape_char = "\\\\"
}
namespace inbox {
  inbox = yes
  separator = /
}
passdb {
  driver = static
  args = password=@PASSWORD@
}
userdb {
  driver = static
  args = uid=@USER@ gid=@GROUP@ home=@FOLDER@/home allow_all_users=yes
}
service anvil {
  chroot =
}
service imap-login {
  chroot =
  inet_listener imap {
    port = @PORT@
  }
  inet_listener imaps {
    port = 0
  }
}
"""


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def own_user():
    """The command prefix that drops root, and the (user, group) names that Dovecot then has."""
    if os.getuid() == 0:
        return ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"], ("nobody", "nogroup")
    import grp
    import pwd
    return [], (pwd.getpwuid(os.getuid()).pw_name, grp.getgrgid(os.getgid()).gr_name)


def check(answer):
    kind, data = answer
    if kind != "OK":
        raise RuntimeError(f"Dovecot answered {kind} {data}")
    return data


def mailbox_names(lines):
    """Names of LIST and LSUB responses, which Dovecot quotes or sends as literals."""
    names = []
    for line in lines:
        if isinstance(line, tuple):
            names.append(line[1].decode())
        elif line and (found := re.match(rb'\([^)]*\) "?[^ ]+"? (.*)', line)):
            name = found[1].decode()
            names.append(re.sub(r"\\(.)", r"\1", name[1:-1]) if name.startswith('"') else name)
    return sorted(names)


def messages(client):
    found = []
    data = check(client.uid("FETCH", "1:*", "(UID FLAGS RFC822.SIZE INTERNALDATE BODY.PEEK[])"))
    for part in data:
        if not isinstance(part, tuple):
            continue
        line, body = part[0].decode(), part[1]
        rest = data[data.index(part) + 1]
        line += rest.decode() if isinstance(rest, bytes) else ""
        flags = re.search(r"FLAGS \(([^)]*)\)", line)[1].split()
        date = imaplib.Internaldate2tuple(line.encode())
        found.append({
            "uid": int(re.search(r"UID (\d+)", line)[1]),
            "flags": sorted(flag for flag in flags if flag != "\\Recent"),
            "size": int(re.search(r"RFC822.SIZE (\d+)", line)[1]),
            "seconds": int(time.mktime(date)),
            "sha256": hashlib.sha256(body).hexdigest(),
        })
    return found


def look(port):
    client = imaplib.IMAP4("127.0.0.1", port, timeout=30)
    client.login("reader", PASSWORD)
    boxes = {}
    for name in mailbox_names(check(client.list('""', '"*"'))):
        quoted = '"' + re.sub(r'(["\\])', r"\\\1", name) + '"'
        check(client.select(quoted, readonly=True))
        boxes[name] = {
            "uidvalidity": int(client.response("UIDVALIDITY")[1][0]),
            "uidnext": int(client.response("UIDNEXT")[1][0]),
            "messages": messages(client),
        }
    subscribed = mailbox_names(check(client.lsub('""', '"*"')))
    client.logout()
    return {"mailboxes": boxes, "subscribed": subscribed}


def main():
    # A parent may have blocked SIGTERM, and Dovecot would inherit that.
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    maildir, folder = (pathlib.Path(argument).resolve() for argument in sys.argv[1:3])
    prefix, (user, group) = own_user()
    for part in ("run", "state", "home"):
        (folder / part).mkdir(parents=True)
    values = {"FOLDER": folder, "MAILDIR": maildir, "USER": user, "GROUP": group, "PASSWORD": PASSWORD,
              "PORT": free_port()}
    text = CONFIGURATION
    for name, value in values.items():
        text = text.replace(f"@{name}@", str(value))
    (folder / "dovecot.conf").write_text(text)
    if prefix:
        for root in (folder, maildir):
            subprocess.run(["chown", "-R", f"{user}:{group}", str(root)], check=True)
    server = subprocess.Popen(
        prefix + [DOVECOT, "-F", "-c", str(folder / "dovecot.conf")], stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    try:
        end = time.monotonic() + START_SECONDS_MAX
        while True:
            try:
                with socket.create_connection(("127.0.0.1", values["PORT"]), timeout=1) as s:
                    if s.recv(1):
                        break
            except OSError:
                pass
            if server.poll() is not None or time.monotonic() > end:
                raise RuntimeError("Dovecot did not start")
            time.sleep(0.05)
        seen = look(values["PORT"])
    finally:
        server.send_signal(signal.SIGTERM)
        try:
            server.wait(STOP_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()
        log = folder / "dovecot.log"
        lines = log.read_text(errors="replace").splitlines() if log.exists() else []
    # Anything that Dovecot found wrong with the tree.
    seen["complaints"] = [line for line in lines if re.search(r"Error|Warning|Panic|Fatal", line)
                          and "Killed with signal 15" not in line]
    json.dump(seen, sys.stdout)


if __name__ == "__main__":
    if not shutil.which(DOVECOT):
        sys.exit("serve_maildir.py: dovecot-core and dovecot-imapd are not installed (tools/install test)")
    main()
