"""Verifies webhooks with the public Standard Webhooks library, as a partner would.

Usage: verify.py FOLDER < lines
Each line is JSON: {"secret", "id", "timestamp", "signature", "body", "now"}; prints "ok" or the fault
of each. "now", in seconds, is what the library shall take for the time; null is the machine's. FOLDER is a virtual environment, made here with the library of requirements.txt when it is
not there yet.
"""

import fcntl
import json
import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent


def python_of(folder: Path) -> Path:
    python = folder / "bin" / "python"
    folder.parent.mkdir(parents=True, exist_ok=True)
    # tests that run at once make it once
    with open(f"{folder}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        made = folder / "made"
        if not made.exists():
            subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True, stdout=2)
            requirements = HERE / "requirements.txt"
            pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
            subprocess.run([*pip, "-r", requirements], check=True, stdout=2)
            made.touch()
    return python


def verify() -> None:
    from datetime import datetime

    from standardwebhooks import webhooks
    from standardwebhooks.webhooks import Webhook, WebhookVerificationError

    class Told(datetime):
        """The clock of whoever sent the line."""

        seconds = None

        @classmethod
        def now(cls, tz=None):
            return datetime.now(tz) if cls.seconds is None else datetime.fromtimestamp(cls.seconds, tz)

    webhooks.datetime = Told
    for line in sys.stdin:
        sent = json.loads(line)
        Told.seconds = sent["now"]
        headers = {f"webhook-{name}": sent[name] for name in ("id", "timestamp", "signature")}
        try:
            Webhook(sent["secret"]).verify(sent["body"], headers)
            print("ok")
        except WebhookVerificationError as fault:
            print(fault)


if __name__ == "__main__":
    if os.environ.get("VERIFY_INSIDE") == "1":
        verify()
    else:
        python = python_of(Path(sys.argv[1]))
        os.environ["VERIFY_INSIDE"] = "1"
        os.execv(python, [str(python), __file__, sys.argv[1]])
