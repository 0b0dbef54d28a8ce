"""Who does something: a user, an API token, somebody in Crisp's frame, the command line, the service.

Whoever changes something for a person takes an `Actor`, and writes it into the audit log.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Literal

from app.errors import CrispsyncError

ActorKind = Literal["user", "token", "frame", "command", "system"]


class Role(IntEnum):
    """Each may do all that the ones before it may (SPEC P4)."""

    VIEWER = 1
    MEMBER = 2
    ADMIN = 3

    @property
    def word(self) -> str:
        return self.name.lower()


class Forbidden(CrispsyncError):
    """It exists and may not be done by this one; nothing was done."""

    http_status = 403
    exit_code = 2


@dataclass(frozen=True, slots=True)
class Actor:
    """`id` is the user's or token's, `name` what people read. `website_ids` None means every website."""

    kind: ActorKind
    id: str
    name: str
    role: Role
    website_ids: frozenset[str] | None = None

    def sees(self, website_id: str) -> bool:
        return self.website_ids is None or website_id in self.website_ids

    def may(self, role: Role, website_id: str | None = None) -> bool:
        return self.role >= role and (website_id is None or self.sees(website_id))

    def require(self, role: Role) -> None:
        """Raises Forbidden. Whether a website is seen is another matter: what is not seen is not found."""
        if self.role < role:
            raise Forbidden(
                f"This needs the role {role.word}; you are {self.role.word}. Ask an admin."
            )


COMMAND = Actor("command", "command", "command line", Role.ADMIN)
"""Whoever may run the program on its machine may do everything."""
SYSTEM = Actor("system", "system", "crispsync", Role.ADMIN)
"""What happens by itself."""
