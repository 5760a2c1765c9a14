"""The shell blocks of the manual, pasted: `holdfast` runs as a fork, which is quicker."""

import os
import re
import shlex
import subprocess
from pathlib import Path
from string import Template

from attrs import define, field

from tests.harness.process import BIN, Child, environment


def blocks(page: str) -> dict[str, str]:
    """The blocks of a page that have a class, by it."""
    found = re.findall(r"^```\{code-block\} \w+\n:class: (\w+)\n(.*?)^```$", page, re.M | re.S)
    assert len(dict(found)) == len(found)
    return dict(found)


@define
class Shell:
    """A shell in a folder, which keeps what is exported in it."""

    folder: Path
    env: dict[str, str] = field(factory=dict)

    def __attrs_post_init__(self) -> None:
        path = f"{self.folder}:{BIN}:{os.environ['PATH']}"
        self.env = environment(HOME=str(self.folder), PATH=path, PWD=str(self.folder)) | self.env

    def paste(self, text: str) -> str:
        """Run a block, a line at a time, and return what it printed; each line must succeed."""
        lines = text.replace("\\\n", "").splitlines()
        return "".join(self._run(line) for line in lines if line)

    def _run(self, line: str) -> str:
        words = shlex.split(line)
        if words[0] == "export":
            name, _, value = words[1].partition("=")
            self.env[name] = Template(value).substitute(self.env)
            return ""
        if words[0] != "holdfast":
            return self._otherwise(line)
        into = words.index(">") if ">" in words else len(words)
        given = [Template(word).safe_substitute(self.env) for word in words[1:into]]
        with Child([BIN / "holdfast", *given], env=self.env, cwd=self.folder) as child:
            ended = child.wait()
        assert ended.status == 0, (line, ended)
        for name in words[into + 1 :]:
            (self.folder / name).write_text(ended.out)
        return ended.out

    def _otherwise(self, line: str) -> str:
        done = subprocess.run(
            ["bash", "-c", line],
            cwd=self.folder,
            env=self.env,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, (line, done.stderr)
        return done.stdout
