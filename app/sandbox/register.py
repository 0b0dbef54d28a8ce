"""The people of a website: computed profiles with what has changed since laid over them."""

from typing import Any

from app.sandbox.addresses import email_form
from app.sandbox.chance import index_of
from app.sandbox.ordering import TimeOrder, pack
from app.sandbox.population import Population, basics, created_at, people_id
from app.sandbox.profiles import custom_data, profile

Json = dict[str, Any]


class Register:
    """People by number, by people_id and by address."""

    def __init__(self, population: Population) -> None:
        self.population = population
        self.profiles: dict[int, Json] = {}
        self.people_gone: dict[int, int] = {}
        self.data: dict[int, Json] = {}
        self.people_total = population.size
        self._by_email: dict[str, set[int]] | None = None
        numbers = range(population.size)
        self.people_order = TimeOrder(pack(created_at(population, p), p) for p in numbers)

    def person_number(self, people: str) -> int | None:
        """The number of a person that exists, by people_id or by e-mail address."""
        if "@" in people:
            found = sorted(self.by_email.get(email_form(people) or "", ()))
            return found[0] if found else None
        p = self.person_ever(people)
        return None if p is None or p in self.people_gone else p

    def person_ever(self, people: str) -> int | None:
        """The number of a person by people_id, even of one that was removed."""
        return index_of(self.population.key ^ 0x50, people, self.people_total)

    def people_id(self, p: int) -> str:
        return people_id(self.population, p)

    def profile(self, p: int) -> Json:
        changed = self.profiles.get(p)
        return changed if changed is not None else profile(self.population, p)

    def custom_data(self, p: int) -> Json:
        return self.data[p] if p in self.data else custom_data(self.population, p)

    def address_of(self, p: int) -> str | None:
        changed = self.profiles.get(p)
        if changed is not None:
            value = changed.get("email")
            return value if isinstance(value, str) else None
        return basics(self.population, p).email

    @property
    def by_email(self) -> dict[str, set[int]]:
        """Numbers of the living people by comparison form of their address."""
        if self._by_email is None:
            self._by_email = {}
            for p in self.people_order.numbers():
                self._index_address(self._by_email, p)
        return self._by_email

    def _index_address(self, table: dict[str, set[int]], p: int) -> None:
        form = email_form(self.address_of(p))
        if form is not None:
            table.setdefault(form, set()).add(p)

    def store_profile(self, p: int, body: Json | None) -> None:
        """Replace a person's profile (None: no longer there), keeping the address index true."""
        old = email_form(self.address_of(p))
        if old is not None and old in self.by_email:
            self.by_email[old].discard(p)
        if body is not None:
            self.profiles[p] = body
            if p not in self.people_gone:
                self._index_address(self.by_email, p)
