"""What records say of themselves."""

from app.records import CompanyRef, conversation_id


def test_a_company_is_named_by_its_domain_first() -> None:  # SPEC D6
    assert CompanyRef("Acme", "acme.example").key == ("domain", "acme.example")
    assert CompanyRef("Acme", None).key == ("name", "acme")


def test_ids_of_conversations_follow_from_website_and_session() -> None:
    assert conversation_id("w", "s") == conversation_id("w", "s")
    assert (
        len({conversation_id("w", "s"), conversation_id("w", "t"), conversation_id("v", "s")}) == 3
    )
