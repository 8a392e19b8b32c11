"""Mount namespaces of a test's own, where the machine grants them."""

from __future__ import annotations

import shutil
import subprocess

import pytest


def may_mount() -> bool:
    return (
        shutil.which("unshare") is not None
        and subprocess.run(["unshare", "-m", "true"], capture_output=True, timeout=60, check=False).returncode == 0
    )


own_mounts = pytest.mark.skipif(not may_mount(), reason="needs root for a mount namespace of its own")
