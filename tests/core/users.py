"""Other users of this machine, whom root plays."""

import os
import traceback


def become(user, groups, umask, call):
    """Runs `call()` in a child process as a user and fails with its traceback."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.setgroups(groups)
            os.setresgid(user, user, user)
            os.setresuid(user, user, user)
            os.umask(umask)
            call()
        except BaseException:
            os.write(writing, traceback.format_exc().encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as told:
        text = told.read()
    os.waitpid(child, 0)
    assert not text, text
