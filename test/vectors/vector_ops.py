"""What all vector files share: made-up bytes, mutations, and what a reader must answer."""

import hashlib
from typing import Any, Callable, Dict, Iterable, List

import aes_gcm
from nebulaio_format import FormatError

Case = Dict[str, Any]


def plaintext(seed: str, size: int) -> bytes:
    return hashlib.shake_256(seed.encode("utf-8")).digest(size)


def made(name: str, size: int) -> bytes:
    """Bytes in place of random ones: the vectors must come out the same each time."""
    return plaintext(f"nebulaio vector {name}", size)


def made_nonce(name: str) -> bytes:
    nonce = made(f"nonce {name}", 12)
    return bytes([nonce[0] & 0x7F]) + nonce[1:]


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def flip(offset: int, mask: int = 1) -> Case:
    return {"op": "flip", "offset": offset, "mask": mask}


def truncate(size: int) -> Case:
    return {"op": "truncate", "size": size}


def remove(offset: int, size: int) -> Case:
    return {"op": "remove", "offset": offset, "size": size}


def copy(source: int, size: int, to: int) -> Case:
    return {"op": "copy", "from": source, "size": size, "to": to}


def swap(a: int, size_a: int, b: int, size_b: int) -> Case:
    return {"op": "swap", "a": a, "size_a": size_a, "b": b, "size_b": size_b}


def insert(offset: int, data: bytes) -> Case:
    return {"op": "insert", "offset": offset, "hex": data.hex()}


def zeros(offset: int, size: int) -> Case:
    return {"op": "zeros", "offset": offset, "size": size}


def overwrite(offset: int, data: bytes) -> Case:
    return {"op": "overwrite", "offset": offset, "hex": data.hex()}


def splice(offset: int, of: str, source: int, size: int) -> Case:
    return {"op": "splice", "offset": offset, "of": of, "from": source, "size": size}


def apply_op(data: bytes, op: Case, stored: Callable[[str], bytes]) -> bytes:
    """One mutation. `stored(name)` gives the bytes of another valid vector of the same file."""
    kind, at = op["op"], op.get("offset", 0)
    if kind == "flip":
        return data[:at] + bytes([data[at] ^ op["mask"]]) + data[at + 1 :]
    if kind == "truncate":
        return data[: op["size"]]
    if kind == "remove":
        return data[:at] + data[at + op["size"] :]
    if kind == "copy":
        piece = data[op["from"] : op["from"] + op["size"]]
        return data[: op["to"]] + piece + data[op["to"] :]
    if kind == "swap":
        a, b = op["a"], op["b"]
        end_a, end_b = a + op["size_a"], b + op["size_b"]
        return data[:a] + data[b:end_b] + data[end_a:b] + data[a:end_a] + data[end_b:]
    if kind == "insert":
        return data[:at] + bytes.fromhex(op["hex"]) + data[at:]
    if kind == "zeros":
        return data[:at] + bytes(op["size"]) + data[at:]
    if kind == "overwrite":
        piece = bytes.fromhex(op["hex"])
        return data[:at] + piece + data[at + len(piece) :]
    if kind == "splice":
        piece = stored(op["of"])[op["from"] : op["from"] + op["size"]]
        return data[:at] + piece + data[at + len(piece) :]
    if kind == "seal":
        key, header = bytes.fromhex(op["key"]), bytes.fromhex(op["header"])
        text = plaintext(op["seed"], op["from"] + op["length"])[op["from"] :]
        piece = header + aes_gcm.seal(key, bytes.fromhex(op["nonce"]), text, header[:4])
        return data[:at] + piece + data[at + op["size"] :]
    raise ValueError(f"unknown op {kind}")


def apply_ops(data: bytes, ops: List[Case], stored: Callable[[str], bytes]) -> bytes:
    for op in ops:
        changed = apply_op(data, op, stored)
        if changed == data:
            raise ValueError(f"an op without effect: {op}")
        data = changed
    return data


def failure(run: Callable[[], Any]) -> str:
    """The kind of failure; that there's none is an error of the vector or of the reader."""
    try:
        run()
    except FormatError as error:
        return error.kind
    raise AssertionError("accepted")


def refused_read(packages: Iterable[bytes], whole: bytes) -> Case:
    """`expect` and `released` of a read that must fail after a prefix of `whole`."""
    released = b""
    try:
        for package in packages:
            released += package
    except FormatError as error:
        if whole[: len(released)] != released:
            raise AssertionError("released bytes that aren't a prefix") from error
        return {
            "expect": error.kind,
            "released": {"size": len(released), "sha256": digest(released)},
        }
    raise AssertionError("accepted")
