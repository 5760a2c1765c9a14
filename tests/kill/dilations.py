"""Dilated wormholes of which one end dies, or both: real processes, real sockets, real peers."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.harness.dilated import DilatedPeers, wanted
from tests.harness.nursery import Death
from tests.harness.streams import Stream
from tests.kill.transfers import End
from tests.kill.world import World

PROGRAM = Path(__file__).parents[1] / "harness" / "dilated_end.py"
