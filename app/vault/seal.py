"""AES-GCM, bound to the place where the value stands: a copied row does not open elsewhere (SPEC P2)."""

from __future__ import annotations

import base64
import binascii
import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from app.errors import CrispsyncError
from app.vault.keys import Key, Keyring
from app.vault.tables import sealed_secrets

_NONCE = 12  # bytes, as NIST SP 800-38D wants it
PLUGIN = "plugin"
"""The owner of what belongs to no website."""


class Unreadable(CrispsyncError):
    """Sealed with a key that is not here, or altered, or copied from elsewhere."""

    http_status = 503
    exit_code = 1


def _place(owner: str, field: str, key: Key) -> bytes:
    return f"{sealed_secrets.name}\x1f{owner}\x1f{field}\x1f{key.id}".encode()


def seal(key: Key, owner: str, field: str, value: str) -> str:
    nonce = os.urandom(_NONCE)
    body = AESGCM(key.sealing).encrypt(nonce, value.encode(), _place(owner, field, key))
    return base64.b64encode(nonce + body).decode()


def unseal(keyring: Keyring, key_id: str, owner: str, field: str, sealed: str) -> str:
    """Raises Unreadable."""
    key = keyring.named(key_id)
    if key is None:
        raise Unreadable("It was sealed with a SECRET_KEY that is not here.")
    try:
        raw = base64.b64decode(sealed, validate=True)
        return (
            AESGCM(key.sealing)
            .decrypt(raw[:_NONCE], raw[_NONCE:], _place(owner, field, key))
            .decode()
        )
    except (InvalidTag, ValueError, binascii.Error):
        raise Unreadable(
            "It does not open here: it was altered, or copied from elsewhere."
        ) from None
