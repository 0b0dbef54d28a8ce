"""The signature of a plugin's web hook (crisp/REFERENCE.md 7.3): HMAC-SHA256 over `[timestamp;body]`, as hex."""

from __future__ import annotations

import binascii
import hmac
from collections.abc import Sequence

DIGEST_BYTES = 32
# Epoch ms has 13 digits. Whatever is longer is no time, and is not worth hashing.
_LONGEST_TIMESTAMP = 64


def fitting_secret(
    secrets: Sequence[bytes], timestamp: bytes, body: bytes, signature: bytes
) -> int | None:
    """The index of the secret with which `body` was signed; None when it was none of them.

    `timestamp` and `signature` are the headers X-Crisp-Request-Timestamp and X-Crisp-Signature,
    `body` the bytes as they came: no JSON survives being parsed and written again. Every secret is
    tried whatever the others gave, and a signature that is none costs the same as a wrong one.
    """
    claimed = _decoded(signature)
    signed = b"[%b;%b]" % (timestamp[:_LONGEST_TIMESTAMP], body)
    found = None
    for index, secret in enumerate(secrets):
        right = hmac.digest(secret, signed, "sha256")
        # Bytes: text with other letters than ASCII would raise TypeError (FAILURES case 8).
        if hmac.compare_digest(right, claimed or bytes(DIGEST_BYTES)) and claimed and found is None:
            found = index
    return found if len(timestamp) <= _LONGEST_TIMESTAMP else None


def is_well_formed(signature: bytes) -> bool:
    return _decoded(signature) is not None


def _decoded(signature: bytes) -> bytes | None:
    """64 hex digits, in either case as the reference lower-cases them; None for anything else."""
    if len(signature) != 2 * DIGEST_BYTES:
        return None
    try:
        return binascii.unhexlify(signature)
    except ValueError:
        return None
