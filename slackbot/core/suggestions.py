"""What somebody may have meant: the closest of the names there are, and type-ahead over them. Pure.

Asked by the front desk and the start desk with verbs, repositories, branches and agents; texts are in views.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence

from slackbot.core.errors import UsageError
from slackbot.core.repository_name import RepositoryName

_LIKE = 0.6
"""How alike two names must be (0 to 1) for one to be taken for a slip of the other."""


def closest(typed: str, names: Iterable[str], *, at_least: float = _LIKE) -> str | None:
    """The name that is most like what was typed, upper and lower case being the same; None where none is near.

    A name that was typed as it is is no suggestion.
    """
    by_lower = {name.lower(): name for name in names}
    wanted = typed.strip().lower()
    if not wanted or wanted in by_lower:
        return None
    found = difflib.get_close_matches(wanted, by_lower, n=1, cutoff=at_least)
    return by_lower[found[0]] if found else None


def closest_repository(typed: RepositoryName, names: Iterable[RepositoryName]) -> RepositoryName | None:
    """The installed repository that was probably meant; None where the name is right, or like none.

    One of the same owner is compared by its name alone: equal owners are no likeness.
    """
    known = list(names)
    if any(name.full_name.lower() == typed.full_name.lower() for name in known):
        return None
    same_name = [name for name in known if name.name.lower() == typed.name.lower()]
    if len(same_name) == 1:
        return same_name[0]
    own = {name.name: name for name in known if name.owner.lower() == typed.owner.lower()}
    found = closest(typed.name, own)
    if found is not None:
        return own[found]
    others = {name.full_name: name for name in known if name.owner.lower() != typed.owner.lower()}
    found = closest(typed.full_name, others)
    return others[found] if found is not None else None


def matching(query: str, names: Iterable[str], limit: int) -> list[str]:
    """Type-ahead: names that begin with what was typed, then parts of names that do, then those that hold it.

    Within each the given order stays. Where nothing holds it, the names that are most like it.
    """
    wanted, all_names = query.strip().lower(), list(names)
    if not wanted:
        return all_names[:limit]
    ranked: tuple[list[str], list[str], list[str]] = ([], [], [])
    for name in all_names:
        lower = name.lower()
        if lower.startswith(wanted):
            ranked[0].append(name)
        elif any(part.startswith(wanted) for part in _parts(lower)):
            ranked[1].append(name)
        elif wanted in lower:
            ranked[2].append(name)
    found = [name for group in ranked for name in group]
    return (found or difflib.get_close_matches(query, all_names, n=min(limit, 5), cutoff=_LIKE))[:limit]


def named_repository(prompt: str, installed: Sequence[RepositoryName]) -> RepositoryName | None:
    """The one installed repository that a prompt names: as `owner/name`, or by its name alone after `in` and the like.

    Two different ones mean that nothing was named.
    """
    by_full_name = {name.full_name.lower(): name for name in installed}
    by_name: dict[str, list[RepositoryName]] = {}
    for name in installed:
        by_name.setdefault(name.name.lower(), []).append(name)
    found: dict[RepositoryName, None] = {}
    words = [_bare(word) for word in prompt.lower().split()]
    for before, word in zip(["", *words], words, strict=False):
        full_name = "/".join(word.removesuffix(".git").split("/")[-2:])
        if full_name in by_full_name:
            found[by_full_name[full_name]] = None
        elif before in _INTRODUCES and len(by_name.get(word, ())) == 1:
            found[by_name[word][0]] = None
    return next(iter(found)) if len(found) == 1 else None


def names_of_owners(prompt: str, installed: Iterable[RepositoryName]) -> list[RepositoryName]:
    """`owner/name` in a prompt that is not installed as far as is known, but whose owner has others: perhaps new."""
    owners = {name.owner.lower() for name in installed}
    found: dict[RepositoryName, None] = {}
    for word in map(_bare, prompt.split()):
        owner, _, name = word.partition("/")
        if owner.lower() in owners and name:
            try:
                found[RepositoryName(owner, name)] = None
            except UsageError:
                continue
    return list(found)


_INTRODUCES = frozenset({"in", "on", "for", "of", "repo", "repository"})


def _bare(word: str) -> str:
    return word.strip("`'\"()[]<>{}*_,;:!?").removesuffix(".").removesuffix("'s")


def _parts(name: str) -> list[str]:
    for separator in "/-_.":
        name = name.replace(separator, " ")
    return name.split()
