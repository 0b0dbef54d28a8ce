"""How a hook is signed and which headers it carries (crisp/REFERENCE.md sections 7.2, 7.3)."""

import hashlib
import hmac

from app.sandbox.chance import key_of


def signature(secret: str, timestamp: str, body: bytes) -> str:
    """Lowercase hex HMAC-SHA256 over ``[timestamp;body]``."""
    signed = b"[" + timestamp.encode() + b";" + body + b"]"
    return hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()


def origin_of(seed: int) -> str:
    """``X-Crisp-Hook-Origin``, in the form of Crisp's sample."""
    return f"plugin/rtm {key_of(seed, 'origin'):016x} production"


def signed_headers(
    secret: str, origin: str, body: bytes, *, timestamp_ms: int, attempt: int, limit: int
) -> dict[str, str]:
    """The headers of one delivery; ``attempt`` counts from 1 to ``limit``."""
    timestamp = str(timestamp_ms)
    return {
        "Content-Type": "application/json",
        "X-Crisp-Hook-Origin": origin,
        "X-Crisp-Request-Timestamp": timestamp,
        "X-Crisp-Signature": signature(secret, timestamp, body),
        "X-Delivery-Attempt-Limit": str(limit),
        "X-Delivery-Attempt-Count": str(attempt),
    }
