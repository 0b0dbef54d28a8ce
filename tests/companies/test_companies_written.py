"""Which company a profile means, what it is called, and who belongs to it since when."""

from itertools import permutations

from sqlalchemy import delete, select

from app.companies.tables import companies, company_aliases, contact_companies
from app.contacts.tables import contacts
from app.records import ContactRecord
from tests.ingesting import Site, connected, moment, person, talk


def works_at(
    people_id: str, name: str | None, domain: str | None = None, at: float = 0
) -> ContactRecord:
    return person(people_id, at=at, company={"name": name, "domain": domain})


async def aliases(site: Site) -> dict[str, str]:
    """kind:value of each alias to the name of its company."""
    rows = await site.rows(
        select(company_aliases.c.kind, company_aliases.c.value, companies.c.name).join_from(
            company_aliases, companies, company_aliases.c.company_id == companies.c.id
        )
    )
    return {f"{row.kind}:{row.value}": row.name for row in rows}


# SPEC D6
async def test_the_company_is_the_profiles_own_else_the_employers(database_url: str) -> None:
    job = {"employment": {"name": "Employer", "domain": "employer.example"}}
    async with connected(database_url) as site:
        await site.take(
            person("p", person=job, company={"name": "Acme"}),
            person("q", person=job),
            person("r", person=job, company={"name": " ", "domain": ""}),
            person("s"),
        )
        of = {p: [name for name, _, _ in await site.memberships(p)] for p in "pqrs"}
        assert of == {"p": ["Acme"], "q": ["Employer"], "r": ["Employer"], "s": []}


# SPEC D6
async def test_a_company_is_found_by_domain_else_by_normalised_name(database_url: str) -> None:
    async with connected(database_url) as site:
        await site.take(
            works_at("p", "Acme", "https://www.ACME.example/about"),
            works_at("q", "Acme Limited", "acme.example", at=-1),
            works_at("r", " aCMe ", at=-1),
            works_at("s", "Solo"), works_at("t", "SOLO", at=-1),
        )  # fmt: skip
        assert await site.company_names() == ["Acme", "Solo"]
        assert await aliases(site) == {
            "domain:acme.example": "Acme",
            "name:acme": "Acme",
            "name:acme limited": "Acme",
            "name:solo": "Solo",
        }


# SPEC D6
async def test_case_066_a_new_name_with_the_same_domain_is_a_rename(database_url: str) -> None:
    async with connected(database_url) as site:
        await site.take(works_at("p", "Acme", "acme.example"))
        company_id = (await site.rows(select(companies.c.id)))[0].id
        await site.take(works_at("p", "Acme Rockets", "acme.example", at=5))
        assert await site.company_names() == ["Acme Rockets"]
        assert (await site.rows(select(companies.c.id)))[0].id == company_id
        assert await aliases(site) == {
            "domain:acme.example": "Acme Rockets",
            "name:acme": "Acme Rockets",
            "name:acme rockets": "Acme Rockets",
        }
        assert len(await site.rows(select(contact_companies))) == 1


async def test_an_older_profile_does_not_take_a_rename_back(database_url: str) -> None:
    async with connected(database_url) as site:
        await site.take(works_at("p", "Acme", "acme.example", at=1))
        await site.take(works_at("q", "Acme", "acme.example", at=9))
        await site.take(works_at("r", "Acme Old", "acme.example", at=5))
        assert await site.company_names() == ["Acme"]


async def test_a_name_replaces_the_domain_that_stood_for_it(database_url: str) -> None:
    async with connected(database_url) as site:
        await site.take(works_at("p", None, "acme.example", at=9))
        assert await site.company_names() == ["acme.example"]
        await site.take(works_at("q", "Acme", "acme.example", at=1))
        assert await site.company_names() == ["Acme"]


async def test_all_orders_of_the_profiles_give_the_company_the_same_name(
    database_url: str,
) -> None:
    async with connected(database_url) as site:
        orders = list(permutations([("Acme", 1), ("Acme", 7), ("Acme Old", 5), (None, 9)]))
        for turn in range(4):
            told = [(n, *order[turn]) for n, order in enumerate(orders)]
            await site.take(
                *(works_at(f"p-{n}-{turn}", name, f"{n}.example", at=at) for n, name, at in told)
            )
        assert await site.company_names() == ["Acme"] * len(orders)


# SPEC D6
async def test_without_a_domain_a_new_name_is_a_new_company(database_url: str) -> None:
    async with connected(database_url) as site:
        await site.take(works_at("p", "Acme"))
        await site.take(works_at("p", "Acme Rockets", at=5))
        assert await site.company_names() == ["Acme", "Acme Rockets"]


