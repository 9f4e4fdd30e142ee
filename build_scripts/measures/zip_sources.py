"""Zips the core and its edge as plain sources: usage: zip_sources.py TARGET"""

import sys
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile

ROOT = Path(__file__).parents[2]

with ZipFile(sys.argv[1], "w", ZIP_DEFLATED) as archive:
    for package in (ROOT / "core/tabstead", ROOT / "service_worker/tabstead_edge"):
        for file in sorted(package.rglob("*")):
            name = file.relative_to(package.parent)
            if file.suffix in {".py", ".sql", ".json"} and "native" not in name.parts:
                archive.write(file, name)
