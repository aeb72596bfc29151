"""A stored space is read back as it was, or refused with its path. That all spaces round-trip is a law in test_laws."""

from __future__ import annotations

from abc import ABC, abstractmethod

import pytest

from search_spaces.language import Choice, Float, Int, OneOf, Repeat, Searchable, Space, SpaceError
from search_spaces.storing import space_overrides_from_dict, space_overrides_to_dict


class Body(Searchable, ABC):
    @abstractmethod
    def build(self) -> int: ...


class Small(Body):
    width: int = Int(1, 8)

    def build(self) -> int:
        return self.width


class Inner(Searchable):
    rate: float = Float(0.0, 1.0)


class Other(Searchable):
    rate: float = Float(0.0, 1.0)


class Root(Searchable):
    body: Body = OneOf(Body, default=Small())
    lists: tuple[tuple[Inner | Other, ...], ...] = Repeat(Repeat(OneOf(Inner, Other), 1, 2), 1, 2)
    mode: str | None = Choice("a", "b", None)


SPACE = Space(
    Root,
    {
        "body": OneOf(Small, default=Small(width=3)),
        "body/Small/width": Int(2, 4, default=3),
        "lists/0/*": OneOf(Other),
        "*/rate": Float(0.25, 0.5),
        "mode": None,
    },
)
STORED = {
    "body": {"domain": "OneOf", "families": ["Small"], "default": {"family": "Small", "width": 3}},
    "body/Small/width": {"domain": "Int", "low": 2, "high": 4, "log": False, "multiple_of": 1, "default": 3},
    "lists/0/*": {"domain": "OneOf", "families": ["Other"], "default": None},
    "*/rate": {"domain": "Float", "low": 0.25, "high": 0.5, "log": False},
    "mode": {"domain": "Choice", "values": [None], "ordered": False},
}


def test_the_stored_form_is_stable():
    assert space_overrides_to_dict(SPACE) == STORED
    assert Space(Root, space_overrides_from_dict(STORED, Root, (Small,))) == SPACE


@pytest.mark.parametrize(
    ("stored", "text"),
    [
        ({"body": STORED["body"]}, "body: the family 'Small' isn't known; its class must be given by families="),
        (
            {"lists/0/*": {**STORED["lists/0/*"], "families": ["Othr"]}},
            "lists/0/*: the family 'Othr' isn't known; did you mean 'Other'?; its class must be given by families=",
        ),
        ({"mode": {"domain": "Chice"}}, "mode: a stored domain must be one of Int, Float, Choice, OneOf, got 'Chice'"),
        ({"mode": {"domain": "Choice"}}, "mode must be a stored domain with all of its fields, got {'domain': 'Choice'}"),
        ({"mode": 3}, "mode must be a stored domain with all of its fields, got 3"),
        ({"mode": {**STORED["mode"], "values": []}}, "mode: Choice: options must be at least one and all different, got ()"),
    ],
)
def test_what_cannot_be_read_is_an_error_with_its_path(stored, text):
    with pytest.raises(SpaceError) as error:
        space_overrides_from_dict(stored, Root)
    assert str(error.value) == text
