"""Starts a server, furnishes it, and lets schemathesis loose on it: `python -m fuzz_client_api MINUTES SEED`.

What is asked is drawn from the published description, beside the repository. Half of all parameters name what is really
there, and every request is a user's, another one's, an administrator's or nobody's (`fuzz_hooks`); else a fuzzer would
only ever be told that it isn't logged in, or that there is no such room.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from fuzz_world import build_world

from helpers.client_server_api import DESCRIPTION, read_description

ROOT: Final = Path(__file__).parents[2]
CHECKS: Final = "not_a_server_error,response_schema_conformance,content_type_conformance"
FOR_PEOPLE: Final = frozenset({"redirectToSSO", "redirectToIdP"})
"""A person's browser is sent there: what goes wrong is told by a page."""
ERROR: Final = {"$ref": "#/components/schemas/client-server_definitions_errors_error"}

CONFIGURATION: Final = """
server_name = "fuzz.test"
base_url = "https://fuzz.test"
[listen]
http_port = 0
[database]
path = "fuzz.db"
[registration]
open = true
guests = true
shared_secret = "swordfish"
[rate_limits]
enabled = false
[media]
max_upload_bytes = 1000000
[turn]
uris = ["turn:turn.fuzz.test"]
shared_secret = "swordfish"
[support]
page = "https://fuzz.test/help"
"""


def main(minutes: float, seed: int) -> int:
    if not DESCRIPTION.exists():
        print(f"{DESCRIPTION} is not here: there is nothing to ask by.", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with running_server(folder) as url:
            (folder / "world.json").write_text(json.dumps(build_world(url, "swordfish")))
            (folder / "description.json").write_text(json.dumps(describe()))
            print(f"Seed {seed}, {minutes:g} minutes, {url}", flush=True)
            failed = run_schemathesis(folder, url, minutes, seed)
        return report(folder, failed)


@contextmanager
def running_server(folder: Path) -> Iterator[str]:
    """The URL of a server that has the folder to itself; its log goes to `server.log` there."""
    (folder / "tabstead.toml").write_text(CONFIGURATION)
    command = [str(ROOT / ".venv/bin/tabstead"), "serve", "--config", str(folder / "tabstead.toml")]
    with (
        (folder / "server.log").open("w") as log,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True) as server,
    ):
        assert server.stdout is not None
        try:
            yield server.stdout.readline().removeprefix("listening on ").strip()
        finally:
            server.terminate()


def describe() -> dict[str, Any]:
    """The description, in which every status may be the standard error response, and operations of one path are one."""
    description = read_description()
    paths = description["paths"]
    for item in paths.values():
        for operation in item.values():
            responses = operation["responses"]
            content = responses.get("200", {}).get("content", {})
            if "application/octet-stream" in content:
                responses["200"]["content"] = {"*/*": content["application/octet-stream"]}
            if operation["operationId"] in FOR_PEOPLE:
                continue
            responses["default"] = {"description": "An error.", "content": {"application/json": {"schema": ERROR}}}
            if "401" in responses:
                content = responses["401"]["content"]["application/json"]
                content["schema"] = {"anyOf": [content["schema"], ERROR]}
    for template in [template for template in paths if template != template.strip()]:
        _merge(paths[template.strip()], paths.pop(template))
    return description


def _merge(item: dict[str, Any], other: dict[str, Any]) -> None:
    """Let the operations of one path item take what those of another do."""
    for method, operation in other.items():
        known = item[method]
        names = {parameter["name"] for parameter in known.get("parameters", [])}
        extra = [parameter for parameter in operation.get("parameters", []) if parameter["name"] not in names]
        known["parameters"] = known.get("parameters", []) + [{**parameter, "required": False} for parameter in extra]
        if "requestBody" in known:
            content, other_content = (each["requestBody"]["content"]["application/json"] for each in (known, operation))
            content["schema"] = {"anyOf": [content["schema"], other_content["schema"]]}


def run_schemathesis(folder: Path, url: str, minutes: float, seed: int) -> bool:
    """Whether it found something."""
    command = [
        *(sys.executable, "-m", "schemathesis.cli", "run", str(folder / "description.json"), "--url", url),
        *("--seed", str(seed), "--max-time", str(int(minutes * 60)), "--checks", CHECKS, "--continue-on-failure"),
        *("--request-timeout", "20", "--max-redirects", "0", "--generation-database", "none"),
        *("--suppress-health-check", "all", "--warnings", "off", "--no-color"),
    ]
    environment = {
        **os.environ,
        "PYTHONPATH": str(Path(__file__).parent),
        "SCHEMATHESIS_HOOKS": "fuzz_hooks",
        "FUZZ_WORLD": str(folder / "world.json"),
    }
    return subprocess.run(command, cwd=folder, env=environment, check=False).returncode != 0


def report(folder: Path, failed: bool) -> int:
    """Say what the server's log has to say; the exit code."""
    log = (folder / "server.log").read_text()
    if "Traceback" in log:
        print("\nThe server's log:\n" + log[log.index("Traceback") :][:20_000])
    return int(failed or "Traceback" in log)


if __name__ == "__main__":
    sys.exit(main(float(sys.argv[1]), int(sys.argv[2])))
