"""The file of DEVFLOW_POLICY as `devflow run` meets it: read at the start, its faults told with all others."""

from __future__ import annotations

from pathlib import Path

import pytest

from slackbot.audit import AuditStream
from slackbot.config import load_settings
from slackbot.core.errors import ConfigError
from slackbot.core.repository_name import RepositoryName
from slackbot.policy import load_policies, read_policies
from tests.project.test_config import GOOD


def faults(path: Path, **changed: str) -> list[str]:
    """What the settings say when the file is at `path`."""
    with pytest.raises(ConfigError) as caught:
        load_settings({**GOOD, "DEVFLOW_POLICY": str(path), **changed})
    return caught.value.faults


def test_a_file_is_read_and_none_is_no_rule(tmp_path: Path) -> None:
    """With a byte order mark, as Windows writes it, too."""
    path = tmp_path / "policy.toml"
    path.write_bytes(b'\xef\xbb\xbf[[repository]]\nmatch = "acme/*"\nagent = "claude"\n')
    assert load_settings({**GOOD, "DEVFLOW_POLICY": str(path)}).DEVFLOW_POLICY is not None
    rule = load_policies(path).of(RepositoryName("acme", "shop"))
    assert rule is not None
    assert rule.agent == "claude"
    assert load_policies(None).rules == ()


def test_faults_of_the_file_are_told_with_those_of_the_settings(tmp_path: Path) -> None:
    """File and line, beside a setting that is malformed."""
    path = tmp_path / "policy.toml"
    path.write_text('[[repository]]\nmatch = "acme/*"\ncpus = "1"\n')
    told = faults(path, DEVFLOW_SECRET="short")
    assert [fault.split(":")[0] for fault in told] == ["DEVFLOW_SECRET", "DEVFLOW_POLICY"]
    assert f"DEVFLOW_POLICY: {path} line 3: `cpus` is not known in a rule" in told[1]


def test_what_cannot_be_read_is_named(tmp_path: Path) -> None:
    """Not there, not text, far too large."""
    assert faults(tmp_path / "gone.toml") == [
        f"DEVFLOW_POLICY: {tmp_path / 'gone.toml'} cannot be read: No such file or directory"
    ]
    path = tmp_path / "latin.toml"
    path.write_bytes(b"# one\n# caf\xe9\n")
    assert faults(path) == [f"DEVFLOW_POLICY: {path} line 2: this is not UTF-8"]
    path.write_bytes(b"#" * 1_000_001)
    assert "is larger than 1000 kB" in read_policies(path)[1][0]
    with pytest.raises(ConfigError):
        load_policies(path)


def test_an_audit_log_that_cannot_be_opened_is_named(tmp_path: Path) -> None:
    """The setting and the reason."""
    with pytest.raises(ConfigError, match=r"DEVFLOW_AUDIT_LOG: .* cannot be opened: No such file"):
        AuditStream(tmp_path / "no" / "audit.log")


def test_two_bots_append_to_one_audit_log(tmp_path: Path) -> None:
    """What is there stays, whoever opens it."""
    path = tmp_path / "audit.log"
    first, second = AuditStream(path), AuditStream(path)
    first.write(b"one\n")
    second.write(b"two\n")
    first.write(b"three\n")
    first.close()
    second.close()
    assert path.read_text().split() == ["one", "two", "three"]
