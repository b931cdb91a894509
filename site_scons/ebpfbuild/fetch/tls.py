"""Loads the certificates by which servers are trusted: this machine's, or those that the environment names.

Opens no connection, and needs the standard library alone: set-up's pip is fetched with the same certificates.
"""

import os
import ssl
from collections.abc import Mapping, Sequence
from functools import cache
from typing import NamedTuple

# X509_V_ERR_* of openssl/x509_vfy.h that say: nobody whom we trust vouches for this certificate.
_UNKNOWN_ISSUER = frozenset({2, 18, 19, 20, 21})


class Bundle(NamedTuple):
    """A file or folder of certificates, and the environment variable that names it."""

    variable: str
    path: str


class CertificatesError(Exception):
    """A bundle that holds no certificates; the text names it, its variable and the reason."""


def named_bundles(environ: Mapping[str, str], *more: str) -> tuple[Bundle, ...]:
    """Returns the bundles that take the place of this machine's own: none unless a variable names one.

    The first of `more`, REQUESTS_CA_BUNDLE and CURL_CA_BUNDLE counts alone, as for requests and pip; else SSL_CERT_FILE
    and SSL_CERT_DIR count together, as for OpenSSL.
    """
    for variable in (*more, "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        if path := environ.get(variable):
            return (Bundle(variable, path),)
    return tuple(Bundle(name, environ[name]) for name in ("SSL_CERT_FILE", "SSL_CERT_DIR") if environ.get(name))


@cache
def trusting(bundles: Sequence[Bundle], fallback: str | None = None, certificate: str = "") -> ssl.SSLContext:
    """Returns a context that trusts the bundles.

    Without any it trusts this machine's certificates, and those in the file `fallback`. `certificate` is a PEM file
    with the certificate and the key by which this side says who it is, if any. Raises CertificatesError.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    for bundle in bundles:
        folder = os.path.isdir(bundle.path)
        try:
            context.load_verify_locations(
                cafile=None if folder else bundle.path, capath=bundle.path if folder else None
            )
        except (OSError, ValueError) as error:
            reason = (
                "no PEM certificate in it"
                if isinstance(error, ssl.SSLError)
                else getattr(error, "strerror", None) or error
            )
            raise CertificatesError(
                f"{bundle.path} holds no certificates ({reason}); correct {bundle.variable}"
            ) from None
    if not bundles:
        context.load_default_certs()
        if fallback:
            context.load_verify_locations(cafile=fallback)
    if certificate:
        _load_own(context, certificate)
    return context


def _load_own(context: ssl.SSLContext, certificate: str) -> None:
    try:
        # A key that wants a password would ask on the terminal.
        context.load_cert_chain(certificate, password=lambda: "")
    except (OSError, ValueError) as error:
        reason = (
            "no PEM certificate with its key, or a key with a password"
            if isinstance(error, (ssl.SSLError, ValueError))
            else error.strerror
        )
        raise CertificatesError(f"{certificate} is no certificate to log in with ({reason})") from None


def distrust(error: ssl.SSLCertVerificationError, bundles: Sequence[Bundle]) -> str:
    """Explains a refused certificate: what is wrong with it, what it was held against, and what to set."""
    reason = f"no trusted TLS connection: {error.verify_message}"
    if error.verify_code not in _UNKNOWN_ISSUER:
        return reason
    if bundles:
        named = " and ".join(f"{bundle.variable}={bundle.path}" for bundle in bundles)
        return f"{reason}, by {named}: add the CA that your network uses to it"
    return (
        f"{reason}, by this machine's certificates: name the file with the CA that your network uses in SSL_CERT_FILE"
    )
