"""Did you mean, type-ahead, and the repository that a prompt names."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slackbot.core.repository_name import RepositoryName
from slackbot.core.suggestions import closest, closest_repository, matching, named_repository

SHOP, BLOG, API = RepositoryName("acme", "shop"), RepositoryName("acme", "blog"), RepositoryName("tools", "api")
INSTALLED = [BLOG, SHOP, API]


@pytest.mark.parametrize(
    ("typed", "meant"),
    [("mian", "main"), ("MASTRE", "master"), ("main", None), ("Main", None), ("zzz", None), ("", None)],
)
def test_closest(typed: str, meant: str | None) -> None:
    """A slip finds its name; a name that is right, or like none, finds nothing."""
    assert closest(typed, ["main", "master", "release-2"]) == meant


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("acme/shpo", SHOP),
        ("acmee/shop", SHOP),
        ("Acme/Shop", None),
        ("ada/api", API),
        ("nobody/nothing-like-it", None),
    ],
)
def test_closest_repository(typed: str, meant: RepositoryName | None) -> None:
    """A slip in either half, or the right name under the wrong owner."""
    assert closest_repository(RepositoryName(*typed.split("/")), INSTALLED) == meant


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", ["acme/blog", "acme/shop", "tools/api"]),
        ("ac", ["acme/blog", "acme/shop"]),
        ("SH", ["acme/shop"]),
        ("a", ["acme/blog", "acme/shop", "tools/api"]),
        ("ols", ["tools/api"]),
        ("acme/shpo", ["acme/shop", "acme/blog"]),
        ("zzzz", []),
    ],
)
def test_matching(query: str, found: list[str]) -> None:
    """What begins so, then parts that do, then what holds it; a slip still finds something."""
    assert matching(query, [name.full_name for name in INSTALLED], 10) == found
    assert matching(query, [name.full_name for name in INSTALLED], 1) == found[:1]


@pytest.mark.parametrize(
    ("prompt", "named"),
    [
        ("fix the checkout in acme/shop please", SHOP),
        ("fix https://github.com/acme/shop.", SHOP),
        ("fix the checkout in `shop`", SHOP),
        ("in Shop, fix it", SHOP),
        ("fix the shop", None),
        ("copy it in shop and in blog", None),
        ("acme/shop and again acme/shop", SHOP),
        ("look at src/shop and acme/other", None),
        ("", None),
    ],
)
def test_named_repository(prompt: str, named: RepositoryName | None) -> None:
    """By its full name anywhere, by its name alone only where the words say that it is one."""
    assert named_repository(prompt, INSTALLED) == named


def test_a_name_that_two_owners_have_is_not_named_alone() -> None:
    """Guessing wrong costs more than asking."""
    assert named_repository("fix it in shop", [SHOP, RepositoryName("other", "shop")]) is None


@given(st.text(max_size=60))
def test_any_text_is_survived(text: str) -> None:
    """Whatever people type: nothing is suggested but what there is."""
    assert closest(text, ["main"]) in (None, "main")
    assert set(matching(text, ["acme/shop"], 5)) <= {"acme/shop"}
    assert named_repository(text, INSTALLED) in (None, *INSTALLED)
