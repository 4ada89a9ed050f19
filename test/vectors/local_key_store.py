"""A reader of the local key store, written from docs/local-key-store.md alone."""

import base64
import binascii
import hashlib
import hmac
import json
import os
import re
import stat
from pathlib import Path
from typing import Any, Dict, Optional

import aes_gcm
from nebulaio_format import FormatError, expand, lp

STORE_FORMAT = "nebulaio-local-keystore/1"
KEY_FORMAT = "nebulaio-local-key/1"
ID = re.compile(r"[0-9a-f]{32}")
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
LEFT_OVER = re.compile(r"\..+\.[0-9a-f]+\.tmp")
SCRYPT_MEMORY = 1 << 30


def refuse(message: str) -> FormatError:
    return FormatError("key-store", message)


def aad(*fields: str) -> bytes:
    return b"".join(lp(field.encode("utf-8")) for field in fields)


def base64_bytes(text: Any, size: int) -> bytes:
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError, TypeError):
        raise refuse("not base64") from None
    if len(data) != size or base64.b64encode(data).decode("ascii") != text:
        raise refuse(f"expected canonical base64 of {size} bytes")
    return data


def members(value: Any, *names: str) -> Dict[str, Any]:
    if not isinstance(value, dict) or set(value) != set(names):
        raise refuse(f"expected an object with exactly {', '.join(names)}")
    return value


def once(pairs: Any) -> Dict[str, Any]:
    if len({name for name, _ in pairs}) != len(pairs):
        raise refuse("a repeated JSON member")
    return dict(pairs)


def parse_json(data: bytes) -> Any:
    try:
        return json.loads(data.decode("utf-8"), object_pairs_hook=once)
    except ValueError:
        raise refuse("not JSON") from None


def parse_master_key(data: bytes) -> bytes:
    """The root key from the content of a master key file (step 1)."""
    text = data[:-2] if data.endswith(b"\r\n") else data[:-1] if data.endswith(b"\n") else data
    if len(data) == 32:
        if all(0x20 <= byte < 0x7F for byte in data):
            raise refuse("the master key is text")
        root = data
    elif re.fullmatch(rb"[0-9A-Fa-f]{64}", text):
        root = bytes.fromhex(text.decode("ascii"))
    elif len(text) == 44:
        root = base64_bytes(text.decode("latin-1"), 32)
    else:
        raise refuse("the master key has none of the three forms")
    steps = {(b - a) % 256 for a, b in zip(root, root[1:])}
    if len(set(root)) < 8 or len(steps) == 1:
        raise refuse("the master key isn't random")
    return root


def read_master_key(path: Path) -> bytes:
    """The content of a master key file that only its owner can access."""
    if os.name == "posix" and stat.S_IMODE(path.stat().st_mode) & 0o077:
        raise refuse("the master key file is accessible for group or others")
    return path.read_bytes()


def password_key(password: str, scrypt: Any) -> bytes:
    if len(password) < 12:
        raise refuse("the password has fewer than 12 characters")
    p = members(scrypt, "n", "r", "p", "salt")
    salt = base64_bytes(p["salt"], 32)
    secret = password.encode("utf-8")
    return hashlib.scrypt(
        secret, salt=salt, n=p["n"], r=p["r"], p=p["p"], maxmem=SCRYPT_MEMORY, dklen=32
    )


def open_header(data: bytes, master_key: Optional[bytes], password: Optional[str]) -> bytes:
    """The root key, checked against the check value of `keystore.json`."""
    header = members(parse_json(data), "format", "created_at", "initialized", "master_key")
    if header["format"] != STORE_FORMAT or not isinstance(header["initialized"], bool):
        raise refuse("not a key store of version 1")
    master = header["master_key"]
    kind = master.get("kind") if isinstance(master, dict) else None
    if kind == "file" and master_key is not None:
        members(master, "kind", "check")
        root = parse_master_key(master_key)
    elif kind == "password" and password is not None:
        members(master, "kind", "scrypt", "check")
        root = password_key(password, master["scrypt"])
    else:
        raise refuse("the store has another kind of master key")
    check_key = expand(root, b"nebulaio/local/master-check\x00", 32)
    expected = hmac.new(check_key, STORE_FORMAT.encode("ascii"), hashlib.sha256).digest()
    if not hmac.compare_digest(expected, base64_bytes(master["check"], 32)):
        raise refuse("the master key is another one")
    return root


