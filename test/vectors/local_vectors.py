"""Vectors of docs/local-key-store.md."""

import base64
import hashlib
import hmac
import json
from typing import Any, Dict, List, Optional

import aes_gcm
import local_key_store as lks
import nebulaio_format as nf
from vector_ops import Case, failure, made

TIME = "2026-01-02T03:04:05.678Z"
ROOT = made("master key", 32)
PASSWORD = "correct horse battery staple \u00fc"
FIRST, SECOND = made("key id 1", 16).hex(), made("key id 2", 16).hex()
BUCKET = "photos"


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def text(value: Any) -> str:
    return json.dumps(value, indent=2) + "\n"


def header(root: bytes, **master: Any) -> Case:
    check_key = nf.expand(root, b"nebulaio/local/master-check\x00", 32)
    check = hmac.new(check_key, b"nebulaio-local-keystore/1", hashlib.sha256).digest()
    return {
        "format": "nebulaio-local-keystore/1",
        "created_at": TIME,
        "initialized": True,
        "master_key": {**master, "check": b64(check)},
    }


def material(key_id: str, version: int) -> bytes:
    return made(f"material {key_id} {version}", 32)


def key_file(root: bytes, key_id: str, name: str, versions: int, state: str = "ENABLED") -> Case:
    wrap_key = nf.expand(root, b"nebulaio/local/master-wrap\x00", 32)
    entries = []
    for version in range(1, versions + 1):
        nonce = made(f"nonce {key_id} {version}", 12)
        bound = lks.aad("nebulaio-local-key/1", key_id, name, str(version))
        sealed = nonce + aes_gcm.seal(wrap_key, nonce, material(key_id, version), bound)
        kind = "CURRENT" if version == versions else "DECRYPT_ONLY"
        entries.append(
            {"version": version, "created_at": TIME, "state": kind, "wrapped": b64(sealed)}
        )
    return {
        **{"format": "nebulaio-local-key/1", "id": key_id, "name": name},
        **{"state": state, "versions": entries},
    }


def folder(root: bytes, **master: Any) -> Dict[str, str]:
    return {
        "keystore.json": text(header(root, **master)),
        f"{FIRST}.key.json": text(key_file(root, FIRST, "nebulaio-master", 12)),
        f"{SECOND}.key.json": text(key_file(root, SECOND, "pii.key_2", 1, "DISABLED")),
        "keystore.lock": "",
    }


def scrypt_folder() -> Dict[str, str]:
    salt = made("scrypt salt", 32)
    parameters = {"n": 131_072, "r": 8, "p": 1, "salt": b64(salt)}
    root = lks.password_key(PASSWORD, parameters)
    return {
        "keystore.json": text(header(root, kind="password", scrypt=parameters)),
        f"{FIRST}.key.json": text(key_file(root, FIRST, "nebulaio-master", 1)),
    }


def encoded(files: Dict[str, str]) -> Dict[str, bytes]:
    return {name: content.encode("utf-8") for name, content in files.items()}


def wraps(store: lks.LocalKeyStore) -> Case:
    key, valid, refused = made("ik", 32), [], []
    for name, key_id, version, bucket in (
        ("nebulaio-master", FIRST, "12", BUCKET),
        ("nebulaio-master", FIRST, "1", BUCKET),
        (FIRST, FIRST, "12", "other-bucket.example"),
    ):
        salt = made(f"wrap salt {name} {version}", 24)
        secret = material(FIRST, int(version))
        wrapped = lks.wrap_for_vectors(secret, salt, key, key_id, version, bucket)
        case = {"kek": f"local:{name}", "version": version, "bucket": bucket}
        if store.unwrap(case["kek"], version, wrapped, bucket) != key:
            raise AssertionError(case)
        valid.append({**case, "wrapped": wrapped.hex(), "key": key.hex()})

    def refuse(name: str, **changes: str) -> None:
        c = {**valid[0], **changes}
        wrapped = bytes.fromhex(c["wrapped"])
        expect = failure(lambda: store.unwrap(c["kek"], c["version"], wrapped, c["bucket"]))
        refused.append({"name": name, **changes, "expect": expect})

    wrapped = bytes.fromhex(valid[0]["wrapped"])
    refuse("another bucket", bucket="photo")
    refuse("bucket in capitals", bucket="Photos")
    refuse("another version", version="1")
    for version in ("0", "13", "012", "", "twelve", "-1", "12 "):
        refuse(f"version {version!r}", version=version)
    refuse("a disabled key", kek="local:pii.key_2", version="1")
    for kek in ("local:nebulaio", "local:NEBULAIO-MASTER", "local:", "vault:nebulaio-master"):
        refuse(f"key {kek}", kek=kek)
    for offset in range(73):
        data = wrapped[:offset] + bytes([wrapped[offset] ^ 1]) + wrapped[offset + 1 :]
        refuse(f"byte {offset} flipped", wrapped=data.hex())
    refuse("a byte less", wrapped=wrapped[:-1].hex())
    refuse("a byte more", wrapped=(wrapped + b"\x00").hex())
    refuse("no bytes", wrapped="")
    return {"valid": valid, "refused": refused}


def changed_json(files: Dict[str, str], name: str, *path: Any, value: Any) -> Dict[str, str]:
    document = json.loads(files[name])
    at = document
    for step in path[:-1]:
        at = at[step]
    if value is None:
        del at[path[-1]]
    else:
        at[path[-1]] = value
    return {name: text(document)}


