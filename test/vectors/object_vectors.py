"""Vectors of §4.3–4.5 and §6: whole objects."""

from typing import Any, Dict, List, Optional, Sequence

import nebulaio_format as nf
from key_vectors import IK, T, envelope
from nebulaio_format import EndRecord
from vector_ops import (
    Case,
    apply_ops,
    copy,
    digest,
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

P = nf.STORED_PACKAGE
BUCKET = "photos"


class Objects:
    def __init__(self) -> None:
        self.valid: Dict[str, Case] = {}
        self.bytes: Dict[str, bytes] = {}
        self.refused: List[Case] = []

    def add(
        self,
        name: str,
        layout: str,
        parts: Sequence[int],
        records: Sequence[EndRecord] = (),
        how: str = "",
    ) -> None:
        """`records`: by default one without flags; `how` a reader finds the sizes of the parts."""
        dek, key = made(f"object {name}", 32), f"objects/{name}"
        salt = made(f"object salt {name}", 24)
        sealed = nf.seal_dek(IK, salt, nf.context(BUCKET, key, layout), dek)
        text = nf.marshal_envelope(envelope(layout=layout, ik=made("wrapped ik", 73), dek=sealed))
        whole, at, body = plaintext(name, sum(parts)), 0, b""
        nonces = [made_nonce(f"{name} part {n}") for n in range(1, len(parts) + 1)]
        for n, x in enumerate(parts, 1):
            body += nf.encrypt_part(dek, n, nonces[n - 1], whole[at : at + x])
            at += x
        if layout != "empty":
            records = records or [EndRecord(len(parts), parts[-1])]
        body += b"".join(nf.seal_record(dek, record) for record in records)
        case: Case = {"name": name, "bucket": BUCKET, "key": key, "layout": layout}
        case.update(ik=IK.hex(), envelope=text, dek=dek.hex(), seed=name)
        case.update(parts=list(parts), nonces=[nonce.hex() for nonce in nonces])
        case.update(records=[nf.marshal_record(record).hex() for record in records])
        if how:
            case["sizes_by"] = how
        case.update(plaintext_size=len(whole), plaintext_sha256=digest(whole))
        case.update(stored_size=len(body), stored_sha256=digest(body))
        self.check(case, body, whole, list(parts))
        self.valid[name], self.bytes[name] = case, body

    def check(self, case: Case, body: bytes, whole: bytes, parts: List[int]) -> None:
        dek = open_dek(case)
        choices: List[Optional[List[int]]] = (
            [None, parts] if case["layout"] == "multipart" else [None]
        )
        for sizes in choices:
            if b"".join(nf.read_object(dek, case["layout"], nf.BytesSource(body), sizes)) != whole:
                raise AssertionError(case["name"])
        how = case.get("sizes_by")
        if how:
            source = nf.BytesSource(body)
            ending = nf.read_ending(dek, source)
            rest = len(body) - nf.RECORD * ending.records - nf.s(ending.l)
            guess = nf.uniform_sizes(dek, source, ending.n - 1, rest)
            right = guess == parts[:-1]
            if right != (how == "uniform"):
                raise AssertionError(f"{case['name']} isn't {how}")

    def dek(self, of: str) -> bytes:
        return bytes.fromhex(self.valid[of]["dek"])

    def record(self, of: str, *args: Any, **kwargs: Any) -> bytes:
        return nf.seal_record(self.dek(of), EndRecord(*args, **kwargs))

    def refuse(self, name: str, of: str, *ops: Case, **changes: Any) -> None:
        """`changes`: bucket, key, envelope; `sizes` that the reader is given; `announced`: the
        size that the backend announces, when the body ends before it."""
        base = {**self.valid[of], **changes}
        body = apply_ops(self.bytes[of], list(ops), self.bytes.__getitem__)
        source = nf.BytesSource(body, changes.get("announced"))
        whole = plaintext(base["seed"], base["plaintext_size"])
        layout = nf.parse_envelope(base["envelope"]).layout

        def read() -> Any:
            yield from nf.read_object(open_dek(base), layout, source, base.get("sizes"))

        case: Case = {"name": f"{of}: {name}", "of": of, "ops": list(ops), **changes}
        self.refused.append({**case, **refused_read(read(), whole)})


def open_dek(case: Case) -> bytes:
    e = nf.parse_envelope(case["envelope"])
    return nf.open_envelope(e, case["bucket"], case["key"], lambda *_: bytes.fromhex(case["ik"]))


def add_valid(objects: Objects) -> None:
    add = objects.add
    add("empty", "empty", [])
    for x in (1, 17, 65_536, 65_537, 200_000):
        add(f"single {x}", "single", [x])
    sha = EndRecord(1, 200, algorithm=5, checksum=made("sha", 32))
    add("single with checksum", "single", [200], [sha])
    add("single in the zone's sizes", "single", [5_240_320])
    add("one part", "multipart", [100])
    add("one part, empty", "multipart", [0])
    add("two parts", "multipart", [65_536, 10], how="uniform")
    add("uniform, aligned", "multipart", [131_072, 131_072, 1000], how="uniform")
    add("uniform, decimal", "multipart", [100_000, 100_000, 100_000], how="uniform")
    add("uniform twin", "multipart", [131_072, 131_072, 1000], how="uniform")
    add("last part empty", "multipart", [65_537, 0], how="uniform")
    add("last part larger", "multipart", [65_536, 65_536, 200_000], how="uniform")
    add("irregular", "multipart", [70_000, 200_000, 131_072, 5], how="search")
    add("irregular, divisible", "multipart", [120_000, 80_000, 7], how="search")
    add("irregular, part 1 is the mean", "multipart", [100_000, 120_000, 80_000, 7], how="search")
    add("irregular, aligned", "multipart", [65_536, 262_144, 131_072, 65_536], how="search")
    add("two parts of 5 MiB", "multipart", [T, T], how="uniform")
    add("below the zone", "multipart", [5_240_223])
    for x in (5_240_224, 5_240_319):
        add(f"zone, own record, {x}", "multipart", [x], [EndRecord(1, x), zone(1, nf.s(x) + 96)])
    for x in (5_240_320, 5_240_415):
        add(f"zone, no own record, {x}", "multipart", [x], [zone(1, nf.s(x))])
    add("above the zone", "multipart", [5_240_416])
    x = 5_240_300
    own = EndRecord(2, x)
    add(
        "zone, part 2, own record", "multipart", [T, x], [own, zone(2, nf.s(x) + 96)], how="uniform"
    )
    x = 5_240_350
    add("zone, part 2, no own record", "multipart", [T, x], [zone(2, nf.s(x))], how="uniform")


def zone(n: int, stored: int) -> EndRecord:
    return EndRecord(n, stored, zone=True)


def add_many_parts(objects: Objects) -> None:
    """10,000 parts; the nonce of part n is the first one with u32be(n) XORed into its end."""
    first = made_nonce("many parts")
    nonces = [first[:8] + nf.u32be(int.from_bytes(first[8:], "big") ^ n) for n in range(1, 10_001)]
    dek, key, name = made("object many parts", 32), "objects/many parts", "many parts"
    sealed = nf.seal_dek(IK, made("salt many", 24), nf.context(BUCKET, key, "multipart"), dek)
    text = nf.marshal_envelope(envelope(layout="multipart", ik=made("wrapped ik", 73), dek=sealed))
    whole, record = plaintext(name, 10_000), EndRecord(10_000, 1)
    body = b"".join(
        nf.encrypt_part(dek, n, nonces[n - 1], whole[n - 1 : n]) for n in range(1, 10_001)
    ) + nf.seal_record(dek, record)
    if b"".join(nf.read_object(dek, "multipart", nf.BytesSource(body))) != whole:
        raise AssertionError(name)
    case: Case = {"name": name, "bucket": BUCKET, "key": key, "layout": "multipart"}
    case.update(ik=IK.hex(), envelope=text, dek=dek.hex(), seed=name)
    case.update(part_count=10_000, part_size=1, nonce_base=first.hex(), sizes_by="uniform")
    case.update(records=[nf.marshal_record(record).hex()])
    case.update(plaintext_size=10_000, plaintext_sha256=digest(whole))
    case.update(stored_size=len(body), stored_sha256=digest(body))
    objects.valid[name], objects.bytes[name] = case, body


def refuse_envelopes(objects: Objects) -> None:
    of = "single 200000"
    text = objects.valid[of]["envelope"]
    objects.refuse("another bucket", of, bucket="photo")
    objects.refuse("another key", of, key="objects/single 200001")
    objects.refuse("layout multipart", of, envelope=text.replace("single", "multipart"))
    objects.refuse("layout empty", of, envelope=text.replace("single", "empty"))
    objects.refuse(
        "layout empty, body removed", of, truncate(0), envelope=text.replace("single", "empty")
    )
    objects.refuse("another object's envelope", of, envelope=objects.valid["single 17"]["envelope"])
    other = objects.valid["single 65537"]
    moved = {name: other[name] for name in ("key", "envelope")}
    objects.refuse("another object's key and envelope", of, **moved)
    objects.refuse("body removed", of, truncate(0))
    objects.refuse("a byte", "empty", zeros(0, 1))
    objects.refuse("an end record", "empty", insert(0, objects.record("empty", 1, 0)))
    stream = nf.encrypt_part(objects.dek("empty"), 1, made_nonce("e"), b"x")
    objects.refuse("an object", "empty", insert(0, stream + objects.record("empty", 1, 1)))
    one = objects.valid["one part"]["envelope"]
    objects.refuse("layout single", "one part", envelope=one.replace("multipart", "single"))
    empty = objects.valid["one part, empty"]["envelope"]
    objects.refuse("layout empty", "one part, empty", envelope=empty.replace("multipart", "empty"))


def refuse_single_bodies(objects: Objects) -> None:
    of = "single 200000"
    size, total, rest = 200_000, nf.f(200_000), 3392
    whole = [(0, P), (P, P), (2 * P, P), (3 * P, rest + 32)]
    end = (total - 96, 96)
    for i, (at, length) in enumerate(whole):
        objects.refuse(f"package {i}: version flipped", of, flip(at))
        objects.refuse(f"package {i}: nonce flipped", of, flip(at + 15))
        objects.refuse(f"package {i}: final flag flipped", of, flip(at + 4, 0x80))
        objects.refuse(f"package {i}: tag flipped", of, flip(at + length - 1))
        objects.refuse(f"package {i} dropped", of, remove(at, length))
        objects.refuse(f"package {i} doubled", of, copy(at, length, at + length))
    for a, b in ((0, 1), (0, 2), (1, 2), (2, 3)):
        objects.refuse(f"packages {a} and {b} swapped", of, swap(*whole[a], *whole[b]))
    objects.refuse("last package and end record swapped", of, swap(*whole[3], *end))
    for border in (P, 2 * P, 3 * P, 3 * P + rest + 32, total):
        for left in (border - 33, border - 1, border, border + 1, border + 33, border + 96):
            if left < total:
                objects.refuse(f"truncated to {left}", of, truncate(left))
                objects.refuse(f"cut at {left} of {total}", of, truncate(left), announced=total)
    for left in (1, 16, 95, 96, 97, 128, 129):
        objects.refuse(f"truncated to {left}", of, truncate(left))
    objects.refuse("cut at 0", of, truncate(0), announced=total)
    objects.refuse("end record alone", of, remove(0, total - 96))
    for count in (1, 32, 33, 96, P):
        objects.refuse(f"{count} zeros behind", of, zeros(total, count))
        objects.refuse(f"{count} zeros before", of, zeros(0, count))
    objects.refuse("end record doubled", of, copy(*end, total))
    for byte in (*range(16), 16, 79, 80, 95):
        objects.refuse(f"end record: byte {byte} flipped", of, flip(end[0] + byte))
    objects.refuse("end record: final flag flipped", of, flip(end[0] + 4, 0x80))
    objects.refuse("end record of zeros", of, overwrite(end[0], bytes(96)))
    objects.refuse("end record of another object", of, splice(end[0], "single 17", 49, 96))
    wrong = {
        "N = 2": (2, size),
        "L one less": (1, size - 1),
        "L one more": (1, size + 1),
        "L = 0": (1, 0),
        "L of all ones": (1, 2**64 - 1),
        "L + 2^53": (1, size + 2**53),
    }
    for name, (n, l) in wrong.items():
        objects.refuse(f"end record: {name}", of, overwrite(end[0], objects.record(of, n, l)))
    in_zone = "single in the zone's sizes"
    at = objects.valid[in_zone]["stored_size"] - 96
    for name, l in (("plaintext", 5_240_320), ("stored", T)):
        record = objects.record(in_zone, 1, l, zone=True)
        objects.refuse(f"zone record with L = {name} size", in_zone, overwrite(at, record))
    objects.refuse("zone record", of, overwrite(end[0], objects.record(of, 1, size, zone=True)))
    dek, one = objects.dek("single 1"), nf.encrypt_part(
        objects.dek("single 1"), 2, made_nonce("2"), b"x"
    )
    objects.refuse("part 2 in place of part 1", "single 1", overwrite(0, one))
    objects.refuse(
        "an empty part",
        "single 1",
        remove(0, 33),
        overwrite(0, nf.seal_record(dek, EndRecord(1, 0))),
    )


def refuse_multipart_bodies(objects: Objects) -> None:
    of = "uniform, aligned"
    part, last, total = 2 * P, 1032, objects.valid[of]["stored_size"]
    end = (total - 96, 96)
    parts = [(0, part), (part, part), (2 * part, last)]
    for i, (at, length) in enumerate(parts, 1):
        objects.refuse(f"part {i} dropped", of, remove(at, length))
        objects.refuse(f"part {i} doubled", of, copy(at, length, at + length))
        objects.refuse(f"part {i}: first header flipped", of, flip(at))
        objects.refuse(f"part {i}: nonce flipped", of, flip(at + 15))
        objects.refuse(f"part {i}: first package flipped", of, flip(at + 16))
        objects.refuse(f"part {i}: last package flipped", of, flip(at + length - 1))
        objects.refuse(
            f"part {i}: final flag flipped",
            of,
            flip(at + length - (last if i == 3 else P) + 4, 0x80),
        )
    objects.refuse("parts 1 and 2 swapped", of, swap(*parts[0], *parts[1]))
    objects.refuse("parts 2 and 3 swapped", of, swap(*parts[1], *parts[2]))
    objects.refuse("parts 1 and 2 dropped", of, remove(0, 2 * part))
    objects.refuse("part 2 replaced by part 1", of, remove(part, part), copy(0, part, part))
    for i, (at, length) in enumerate(parts, 1):
        objects.refuse(f"part {i} of another upload", of, splice(at, "uniform twin", at, length))
    objects.refuse("all parts of another upload", of, splice(0, "uniform twin", 0, total - 96))
    objects.refuse("body of another upload", of, splice(0, "uniform twin", 0, total))
    objects.refuse("package 0 of part 2 from part 1", of, remove(part, P), copy(0, P, part))
    objects.refuse("packages swapped between parts", of, swap(P, P, part + P, P))
    objects.refuse("packages of part 2 swapped", of, swap(part, P, part + P, P))
    for left in (0, 1, 95, 96, part, 2 * part, 2 * part + last, total - 1):
        objects.refuse(f"truncated to {left}", of, truncate(left))
    objects.refuse("truncated to part 1 with the end record", of, remove(part, part + last))
    objects.refuse("end record removed", of, truncate(total - 96))
    objects.refuse("end record alone", of, remove(0, total - 96))
    objects.refuse("end record doubled", of, copy(*end, total))
    objects.refuse("end record before part 1 as well", of, copy(*end, 0))
    objects.refuse("end record after part 1 as well", of, copy(*end, part))
    objects.refuse("end record moved before the last part", of, swap(*parts[2], *end))
    for byte in range(16):
        objects.refuse(f"end record: byte {byte} flipped", of, flip(end[0] + byte))
    objects.refuse("end record: tag flipped", of, flip(total - 1))
    objects.refuse("end record of another upload", of, splice(end[0], "uniform twin", end[0], 96))
    for count in (1, 32, 96, P):
        objects.refuse(f"{count} zeros behind", of, zeros(total, count))
        objects.refuse(f"{count} zeros before the end record", of, zeros(end[0], count))
    wrong = {
        "N = 1": (1, 1000),
        "N = 2": (2, 1000),
        "N = 4": (4, 1000),
        "N = 10000": (10_000, 1000),
    }
    wrong.update({"L = 0": (3, 0), "L one less": (3, 999), "L one more": (3, 1001)})
    wrong.update({"L of the whole": (1, 263_144), "L of all ones": (3, 2**64 - 1)})
    wrong["L + 2^53"] = (3, 1000 + 2**53)
    for name, (n, l) in wrong.items():
        objects.refuse(f"end record: {name}", of, overwrite(end[0], objects.record(of, n, l)))
    for l in (1000, 0, T - 1, T, T + 95, T + 96):
        record = objects.record(of, 3, l, zone=True)
        objects.refuse(f"zone record with L = {l}", of, overwrite(end[0], record))
        objects.refuse(f"zone record with L = {l} behind", of, insert(total, record))
    cut = objects.record("two parts", 2, 0)
    objects.refuse(
        "part 1 removed, an empty part 2", "two parts", remove(0, P + 42), overwrite(0, cut)
    )
    objects.refuse("a byte", "one part, empty", zeros(0, 1))
    objects.refuse("the end record twice", "one part, empty", copy(0, 96, 96))


def refuse_irregular_bodies(objects: Objects) -> None:
    of, sizes = "irregular", [70_000, 200_000, 131_072, 5]
    total, at = objects.valid[of]["stored_size"], 0
    for i, x in enumerate(sizes, 1):
        objects.refuse(f"part {i}: first byte flipped, sizes given", of, flip(at), sizes=sizes)
        objects.refuse(
            f"part {i}: tag flipped, sizes given", of, flip(at + nf.s(x) - 1), sizes=sizes
        )
        if i < 4:
            objects.refuse(f"part {i}: tag flipped", of, flip(at + nf.s(x) - 1))
        objects.refuse(f"part {i} dropped", of, remove(at, nf.s(x)))
        at += nf.s(x)
    a, b = nf.s(sizes[0]), nf.s(sizes[1])
    objects.refuse("parts 1 and 2 swapped", of, swap(0, a, a, b))
    swapped = [sizes[1], sizes[0], *sizes[2:]]
    objects.refuse("parts 1 and 2 swapped, sizes too", of, swap(0, a, a, b), sizes=swapped)
    given = {
        "swapped": swapped,
        "moved by a byte": [sizes[0] + 1, sizes[1] - 1, *sizes[2:]],
        "one too few": [270_032, *sizes[2:]],
        "one too many": [sizes[0], 0, *sizes[1:]],
        "one empty for two merged": [0, 270_032, *sizes[2:]],
        "another last": [*sizes[:3], 6],
        "too large": [sizes[0] + 1, *sizes[1:]],
        "of one part": [sum(sizes)],
        "negative": [-70_000, 340_064, *sizes[2:]],
    }
    for name, wrong in given.items():
        objects.refuse(f"sizes given {name}", of, sizes=wrong)
    objects.refuse("end record doubled, sizes given", of, copy(total - 96, 96, total), sizes=sizes)
    mean = "irregular, part 1 is the mean"
    objects.refuse("part 2: a byte flipped", mean, flip(nf.s(100_000) + 100))


def refuse_zone_bodies(objects: Objects) -> None:
    two, x = "zone, own record, 5240224", 5_240_224
    total = objects.valid[two]["stored_size"]
    own = total - 192
    objects.refuse("own record removed", two, remove(own, 96))
    objects.refuse("own record flipped", two, flip(own + 95))
    objects.refuse("own record of zeros", two, overwrite(own, bytes(96)))
    wrong: Dict[str, Case] = {
        "N = 2": {"n": 2, "l": x},
        "L one more": {"n": 1, "l": x + 1},
        "the zone flag": {"n": 1, "l": T, "zone": True},
        "the zone flag and the plaintext size": {"n": 1, "l": x, "zone": True},
    }
    for name, fields in wrong.items():
        objects.refuse(f"own record: {name}", two, overwrite(own, objects.record(two, **fields)))
    objects.refuse("records swapped", two, swap(own, 96, own + 96, 96))
    objects.refuse("zone record doubled", two, copy(own + 96, 96, total))
    objects.refuse("own record doubled", two, copy(own, 96, own))
    for l in (T - 1, T + 1, T + 95, T + 96):
        record = objects.record(two, 1, l, zone=True)
        objects.refuse(f"zone record: L = {l}", two, overwrite(own + 96, record))
    objects.refuse(
        "zone record: N = 2", two, overwrite(own + 96, objects.record(two, 2, T, zone=True))
    )
    objects.refuse("both records without flag", two, overwrite(own + 96, objects.record(two, 1, x)))
    one = "zone, no own record, 5240320"
    total = objects.valid[one]["stored_size"]
    objects.refuse("an own record too", one, insert(total - 96, objects.record(one, 1, 5_240_320)))
    objects.refuse(
        "an own record for 96 bytes less too",
        one,
        insert(total - 96, objects.record(one, 1, 5_240_224)),
    )
    objects.refuse(
        "an own record in place of the last 96 bytes",
        one,
        overwrite(total - 192, objects.record(one, 1, 5_240_224)),
    )
    above, total = "above the zone", objects.valid["above the zone"]["stored_size"]
    for l in (5_240_416, T + 96, T + 95):
        objects.refuse(
            f"zone record: L = {l}",
            above,
            overwrite(total - 96, objects.record(above, 1, l, zone=True)),
        )
    below, total = "below the zone", objects.valid["below the zone"]["stored_size"]
    record = objects.record(below, 1, T - 1, zone=True)
    objects.refuse("a zone record too", below, insert(total, record))
    record = objects.record(below, 1, 5_240_223)
    objects.refuse("the record twice", below, insert(total, record))


def objects_file() -> Case:
    objects = Objects()
    add_valid(objects)
    add_many_parts(objects)
    for refuse in (
        refuse_envelopes,
        refuse_single_bodies,
        refuse_multipart_bodies,
        refuse_irregular_bodies,
        refuse_zone_bodies,
    ):
        refuse(objects)
    many = "many parts"
    objects.refuse("part 5000 dropped", many, remove(4999 * 33, 33))
    objects.refuse("parts 5000 and 5001 swapped", many, swap(4999 * 33, 33, 5000 * 33, 33))
    return {"valid": list(objects.valid.values()), "refused": objects.refused}
