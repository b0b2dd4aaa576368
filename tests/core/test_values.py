"""Frozen values are copied and made as `dataclasses` would, only quicker."""

from __future__ import annotations

import dataclasses

import pytest

from slackbot.core import values
from slackbot.core.item import from_item, item_size_bytes, sized_item, to_item
from slackbot.core.session import TaskState, Turn, TurnState
from tests.core.builders import a_session


def a_turn(turn_id: str = "C1:1.1", prompt: str = "do it") -> Turn:
    return Turn(turn_id=turn_id, user_id="U1", prompt=prompt, state=TurnState.QUEUED, prompted_at=5)


def test_a_copy_equals_what_dataclasses_make_of_it() -> None:
    turn = a_turn()
    ours = values.replace(turn, prompt="another", files_changed=3)
    assert ours == dataclasses.replace(turn, prompt="another", files_changed=3)
    assert turn.prompt != "another"


def test_a_made_value_equals_a_constructed_one_and_may_not_be_changed() -> None:
    given = {"turn_id": "C1:1.1", "user_id": "U1", "prompt": "p", "state": TurnState.QUEUED, "prompted_at": 5}
    made = values.make(Turn, given)
    assert made == Turn(**given)
    with pytest.raises(dataclasses.FrozenInstanceError):
        made.prompt = "other"  # type: ignore[misc]


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: values.make(Turn, {"turn_id": "C1:1.1"}), "needs prompt, prompted_at, state, user_id"),
        (lambda: values.make(TaskState, {"colour": "red"}), "no field colour"),
        (lambda: values.replace(TaskState(), colour="red"), "no field colour"),
    ],
)
def test_a_field_too_few_or_too_many_is_refused(make, said) -> None:
    with pytest.raises(TypeError, match=said):
        make()


def test_an_unchanged_turn_goes_back_into_the_item_as_it_came_and_a_changed_one_anew() -> None:
    item = to_item(a_session(history=(a_turn("C1:1.1"), a_turn("C1:2.2"))))
    session = from_item(item)
    first, second = session.history
    changed = session.with_turn(values.replace(second, prompt="now another"))
    written = to_item(changed)["history"]
    assert written[0] is item["history"][0]
    assert written[1] == {**item["history"][1], "prompt": "now another"}
    assert values.remembered(first, "_flat") is not None
    assert values.remembered(values.replace(first, prompt="x"), "_flat") is None


def test_the_size_by_turns_is_the_size_of_the_item() -> None:
    session = a_session(history=(a_turn("C1:1.1"), a_turn("C1:2.2", prompt="日本語" * 50)))
    for known in (session, from_item(to_item(session))):
        item, size_bytes = sized_item(known)
        assert size_bytes == item_size_bytes(item)
