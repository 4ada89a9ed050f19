"""Vectors of §4.1 (part streams) and §4.2 (end records)."""

from typing import Any, Dict, List

import nebulaio_format as nf
from key_vectors import DEK
from vector_ops import (
    Case,
    apply_ops,
    copy,
    digest,
    failure,
    flip,
    insert,
    made,
    made_nonce,
    overwrite,
    plaintext,
    refused_read,
    remove,
    splice,
    swap,
    truncate,
    zeros,
)

SIZES = (0, 1, 15, 16, 17, 65535, 65536, 65537, 131072, 131073, 200_000)
INLINE = 100
P = nf.STORED_PACKAGE
OTHER_DEK = made("dek 2", 32)


class PartStreams:
    """Valid part streams by name, and the mutations of them that must be refused."""

    def __init__(self) -> None:
        self.valid: Dict[str, Case] = {}
        self.bytes: Dict[str, bytes] = {}
        self.refused: List[Case] = []
        for x in SIZES:
            self.add(f"{x} bytes", x)
        self.add("part 2 of 131073 bytes", 131_073, n=2)
        self.add("part 10000 of 17 bytes", 17, n=10_000)
        same = "131073 bytes"
        self.add("131073 bytes under another DEK", 131_073, dek=OTHER_DEK, like=same)
        self.add("131073 bytes as part 3", 131_073, n=3, like=same)
        self.add("the first 131072 of 131073 bytes", 131_072, like=same)
        self.add("131073 bytes, another attempt", 131_073, like=same, raw=made_nonce("attempt 2"))
        self.add("a nonce of all ones but the top bit", 131_073, raw=b"\x7f" + b"\xff" * 11)

    def add(
        self, name: str, x: int, n: int = 1, dek: bytes = DEK, like: str = "", raw: bytes = b""
    ) -> None:
        """`like`: with the seed and the nonce of another stream; `raw`: with this nonce."""
        seed = like or name
        used = raw or made_nonce(seed)
        text = plaintext(seed, x)
        stored = nf.encrypt_part(dek, n, used, text)
        if b"".join(nf.read_part(dek, n, x, nf.BytesSource(stored))) != text:
            raise AssertionError(name)
        case: Case = {"name": name, "dek": dek.hex(), "n": n, "x": x, "nonce": used.hex()}
        case.update(key=nf.part_key(dek, n, x).hex(), seed=seed, plaintext_sha256=digest(text))
        case.update(stored_size=len(stored), stored_sha256=digest(stored))
        if len(stored) <= INLINE:
            case["stored"] = stored.hex()
        self.valid[name], self.bytes[name] = case, stored

    def refuse(self, name: str, of: str, *ops: Case, **read: Any) -> None:
        base = self.valid[of]
        told = {**base, **read}
        dek, n, x = bytes.fromhex(told["dek"]), told["n"], told["x"]
        stored = apply_ops(self.bytes[of], list(ops), self.bytes.__getitem__)
        whole = plaintext(base["seed"], base["x"])
        answer = refused_read(nf.read_part(dek, n, x, nf.BytesSource(stored)), whole)
        case: Case = {"name": name, "of": of, "ops": list(ops), **answer}
        if read:
            case["read"] = read
        self.refused.append(case)

    def seal(self, of: str, package: int, **changes: Any) -> Case:
        """An op that seals one package anew: the tag is right, the header or the place isn't."""
        base = self.valid[of]
        sizes = [min(nf.PACKAGE, base["x"] - at) for at in range(0, base["x"], nf.PACKAGE)]
        last = package == len(sizes) - 1
        nonce = changes.get("nonce", bytes.fromhex(base["nonce"]))
        if changes.get("final", last):
            nonce = nf.final_nonce(nonce)
        length = changes.get("length", sizes[package])
        start = bytes([changes.get("version", 0x20), changes.get("cipher", 0)])
        header = start + nf.header_of(length, nonce)[2:]
        return {
            **{"op": "seal", "offset": P * package, "size": sizes[package] + nf.OVERHEAD},
            **{"key": changes.get("key", base["key"]), "header": header.hex()},
            "nonce": nf.aead_nonce(nonce, changes.get("index", package)).hex(),
            **{"seed": base["seed"], "from": nf.PACKAGE * package, "length": length},
        }


def refuse_flips(streams: PartStreams) -> None:
    small = streams.valid["17 bytes"]
    for offset in range(small["stored_size"]):
        streams.refuse(f"17 bytes: byte {offset} flipped", "17 bytes", flip(offset))
    three = "131073 bytes"
    for package, size in enumerate((65536, 65536, 1)):
        start = P * package
        for byte in range(16):
            streams.refuse(
                f"package {package}: header byte {byte} flipped", three, flip(start + byte)
            )
        streams.refuse(f"package {package}: final flag flipped", three, flip(start + 4, 0x80))
        spots = {"first": 16, "last": 16 + size - 1}
        for spot, at in spots.items():
            streams.refuse(f"package {package}: {spot} byte flipped", three, flip(start + at))
        for byte in (0, 7, 15):
            at = start + 16 + size + byte
            streams.refuse(f"package {package}: tag byte {byte} flipped", three, flip(at, 0x80))


