"""One website of the world: its people, its conversations, its operators."""

from typing import Any

from app.sandbox.cases import Casebook
from app.sandbox.conversations import operator_id
from app.sandbox.phrases import names
from app.sandbox.register import Register
from app.sandbox.threads import Threads

Json = dict[str, Any]


class Site(Threads, Register):
    """A website, and whether the plugin is installed on it."""

    def __init__(self, website_id: str, name: str, book: Casebook, token: str) -> None:
        Threads.__init__(self, website_id, book)
        Register.__init__(self, book.people)
        self.name = name
        self.token = token
        self.installed = True
        self.install_changes: list[tuple[int, str]] = []
        self._of_person: dict[str, list[int]] | None = None

    def sessions_of(self, people: str) -> list[str]:
        """Sessions bound to a person, newest first; the table is built when first asked for."""
        if self._of_person is None:
            self._of_person = {}
            for i in self.by_update.numbers():
                self.bind(i, self.people_id_in(i))
        numbers = self._of_person.get(people, [])
        live = [i for i in numbers if self.number_of(self.session_id(i)) is not None]
        live = [i for i in live if self.people_id_in(i) == people]
        return [self.session_id(i) for i in sorted(live, key=self.updated_at, reverse=True)]

    def bind(self, i: int, people: str | None) -> None:
        """Note the binding in the table of sessions by person, if there is one yet."""
        if self._of_person is not None and people and i not in self._of_person.get(people, ()):
            self._of_person.setdefault(people, []).append(i)

    def operators(self) -> list[Json]:
        listed = names()["operators"][: self.book.operators]
        return [self._operator(k, *row) for k, row in enumerate(listed)]

    def _operator(self, k: int, first: str, last: str, role: str, title: str) -> Json:
        details = {
            "user_id": operator_id(self.book.key, k),
            "email": f"operator{k}@support.example",
            "avatar": "",
            "first_name": first,
            "last_name": last,
            "role": role,
            "title": title,
            "availability": "online" if k < 2 else "offline",
            "has_token": k == 0,
        }
        return {"type": "operator", "details": details}
