"""Passes on standard error, but for what TensorFlow and XLA log in passing.

Run as a program of its own, between the command and the terminal: what a
library says before it ends the process is still passed on. Some of its lines
come before any setting of TensorFlow is read, so that those do not help.
"""

import os
import re
import subprocess
import sys

# Information and warnings, in the forms that they have in C++.
IN_PASSING = re.compile(
    rb"([IW]\d{4} \d\d:\d\d:\d+\.\d+ +\d+ \S+:\d+\] "
    rb"|\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d+: [IW] \S+:\d+\] "
    rb"|WARNING: All log messages before absl::InitializeLog\(\) "
    rb"|To enable the following instructions: )"
)
LEVEL = "TF_CPP_MIN_LOG_LEVEL"


def filter_logs():
    """Lets C++ libraries of this process write through the filter.

    Python's own `sys.stderr` stays what it is, a terminal perhaps. With
    `TF_CPP_MIN_LOG_LEVEL=0` in the environment all is passed on.
    """
    if os.environ.setdefault(LEVEL, "2") == "0":  # 2: errors and worse
        return
    direct = os.fdopen(os.dup(2), "w", 1, errors="backslashreplace")
    program = subprocess.Popen(
        [sys.executable, "-I", "-S", __file__],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
    )
    os.dup2(program.stdin.fileno(), 2)
    program.stdin.close()
    sys.stderr = direct


def main():
    import signal

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the command says it all
    for line in sys.stdin.buffer:
        if not IN_PASSING.match(line):
            sys.stderr.buffer.write(line)
            sys.stderr.buffer.flush()


if __name__ == "__main__":
    main()