async def test_a_domain_takes_over_the_company_known_by_that_name_alone(database_url: str) -> None:
    async with connected(database_url) as site:
        await site.take(works_at("p", "Acme"))
        await site.take(works_at("q", "Acme", "acme.example"))
        assert await site.company_names() == ["Acme"]
        assert (await site.rows(select(companies.c.domain)))[0].domain == "acme.example"


async def test_two_domains_with_one_name_are_two_companies(database_url: str) -> None:
    """Also when both are met in one page, where the name alone was known."""
    async with connected(database_url) as site:
        await site.take(works_at("p", "Acme"))
        await site.take(works_at("q", "Acme", "acme.example"), works_at("r", "Acme", "acme.test"))
        assert await site.company_names() == ["Acme", "Acme"]
        domains = {row.domain for row in await site.rows(select(companies.c.domain))}
        assert domains == {"acme.example", "acme.test"}


async def test_case_066_a_changed_domain_is_another_company(database_url: str) -> None:
    async with connected(database_url) as site:
        await site.take(works_at("p", "Acme", "acme.example"))
        await site.take(works_at("p", "Acme", "acme.test", at=5))
        signed_up = (await site.contact("p")).signed_up_at
        assert await site.memberships("p") == [
            ("Acme", signed_up, moment(5)),
            ("Acme", moment(5), None),
        ]


# SPEC M8, D6
async def test_one_open_membership_of_a_profile_and_its_history(database_url: str) -> None:
    async with connected(database_url) as site:
        await site.take(works_at("p", "Acme"))
        signed_up = (await site.contact("p")).signed_up_at
        await site.take(works_at("p", "Bluefern", at=5))
        await site.take(works_at("p", None, at=7))
        await site.take(works_at("p", "Acme", at=9))
        assert await site.memberships("p") == [
            ("Acme", signed_up, moment(5)),
            ("Bluefern", moment(5), moment(7)),
            ("Acme", moment(9), None),
        ]


async def test_a_profile_told_twice_in_a_page_belongs_once(database_url: str) -> None:
    async with connected(database_url) as site:
        await site.take(works_at("p", "Acme", at=1), works_at("p", "Bluefern", at=2))
        assert [name for name, _, _ in await site.memberships("p")] == ["Bluefern"]


async def test_case_058_a_company_name_of_eight_kilobytes(database_url: str) -> None:
    long = "a" * 8_000
    async with connected(database_url) as site:
        outcome = await site.take(works_at("p", long), works_at("q", long.upper()))
        assert outcome.rejected == []
        assert len(await site.company_names()) == 1


async def test_erasing_a_website_takes_its_companies(database_url: str) -> None:
    """SPEC C8."""
    from app.websites.connect import forget_website

    async with connected(database_url) as site:
        await site.take(works_at("p", "Acme", "acme.example"))
        await forget_website(site.db, site.id)
        for table in (companies, company_aliases, contact_companies):
            assert await site.rows(select(table)) == []


# SPEC D6
async def test_one_company_whatever_the_order_of_its_profiles(database_url: str) -> None:
    """The domain under another name, the name alone, and the profile that joins the two."""
    profiles = (
        works_at("p", "Acme Limited", "acme.example", at=-3),
        works_at("q", "Acme", at=-2),
        works_at("r", "Acme", "acme.example", at=-1),
    )
    async with connected(database_url) as site:
        for number, order in enumerate(permutations(profiles)):
            for table in (company_aliases, contact_companies, companies, contacts):
                await site.execute(delete(table))
            for profile in order:
                await site.take(profile)
            assert await site.company_names() == ["Acme"], number
            assert {p: len(await site.memberships(p)) for p in "pqr"} == dict.fromkeys("pqr", 1)
            assert set(await aliases(site)) == {
                "domain:acme.example",
                "name:acme",
                "name:acme limited",
            }


# SPEC D6, M3
async def test_conversations_follow_a_company_that_another_absorbs(database_url: str) -> None:
    async with connected(database_url) as site:
        await site.take(
            works_at("p", "Acme Limited", "acme.example", at=-3),
            works_at("q", "Acme", at=-2),
            talk("s", people_id="q"),
        )
        assert await site.company_names() == ["Acme", "Acme Limited"]
        await site.take(works_at("r", "Acme", "acme.example", at=-1))
        assert await site.company_names() == ["Acme"]
        assert await site.companies_of_talk("s") == ["Acme"]
