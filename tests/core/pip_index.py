"""The wheel that set-up is to find in the tests of fetch_pip, and an index that has it."""

import hashlib

from faultserver import body
from fetch_pip.pin import Pin

DATA = b"PK a wheel" * 1000
PIN = Pin("26.3", hashlib.sha256(DATA).hexdigest())
WHEEL = "pip-26.3-py3-none-any.whl"
PAGE = f'<!doctype html><a href="../../files/pip-26.2.whl">old</a> <a href="../../files/{WHEEL}#sha256=0">new</a>'.encode()


def index_of(server, page=PAGE, *wheel):
    """An index on the server with pip's page, and the wheel that it links to."""
    server.say(*(wheel or (body(DATA),)), path=f"/files/{WHEEL}")
    server.say(body(page), path="/simple/pip/")
    return server.url("/simple")