def refused_folders(files: Dict[str, str]) -> Dict[str, Dict[str, Optional[str]]]:
    head, first, second = "keystore.json", f"{FIRST}.key.json", f"{SECOND}.key.json"
    cases: Dict[str, Dict[str, Any]] = {
        "no header": {head: None},
        "no keys": {first: None, second: None},
        "an unexpected file": {"notes.txt": "x"},
        "a key file with an id in capitals": {
            first: None,
            f"{FIRST.upper()}.key.json": files[first],
        },
        "a key under another's id": {second: files[first]},
        "a key file that isn't JSON": {second: files[second][:-3]},
        "an empty key file": {second: ""},
        "a header that isn't JSON": {head: "{"},
        "a repeated member": {second: files[second].replace('"state"', '"name": "a", "state"', 1)},
        "bytes behind the JSON": {second: files[second] + "{}"},
    }
    changes: List[Any] = [
        ("another format of the header", head, "format", "nebulaio-local-keystore/2"),
        ("an unknown member of the header", head, "extra", 1),
        ("a missing member of the header", head, "initialized", None),
        ("another format of a key", first, "format", "nebulaio-local-key/2"),
        ("an unknown member of a key", first, "extra", 1),
        ("a missing member of a key", first, "state", None),
        ("an unknown state", first, "state", "enabled"),
        ("another name", first, "name", "nebulaio-other"),
        ("the name of another key", first, "name", "pii.key_2"),
        ("another id", first, "id", SECOND),
        ("no versions", first, "versions", []),
    ]
    for name, file, member, value in changes:
        cases[name] = changed_json(files, file, member, value=value)
    check = b64(made("x", 32))
    cases["another check value"] = changed_json(files, head, "master_key", "check", value=check)
    cases["another kind"] = changed_json(files, head, "master_key", "kind", value="password")
    versions = json.loads(files[first])["versions"]
    lists = {
        "versions out of order": [versions[1], versions[0], *versions[2:]],
        "a version missing": [versions[0], *versions[2:]],
        "the last version missing": versions[:-1],
        "a version twice": [versions[0], *versions],
        "two current versions": [{**versions[0], "state": "CURRENT"}, *versions[1:]],
        "versions' keys exchanged": [
            {**versions[0], "wrapped": versions[1]["wrapped"]},
            {**versions[1], "wrapped": versions[0]["wrapped"]},
            *versions[2:],
        ],
        "a version that is text": [{**versions[0], "version": "1"}, *versions[1:]],
        "wrapped key not canonical base64": [
            {**versions[0], "wrapped": versions[0]["wrapped"] + "\n"},
            *versions[1:],
        ],
        "wrapped key too short": [{**versions[0], "wrapped": b64(bytes(59))}, *versions[1:]],
        "an unknown member of a version": [{**versions[0], "note": ""}, *versions[1:]],
    }
    for name, value in lists.items():
        cases[name] = changed_json(files, first, "versions", value=value)
    return cases


def refused_master_keys() -> Dict[str, bytes]:
    return {
        "another key": made("master key 2", 32),
        "empty": b"",
        "31 bytes": ROOT[:31],
        "33 bytes": ROOT + b"\x00",
        "raw with a line feed": ROOT + b"\n",
        "63 hex digits": ROOT.hex()[:-1].encode(),
        "65 hex digits": ROOT.hex().encode() + b"0",
        "hex with two line feeds": ROOT.hex().encode() + b"\n\n",
        "hex with a space": b" " + ROOT.hex().encode(),
        "hex with a carriage return": ROOT.hex().encode() + b"\r",
        "base64 without padding": b64(ROOT).rstrip("=").encode(),
        "text of 32 characters": b"this is not a key but a sentence",
        "zeros": bytes(32),
        "7 different bytes": bytes(i % 7 * 31 for i in range(32)),
        "ascending": bytes(range(200, 232)),
        "descending": bytes(range(231, 199, -1)),
        "descending by three": bytes((100 - 3 * i) % 256 for i in range(32)),
    }


def local_key_store() -> Case:
    files, with_password = folder(ROOT, kind="file"), scrypt_folder()
    store = lks.LocalKeyStore(encoded(files), master_key=ROOT)
    lks.LocalKeyStore(encoded(with_password), password=PASSWORD)
    forms = {
        "raw": ROOT,
        "hex": ROOT.hex().encode(),
        "hex in capitals": ROOT.hex().upper().encode(),
        "hex with a line feed": ROOT.hex().encode() + b"\n",
        "base64": b64(ROOT).encode(),
        "base64 with CR LF": b64(ROOT).encode() + b"\r\n",
    }
    for content in forms.values():
        lks.LocalKeyStore(encoded(files), master_key=content)

    def opened(changes: Dict[str, Optional[str]], key: bytes) -> lks.LocalKeyStore:
        merged = {**files, **changes}
        kept = {name: content for name, content in merged.items() if content is not None}
        return lks.LocalKeyStore(encoded(kept), master_key=key)

    return {
        "files": files,
        "master_keys": [{"name": n, "content": c.hex()} for n, c in forms.items()],
        "wrapped": wraps(store),
        "refused_folders": [
            {"name": n, "files": changes, "expect": failure(lambda: opened(changes, ROOT))}
            for n, changes in refused_folders(files).items()
        ],
        "refused_master_keys": [
            {"name": n, "content": c.hex(), "expect": failure(lambda: opened({}, c))}
            for n, c in refused_master_keys().items()
        ],
        "with_password": {
            "password": PASSWORD,
            "files": with_password,
            "refused_passwords": [
                {"password": p, "expect": failure(lambda: password_store(with_password, p))}
                for p in (PASSWORD[:-1], PASSWORD.replace("\u00fc", "u\u0308"), "too short", "")
            ],
        },
    }


def password_store(files: Dict[str, str], password: str) -> lks.LocalKeyStore:
    return lks.LocalKeyStore(encoded(files), password=password)
