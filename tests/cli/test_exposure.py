"""A people file that others can read, and when it can be deleted."""

from pathlib import Path

import pytest

from holdfast.operating.exposure import warning, when_all_have_codes


def test_a_file_that_every_user_can_read() -> None:
    """The warning names the file and the command; /etc/passwd is such a file everywhere."""
    assert warning(Path("/etc/passwd")) == (
        "/etc/passwd: every user of this machine can read the secrets in it; chmod 600"
        " /etc/passwd keeps them out"
    )


@pytest.mark.parametrize(("inside", "mode"), [(0o755, 0o600), (0o755, 0o640), (0o700, 0o644)])
def test_files_that_others_cannot_read(tmp_path: Path, inside: int, mode: int) -> None:
    """Closed by its own mode, or by that of a directory above it."""
    (tmp_path / "home").mkdir()
    path = tmp_path / "home" / "people.csv"
    path.touch()
    path.chmod(mode)
    path.parent.chmod(inside)
    assert warning(path) is None
    assert warning(path.with_name("none")) is None


def test_what_is_said_when_all_codes_are_there() -> None:
    """Only a file with secrets is to be deleted, and standard input is no file."""
    with_secrets = when_all_have_codes(Path("p.csv"), with_secrets=True)
    assert [line.split(":")[0] for line in with_secrets] == [
        "All codes are there. You may stop this command",
        "Delete p.csv now",
    ]
    assert when_all_have_codes(Path("p.csv"), with_secrets=False) == with_secrets[:1]
    assert "without" not in when_all_have_codes("-", with_secrets=True)[0].partition("it")[2]
    assert len(when_all_have_codes("-", with_secrets=True)) == 1
