#!/usr/bin/env python3
"""Writes the vector files next to it; with --check compares instead and tests the tools.

generate.py           writes *.json
generate.py --check   exit code 1 if a file would change, or if the AES backends disagree, or if
                      read_object.py doesn't read what it must or reads what it mustn't
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, Callable, Dict, List

import aes_gcm
import local_key_store as lks
import local_vectors
import nebulaio_format as nf
from key_vectors import derivations, envelopes, sealed_deks, sizes, upload_tokens
from object_vectors import objects_file
from part_vectors import end_records, part_streams
from vector_ops import Case, made, made_nonce, plaintext

HERE = Path(__file__).resolve().parent
FILES: Dict[str, Callable[[], Case]] = {
    "derivations": derivations,
    "sizes": sizes,
    "envelopes": envelopes,
    "sealed-deks": sealed_deks,
    "part-streams": part_streams,
    "end-records": end_records,
    "objects": objects_file,
    "upload-tokens": upload_tokens,
    "local-key-store": local_vectors.local_key_store,
}


def dump(value: Any, indent: str = "") -> str:
    """JSON with one case a line, so that a change shows as the lines it concerns."""
    if isinstance(value, dict) and (not indent or any(is_list(v) for v in value.values())):
        inner = indent + "  "
        items = [f"{inner}{json.dumps(k)}: {dump(v, inner)}" for k, v in value.items()]
        return "{\n" + ",\n".join(items) + f"\n{indent}}}"
    if is_list(value):
        inner = indent + "  "
        return "[\n" + ",\n".join(inner + json.dumps(v) for v in value) + f"\n{indent}]"
    return json.dumps(value)


def is_list(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and isinstance(value[0], dict)


def names_are_unique(case: Case) -> bool:
    for value in case.values():
        if is_list(value) and "name" in value[0]:
            names = [entry["name"] for entry in value]
            if len(set(names)) != len(names):
                return False
    return True


def make_all() -> Dict[str, str]:
    made_files = {}
    for name, make in FILES.items():
        content = make()
        if not names_are_unique(content):
            raise AssertionError(f"{name}: a name twice")
        made_files[name] = dump({"format": "nebulaio/v1", **content}) + "\n"
    return made_files


def check_files(made_files: Dict[str, str]) -> List[str]:
    wrong = []
    for name, content in made_files.items():
        path = HERE / f"{name}.json"
        if not path.exists() or path.read_bytes() != content.encode("ascii"):
            wrong.append(f"{path.name} isn't what generate.py makes")
    extra = {path.stem for path in HERE.glob("*.json")} - set(made_files)
    return wrong + [f"{name}.json isn't made by generate.py" for name in sorted(extra)]


def check_backends() -> List[str]:
    """Test case 16 of the GCM specification (McGrew, Viega), then agreement on odd sizes."""
    key = bytes.fromhex("feffe9928665731c6d6a8f9467308308" * 2)
    nonce, aad = (
        bytes.fromhex("cafebabefacedbaddecaf888"),
        "feedfacedeadbeeffeedfacedeadbeefabaddad2",
    )
    text = "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
    text += "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39"
    tag = "76fc6ece0f4e1768cddf8853bb2d551b"
    wrong = []
    for backend in aes_gcm.backends():
        sealed = backend.seal(key, nonce, bytes.fromhex(text), bytes.fromhex(aad))
        if sealed[-16:].hex() != tag:
            wrong.append(f"AES-GCM by {backend.name} is wrong")
        for size in (0, 1, 15, 16, 17, 63, 64, 65, 1000):
            data = plaintext("backends", size)
            sealed = aes_gcm.seal(key, nonce, data, data[:5])
            if backend.open_sealed(key, nonce, sealed, data[:5]) != data:
                wrong.append(f"AES-GCM by {backend.name} differs at {size} bytes")
            try:
                backend.open_sealed(key, nonce, sealed[:-1] + bytes([sealed[-1] ^ 1]), data[:5])
                wrong.append(f"AES-GCM by {backend.name} accepts a wrong tag")
            except aes_gcm.TagError:
                pass
    return wrong


def run_reader(
    store: Path, body: bytes, envelope: str, *more: str
) -> "subprocess.CompletedProcess[bytes]":
    path = store.parent / "body"
    path.write_bytes(body)
    command = [sys.executable, str(HERE / "read_object.py"), "--store", str(store)]
    command += ["--bucket", local_vectors.BUCKET, "--envelope", envelope, "--body", str(path)]
    environment = {**os.environ, "NEBULAIO_MASTER_PASSWORD": local_vectors.PASSWORD}
    return subprocess.run([*command, *more], capture_output=True, env=environment)


def write_store(folder: Path, files: Dict[str, str]) -> Path:
    folder.mkdir()
    for name, content in files.items():
        (folder / name).write_text(content, encoding="utf-8")
    return folder


def check_reader() -> List[str]:
    """From the local key store to the plaintext, through the command line."""
    ik, dek, key = made("ik", 32), made("reader dek", 32), "a//\u00fc .txt"
    salt, bucket = made("reader salt", 24), local_vectors.BUCKET
    wrapped = lks.wrap_for_vectors(
        local_vectors.material(local_vectors.FIRST, 1), salt, ik, local_vectors.FIRST, "1", bucket
    )
    sealed = nf.seal_dek(ik, salt, nf.context(bucket, key, "multipart"), dek)
    envelope = nf.marshal_envelope(
        nf.Envelope("multipart", "local:nebulaio-master", "1", wrapped, sealed)
    )
    parts = [70_000, 100, 131_072]
    texts = [plaintext(f"reader {x}", x) for x in parts]
    body = b"".join(
        nf.encrypt_part(dek, n, made_nonce(f"reader {n}"), text) for n, text in enumerate(texts, 1)
    ) + nf.seal_record(dek, nf.EndRecord(3, parts[-1]))
    whole, wrong = b"".join(texts), []
    with tempfile.TemporaryDirectory() as name:
        by_file = write_store(
            Path(name) / "file", local_vectors.folder(local_vectors.ROOT, kind="file")
        )
        by_password = write_store(Path(name) / "password", local_vectors.scrypt_folder())
        master = Path(name) / "master.key"
        master.write_bytes(local_vectors.ROOT.hex().encode() + b"\n")
        master.chmod(0o600)
        good = ["--key", key, "--master-key", str(master)]
        broken = bytearray(body)
        broken[nf.s(70_000) + 20] ^= 1
        sizes_given = ["--sizes", ",".join(str(x) for x in parts)]
        runs = [
            ("master key file", run_reader(by_file, body, envelope, *good), 0, whole),
            ("password", run_reader(by_password, body, envelope, "--key", key), 0, whole),
            ("sizes given", run_reader(by_file, body, envelope, *good, *sizes_given), 0, whole),
            ("wrong key", run_reader(by_file, body, envelope, *good, "--key", "a/x"), 1, b""),
            (
                "tampered",
                run_reader(by_file, bytes(broken), envelope, *good, *sizes_given),
                1,
                texts[0],
            ),
            ("truncated", run_reader(by_file, body[:-1], envelope, *good), 1, b""),
        ]
    for what, result, code, out in runs:
        if (result.returncode, result.stdout) != (code, out) or bool(result.stderr) != bool(code):
            wrong.append(
                f"read_object.py, {what}: exit code {result.returncode}, {result.stderr!r}"
            )
    return wrong


def main() -> int:
    if sys.argv[1:] not in ([], ["--check"]):
        print(__doc__, file=sys.stderr)
        return 2
    made_files = make_all()
    if sys.argv[1:] == []:
        for name, content in made_files.items():
            (HERE / f"{name}.json").write_bytes(content.encode("ascii"))
        return 0
    wrong = check_files(made_files) + check_backends() + check_reader()
    for line in wrong:
        print(line, file=sys.stderr)
    if not wrong:
        total = sum(content.count('"expect"') for content in made_files.values())
        print(
            f"{len(made_files)} vector files are up to date, {total} mutations refused, none accepted"
        )
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
