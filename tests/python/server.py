# SPDX-License-Identifier: MIT
"""A user's server in a directory of its own."""

import json
import os
import shutil
import socket
import subprocess
import tempfile

CONFIG = {
    "templates": {
        "exec": {"lane": "exec", "pool": {"size": 2, "low": 1}, "nofork": "off", "prestart": True},
        "probe": {"lane": "object", "object": "probe.so", "pool": {"size": 2, "low": 1},
                  "prestart": True},
    },
}


class Server:
    def __init__(self, config=None):
        # A long $TMPDIR would not leave room in the 108 bytes of a socket's path.
        tmp = tempfile.gettempdir()
        self.dir = tempfile.mkdtemp(prefix="spawnd-test-", dir=tmp if len(tmp) <= 40 else "/tmp")
        os.mkdir(f"{self.dir}/run", 0o700)
        self.socket = f"{self.dir}/run/socket"
        with open(f"{self.dir}/spawnd.json", "w") as file:
            json.dump(config or CONFIG, file)
        self.log = open(f"{self.dir}/log", "wb")
        notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        with notify:
            notify.bind(f"{self.dir}/notify")
            notify.settimeout(60)
            self.process = subprocess.Popen(
                [os.environ["SPAWND"], "--user", "--config", f"{self.dir}/spawnd.json", "--socket",
                 self.socket, "--template-dir", os.environ["TEMPLATE_DIR"]],
                env={**os.environ, "NOTIFY_SOCKET": f"{self.dir}/notify",
                     "XDG_RUNTIME_DIR": self.dir},
                stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log)
            while b"READY=1" not in notify.recv(4096):
                pass

    def stop(self):
        """The log, when something is to be seen there."""
        self.process.terminate()
        code = self.process.wait(60)
        self.log.close()
        with open(f"{self.dir}/log", errors="replace") as log:
            text = log.read()
        shutil.rmtree(self.dir)
        if code:
            raise RuntimeError(f"the server ended with {code}:\n{text}")


    def forget(self):
        """One that was killed."""
        self.log.close()
        shutil.rmtree(self.dir)


server = None


def start():
    """For setUpModule(): what names no server finds this one."""
    global server
    server = Server()
    os.environ["SPAWND_SOCKET"] = server.socket


def stop():
    server.stop()