class KeyEncryptionKey:
    """One `<id>.key.json`, opened with the root key (step 2)."""

    def __init__(self, file_name: str, data: bytes, root: bytes) -> None:
        key = members(parse_json(data), "format", "id", "name", "state", "versions")
        self.id, self.name, self.state = key["id"], key["name"], key["state"]
        if key["format"] != KEY_FORMAT or file_name != f"{self.id}.key.json":
            raise refuse("not a key of version 1, or under another name")
        if not NAME.fullmatch(self.name) or ID.fullmatch(self.name):
            raise refuse("not the name of a key")
        if self.state not in ("ENABLED", "DISABLED"):
            raise refuse("unknown state of a key")
        wrap_key = expand(root, b"nebulaio/local/master-wrap\x00", 32)
        self.versions: Dict[str, bytes] = {}
        for number, entry in enumerate(key["versions"], 1):
            members(entry, "version", "created_at", "state", "wrapped")
            state = "CURRENT" if number == len(key["versions"]) else "DECRYPT_ONLY"
            if type(entry["version"]) is not int or entry["version"] != number:
                raise refuse("a gap in the versions of a key")
            if entry["state"] != state:
                raise refuse("unexpected state of a version")
            wrapped = base64_bytes(entry["wrapped"], 60)
            bound = aad(KEY_FORMAT, self.id, self.name, str(number))
            try:
                material = aes_gcm.open_sealed(wrap_key, wrapped[:12], wrapped[12:], bound)
            except aes_gcm.TagError:
                raise refuse("a key doesn't open with the master key") from None
            self.versions[str(number)] = material
        if not self.versions:
            raise refuse("a key without versions")


def wrap_key_of(material: bytes, salt: bytes) -> bytes:
    return expand(material, b"nebulaio/local/wrap\x00" + salt, 32)


class LocalKeyStore:
    """All keys of a store. Give the content of the master key file or the password."""

    def __init__(
        self,
        files: Dict[str, bytes],
        master_key: Optional[bytes] = None,
        password: Optional[str] = None,
    ) -> None:
        """`files` maps the names in the folder to their contents."""
        if "keystore.json" not in files:
            raise refuse("no keystore.json")
        root = open_header(files["keystore.json"], master_key, password)
        self.keys: Dict[str, KeyEncryptionKey] = {}
        for name, data in files.items():
            if name in ("keystore.json", "keystore.lock") or LEFT_OVER.fullmatch(name):
                continue
            if not re.fullmatch(r"[0-9a-f]{32}\.key\.json", name):
                raise refuse(f"an unexpected file: {name}")
            key = KeyEncryptionKey(name, data, root)
            if key.name in self.keys:
                raise refuse("two keys of one name")
            self.keys[key.id] = self.keys[key.name] = key
        if not self.keys:
            raise refuse("the store has no key")

    def unwrap(self, kek: str, version: str, wrapped: bytes, bucket: str) -> bytes:
        """The key in `wrapped`; `kek` is `local:<name>` or `local:<id>` (step 3)."""
        provider, _, name = kek.partition(":")
        key = self.keys.get(name)
        if provider != "local" or key is None:
            raise refuse("unknown key")
        if key.state != "ENABLED":
            raise refuse("the key is disabled")
        material = key.versions.get(version)
        if material is None:
            raise refuse("decryption failed: key version not available")
        if len(wrapped) != 73 or wrapped[0] != 1:
            raise refuse("decryption failed: ciphertext rejected")
        bound = aad("local", key.id, version, bucket)
        try:
            salted = wrap_key_of(material, wrapped[1:25])
            return aes_gcm.open_sealed(salted, bytes(12), wrapped[25:], bound)
        except aes_gcm.TagError:
            raise refuse("decryption failed: ciphertext rejected") from None


def read_folder(folder: Path) -> Dict[str, bytes]:
    return {entry.name: entry.read_bytes() for entry in folder.iterdir()}


def wrap_for_vectors(
    material: bytes, salt: bytes, key: bytes, key_id: str, version: str, bucket: str
) -> bytes:
    """Step 3 the other way round. A writer must take a fresh random salt each time."""
    bound = aad("local", key_id, version, bucket)
    sealed = aes_gcm.seal(wrap_key_of(material, salt), bytes(12), key, bound)
    return b"\x01" + salt + sealed