def refuse_moves(streams: PartStreams) -> None:
    three, total = "131073 bytes", 2 * P + 33
    whole = ((0, P), (P, P), (2 * P, 33))
    for i, (at, size) in enumerate(whole):
        streams.refuse(f"package {i} dropped", three, remove(at, size))
        streams.refuse(f"package {i} doubled", three, copy(at, size, at + size))
        streams.refuse(f"package {i} again at the end", three, copy(at, size, total))
    for a, b in ((0, 1), (1, 2), (0, 2)):
        streams.refuse(f"packages {a} and {b} swapped", three, swap(*whole[a], *whole[b]))
    streams.refuse("all packages dropped", three, truncate(0))
    streams.refuse("package 1 replaced by package 0", three, remove(P, P), copy(0, P, P))
    for border in (0, 16, P, P + 16, 2 * P, 2 * P + 16, total):
        for size in (border - 1, border, border + 1):
            if 0 < size < total:
                streams.refuse(f"truncated to {size}", three, truncate(size))
    for of in ("17 bytes", "65536 bytes"):
        size = streams.valid[of]["stored_size"]
        for left in (1, 15, 16, 17, size - 16, size - 1):
            streams.refuse(f"{of}: truncated to {left}", of, truncate(left))
    record = nf.seal_record(DEK, nf.EndRecord(1, 131_073))
    for count in (1, 32, P):
        streams.refuse(f"{count} zeros behind", three, zeros(total, count))
        streams.refuse(f"{count} zeros before", three, zeros(0, count))
    streams.refuse("an end record behind", three, insert(total, record))
    streams.refuse("a byte behind nothing", "0 bytes", zeros(0, 1))
    streams.refuse("a package behind nothing", "0 bytes", insert(0, streams.bytes["1 bytes"]))


def refuse_splices(streams: PartStreams) -> None:
    three = "131073 bytes"
    foreign = {
        "another part": "131073 bytes as part 3",
        "another size": "the first 131072 of 131073 bytes",
        "another attempt": "131073 bytes, another attempt",
        "another DEK": "131073 bytes under another DEK",
    }
    for what, of in foreign.items():
        for package in (0, 1):
            at = P * package
            streams.refuse(f"package {package} of {what}", three, splice(at, of, at, P))
    reads: Dict[str, Case] = {
        "another part number": {"n": 2},
        "part number 0": {"n": 0},
        "a byte more": {"x": 131_074},
        "a byte less": {"x": 131_072},
        "a package more": {"x": 196_609},
        "one package": {"x": 65_536},
        "no byte": {"x": 0},
        "another DEK": {"dek": OTHER_DEK.hex()},
    }
    for what, read in reads.items():
        streams.refuse(f"read as {what}", three, **read)


def refuse_sealed(streams: PartStreams) -> None:
    """Packages that a holder of the key sealed in a wrong form: the tag is right."""
    three = "131073 bytes"

    def add(name: str, package: int, **changes: Any) -> None:
        streams.refuse(f"sealed: {name}", three, streams.seal(three, package, **changes))

    for package in (0, 1, 2):
        add(f"version 1.0 in package {package}", package, version=0x10)
        add(f"cipher 1 in package {package}", package, cipher=1)
        add(f"index {package + 1} for package {package}", package, index=package + 1)
        flag = "without the final flag" if package == 2 else "with the final flag"
        add(f"package {package} {flag}", package, final=package != 2)
    add("another nonce from package 1 on", 1, nonce=made_nonce("y"))
    add("another nonce in the last package", 2, nonce=made_nonce("y"))
    add("a short package 0", 0, length=65535)
    add("a short package 1", 1, length=1)
    add("the key of part 2", 1, key=nf.part_key(DEK, 2, 131_073).hex())
    add("the end key", 0, key=nf.end_key(DEK).hex())


def part_streams() -> Case:
    streams = PartStreams()
    for refuse in (refuse_flips, refuse_moves, refuse_splices, refuse_sealed):
        refuse(streams)
    return {"valid": list(streams.valid.values()), "refused": streams.refused}


def valid_records() -> Dict[str, nf.EndRecord]:
    cases = {
        "no checksum": nf.EndRecord(1, 17),
        "last part empty": nf.EndRecord(2, 0),
        "part 10000": nf.EndRecord(10_000, 5_366_088_832),
        "zone, smallest": nf.EndRecord(1, nf.THRESHOLD, zone=True),
        "zone, largest": nf.EndRecord(
            3, nf.THRESHOLD + 95, zone=True, algorithm=2, checksum=made("z", 4)
        ),
        "checksum of zeros": nf.EndRecord(1, 1, algorithm=3, checksum=bytes(8)),
    }
    names = {1: "CRC32", 2: "CRC32C", 3: "CRC64NVME", 4: "SHA-1", 5: "SHA-256"}
    for algorithm, name in names.items():
        checksum = made(f"checksum {name}", nf.CHECKSUM_SIZES[algorithm])
        cases[name] = nf.EndRecord(4, 1_000_000, algorithm=algorithm, checksum=checksum)
    return cases


