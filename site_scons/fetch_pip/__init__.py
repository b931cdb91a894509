"""Fetches the pip that pip.lock pins, before anything is installed: set-up needs no ensurepip and no pip.

`python -I site_scons/fetch_pip LOCK FOLDER [--offline]` leaves the verified wheel in FOLDER and prints its path. It
looks where pip itself would be told to look: the folders and pages of `find-links`, then the indexes, as pip's
environment variables and configuration files name them (https://pip.pypa.io/en/stable/topics/configuration/). An index
is a "simple" one (PEP 503).

`pin` reads the lock, `settings` pip's configuration, `places` looks into each place, `web` reads URLs. Of `ebpfbuild`
it uses the modules that need the standard library alone.
"""