def bad_payloads() -> Dict[str, bytes]:
    """Payloads that are sealed with the right key and must be refused all the same."""
    good = nf.marshal_record(nf.EndRecord(1, 17))
    cases = {
        f"{name} {value}": good[:at] + bytes([value]) + good[at + 1 :]
        for name, at, values in (
            ("version", 0, (0, 2, 255)),
            ("flags", 1, (2, 3, 4, 0x80, 0xFF)),
            ("algorithm", 2, (6, 7, 255)),
            ("checksum type", 3, (1, 2, 255)),
        )
        for value in values
    }
    for n in (0, 10_001, 65_536 + 1, 2**31 + 1, 2**32 - 1):
        cases[f"N {n}"] = good[:4] + nf.u32be(n) + good[8:]
    for offset in range(48, 64):
        cases[f"byte {offset} isn't zero"] = good[:offset] + b"\x01" + good[offset + 1 :]
    for algorithm, size in nf.CHECKSUM_SIZES.items():
        if size < 32:
            record = nf.EndRecord(1, 17, algorithm=algorithm, checksum=made("c", size + 1))
            cases[f"algorithm {algorithm} with {size + 1} bytes"] = nf.marshal_record(record)
            record = record._replace(checksum=b"c".rjust(32, b"\x00"))
            cases[f"algorithm {algorithm}, not left-aligned"] = nf.marshal_record(record)
    cases["all zeros"] = bytes(64)
    return cases


def oddly_sealed(good: bytes) -> Dict[str, bytes]:
    """The right payload in packages that aren't an end record, all with a tag that verifies."""
    nonce = nf.end_nonce(DEK, good)
    final, plain = nf.final_nonce(nonce), nf.plain_nonce(nonce)
    key = nf.end_key(DEK)
    header = nf.header_of(64, final)
    cases = {
        "without the final flag": nf.seal_with_header(key, nf.header_of(64, plain), 0, good),
        "version 1.0": nf.seal_with_header(key, b"\x10" + header[1:], 0, good),
        "cipher 1": nf.seal_with_header(key, b"\x20\x01" + header[2:], 0, good),
        "a header that says 65 bytes": nf.seal_with_header(key, nf.header_of(65, final), 0, good),
        "package number 1": nf.seal_with_header(key, header, 1, good),
        "a payload of 63 bytes": nf.seal_payload(DEK, good[:63]),
        "a payload of 65 bytes": nf.seal_payload(DEK, good + b"\x00"),
        "the end key of another DEK": nf.seal_payload(OTHER_DEK, good),
    }
    for n, x in ((1, 17), (1, 64), (0, 64)):
        own = nf.part_key(DEK, n, x)
        cases[f"the key of part {n} of {x} bytes"] = nf.seal_with_header(own, header, 0, good)
    return cases


def end_records() -> Case:
    valid, refused = [], []
    for name, record in valid_records().items():
        payload, stored = nf.marshal_record(record), nf.seal_record(DEK, record)
        if nf.open_record(DEK, stored) != record:
            raise AssertionError(name)
        fields = {**record._asdict(), "checksum": record.checksum.hex()}
        valid.append(
            {
                "name": name,
                "dek": DEK.hex(),
                **fields,
                "payload": payload.hex(),
                "stored": stored.hex(),
            }
        )
    good = nf.marshal_record(nf.EndRecord(1, 17))
    sealed = {name: nf.seal_payload(DEK, payload) for name, payload in bad_payloads().items()}
    base = nf.seal_payload(DEK, good)
    sealed.update(oddly_sealed(good))
    sealed.update({"no bytes": b"", "95 bytes": base[:95], "97 bytes": base + b"\x00"})
    sealed["a part stream of 64 bytes"] = nf.encrypt_part(DEK, 1, made_nonce("64"), good)
    for name, stored in sealed.items():
        expect = failure(lambda: nf.open_record(DEK, stored))
        refused.append({"name": name, "dek": DEK.hex(), "stored": stored.hex(), "expect": expect})
    for offset in range(96):
        refused.append(refused_flip(base, flip(offset), f"byte {offset} flipped"))
    refused.append(refused_flip(base, flip(4, 0x80), "final flag flipped"))
    refused.append(refused_flip(base, overwrite(80, bytes(16)), "a tag of zeros"))
    return {"valid": valid, "refused": refused}


def refused_flip(base: bytes, op: Case, name: str) -> Case:
    mutated = apply_ops(base, [op], lambda _: b"")
    expect = failure(lambda: nf.open_record(DEK, mutated))
    return {"name": name, "of": "no checksum", "ops": [op], "expect": expect}
